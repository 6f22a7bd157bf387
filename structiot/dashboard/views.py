"""What a page shows, as plain data: the server fills it in, `pages` renders it.

Texts are as devices tell them and nothing in them is to be trusted: they are escaped
where they are rendered.

Of the server a page needs besides: each file `static/<name>` at `assets["<name>"]`; the
stream; `POST /api/set/<key>` with the header `X-CSRF-Token`; `GET /api/session`, which
answers 401, or 204 with a fresh token in the header `X-CSRF-Token`; the form to sign in,
`POST /login` with `token` and `next`, and to sign out, `POST /logout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from structiot.gateway.status import GatewayStatus
from structiot.gateway.values import Value
from structiot.model import Entity

__all__ = [
    "CardView",
    "Control",
    "DeviceView",
    "EntityView",
    "GatewayView",
    "GroupView",
    "HappenedView",
    "IndexView",
    "LoginView",
    "MissingView",
    "PageView",
    "RangeName",
    "SeriesView",
    "SpanView",
    "SparklineView",
    "StatisticView",
    "Trouble",
]

Control: TypeAlias = Literal[
    "none",
    "button",
    "climate",
    "cover",
    "event",
    "fan",
    "light",
    "lock",
    "number",
    "select",
    "siren",
    "switch",
    "text",
    "update",
]
Trouble: TypeAlias = Literal["", "away", "stale"]
RangeName: TypeAlias = Literal["", "hour", "day", "month", "year"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """What every page has.

    Attributes:
        title: For the `title` element, whole.
        csrf_token: For `<meta name="csrf-token">`; empty on the page to sign in.
        assets: Address of each file of `static/` by its name: `assets["page.js"]`.
        stream: Address of the page's event stream; empty where it has none.
        path: The page's own address, without query: which entry of the navigation is
            the present one.
        now_utc: When the page was made.
        zone: Name of the house's zone, such as `"CET"`, and its present offset from
            UTC in minutes.
        zone_offset_min: See `zone`.
        can_sign_out: Whether somebody has signed in who could sign out.
    """

    title: str
    csrf_token: str
    assets: Mapping[str, str]
    stream: str
    path: str
    now_utc: datetime
    zone: str = "UTC"
    zone_offset_min: int = 0
    can_sign_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityView:
    """One entity of one device: a row of its card.

    Attributes:
        key: `<device>/<entity>`, for `data-key`.
        entity: The entity; its class says what it is.
        value: What is known of it; a button has `"unknown"`.
        at: `value.at_utc` as seconds of the epoch, for `data-at`; None if never.
        name: What stands beside it: the entity's name, or the device's if it has none.
        label: Its accessible name: device and entity, the device alone if the entity
            has no name.
        control: What it is switched with.
        confirm: Whether the page asks before it is switched.
        is_on: What `aria-checked` says: what the device reported last, whatever the
            state; None if it never did, or for what is neither on nor off. For a lock
            True is locked.
        last_text: What it was last, for the device's own page while it is unavailable;
            empty if nobody knows.
        changed_utc: Since when it is as it is.
    """

    key: str
    entity: Entity
    value: Value
    at: float | None
    name: str
    label: str
    control: Control
    confirm: bool = False
    is_on: bool | None = None
    last_text: str = ""
    changed_utc: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SparklineView:
    """A figure's last hour, to be drawn as a path.

    Attributes:
        key: `<device>/<entity>` of the figure.
        points: Seconds of the epoch and value; None where nothing was heard.
        from_s: Where the line's time begins, in seconds of the epoch.
        to_s: Where it ends.
    """

    key: str
    points: tuple[tuple[float, float | None], ...]
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """One device.

    Attributes:
        device: Its level in topics.
        name: What people call it.
        system: Name of its system.
        model: Its maker and model; empty if not known.
        room: Where it is; empty if that is not configured.
        is_available: Whether it can be reached.
        reason: Why it cannot; empty while it can.
        since_utc: Since when it can or cannot be reached.
        trouble: What the links on top filter by.
        rows: Its entities: on `/` those that everybody wants to see, on its own page
            all, those of other categories last.
        sparkline: The last hour of its main figure, if it has one and there is a
            history.
    """

    device: str
    name: str
    system: str
    model: str
    room: str
    is_available: bool
    reason: str
    since_utc: datetime
    trouble: Trouble
    rows: tuple[EntityView, ...]
    sparkline: SparklineView | None = None

    @property
    def href(self) -> str:
        """Address of its own page."""
        return f"/device/{self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """The cards below one heading, by name.

    Attributes:
        name: Name of the room or the system.
        is_room: Whether it is a room.
        cards: Its cards.
    """

    name: str
    is_room: bool
    cards: tuple[CardView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexView:
    """`/`: all devices.

    Attributes:
        page: What every page has.
        groups: The devices below rooms, then those without below their systems.
        total: How many devices there are.
        away: How many cannot be reached; the link is `/?show=away`.
        stale: How many others have a value that is too old; the link is `/?show=stale`.
        show: What the cards are filtered by; empty for all.
    """

    page: PageView
    groups: tuple[GroupView, ...]
    total: int
    away: int
    stale: int
    show: Trouble = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """One figure or state that has a history, an entry of the `select` named *Series*.

    Attributes:
        key: `<device>/<entity>`; the data is at `/api/history/<key>`.
        name: What people call it.
        unit: Its unit; empty if it has none.
        is_step: Whether it is drawn as steps: a switch, a text.
        is_energy: Whether it is a counter, drawn as bars.
        is_selected: Whether it is the one that the page shows.
        words: What its 0 and 1 are called, if it is drawn as steps.
    """

    key: str
    name: str
    unit: str
    is_step: bool
    is_energy: bool
    is_selected: bool
    words: tuple[str, str] = ("off", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanView:
    """What was from one time to another: a state, or the energy that came.

    Attributes:
        from_s: Where it begins, in seconds of the epoch.
        until_s: Where it ends; where it begins, if it only happened.
        text: What it was; empty where nothing was heard.
        note: What else is to be said of it.
    """

    from_s: float
    until_s: float
    text: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticView:
    """One line of *Statistics*: `"Average", "96 W"`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HappenedView:
    """One line of *Events*.

    Attributes:
        at_utc: When it happened.
        name: To what: the entity's name.
        text: What happened, in words.
    """

    at_utc: datetime
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """`/device/<device>`: one device.

    Attributes:
        page: What every page has.
        card: The device, with all its entities.
        has_history: Whether there is a history at all.
        series: What has a history, the main one first.
        range_name: Which entry of *Range* it is; empty where the reader has zoomed.
        from_s: Where the chart begins, in seconds of the epoch.
        to_s: Where it ends.
        resolution_s: How far apart its points are.
        points: The selected series, if it is a figure: time, mean, lowest and highest,
            each None where nothing was heard; at most 1,000.
        spans: The selected series, if it is a state or a counter.
        statistics: Figures of the range.
        events: What happened last, the newest first.
        details: Identity, as name and text; no secret is among it.
        topics: Its topics, as name and topic.
        links: Raw data, as name and address.
        last_heard_utc: When anything of it was heard last; None if never.
        last_changed_utc: When anything of it changed last; None if never.
    """

    page: PageView
    card: CardView
    has_history: bool
    series: tuple[SeriesView, ...]
    range_name: RangeName
    from_s: float
    to_s: float
    resolution_s: float
    points: tuple[tuple[float, float | None, float | None, float | None], ...]
    spans: tuple[SpanView, ...]
    statistics: tuple[StatisticView, ...]
    events: tuple[HappenedView, ...]
    details: tuple[tuple[str, str], ...]
    topics: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    last_heard_utc: datetime | None
    last_changed_utc: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayView:
    """`/gateway`: how the gateway is.

    Attributes:
        page: What every page has.
        status: All of it.
    """

    page: PageView
    status: GatewayStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginView:
    """`/login`: a form with the field `token`, sent to `/login` by POST.

    Attributes:
        page: What every page has.
        message: Why it is shown again; empty at first.
        next_path: Where it leads; sent along as the field `next`.
    """

    page: PageView
    message: str
    next_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingView:
    """A page in place of one that there is not.

    Attributes:
        page: What every page has.
        heading: What is the matter: `"Not found"`.
        message: The same in a sentence, which may name what was asked for.
    """

    page: PageView
    heading: str
    message: str
