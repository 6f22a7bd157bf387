"""From the gateway to pages: views are made in portions, and rendered in a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread

from structiot._kit.environment import Environment
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text
from structiot.dashboard.cards import cards_of, grouped, main_figure
from structiot.dashboard.device_page import device_view
from structiot.dashboard.pages import (
    render_device,
    render_gateway,
    render_index,
    render_login,
    render_missing,
)
from structiot.dashboard.replies import Refusal, page_reply
from structiot.dashboard.views import (
    CardView,
    GatewayView,
    IndexView,
    LoginView,
    MissingView,
    PageView,
    SparklineView,
    Trouble,
)
from structiot.dashboard.zones import offset_min
from structiot.errors import StructiotError
from structiot.gateway import Gateway, status_of
from structiot.gateway.history import Series

__all__ = ["PageMaker"]

_HOUR_S = 3600.0
_FRESH_S = 60.0
_TROUBLES: Mapping[str, Trouble] = {"away": "away", "stale": "stale"}
_HEADINGS: Mapping[int, str] = {
    403: "Not allowed",
    404: "Not found",
    405: "Not possible",
    429: "Too many attempts",
}

ViewT = TypeVar("ViewT", IndexView, GatewayView, LoginView, MissingView)

_log = logging.getLogger(__name__)


class PageMaker:
    """Makes the pages of a gateway.

    Args:
        gateway: The gateway.
        assets: Address of each file by its name.
        environment: Tells the house's time.
        zone: Name of the zone of its clock, if it has one.
    """

    def __init__(
        self,
        gateway: Gateway,
        assets: Mapping[str, str],
        environment: Environment,
        zone: str | None = None,
    ) -> None:
        self._gateway = gateway
        self._zone = zone
        self._assets = assets
        self._environment = environment
        # One page after the other: two at once would only take more memory.
        self._limiter = anyio.CapacityLimiter(1)
        self._lines: Mapping[str, SparklineView] = {}
        self._lines_at = float("-inf")
        self._warnings = RareLines(_log, anyio.current_time)

    def page(
        self,
        request: HttpRequest,
        title: str,
        *,
        csrf_token: str = "",
        stream: str = "",
        can_sign_out: bool = False,
    ) -> PageView:
        """Make what every page has."""
        now = self._environment.clock()
        zone = self._gateway.config.history.timezone
        if zone is not None:
            now = now.astimezone(ZoneInfo(zone))
        return PageView(
            title=title,
            csrf_token=csrf_token,
            assets=self._assets,
            stream=stream,
            path=request.path,
            now_utc=self._environment.now_utc(),
            zone=zone or self._zone or now.tzname() or "UTC",
            zone_offset_min=offset_min(now),
            can_sign_out=can_sign_out,
        )

    def now_utc(self) -> datetime:
        """Tell the time."""
        return self._environment.now_utc()

    async def index(self, request: HttpRequest, page: PageView) -> HttpReply:
        """Make `/`."""
        gateway = self._gateway
        lines = await self._sparklines()
        places = gateway.config.devices
        cards = await cards_of(gateway.devices, places, page.now_utc, lines)
        show = _TROUBLES.get(request.query.get("show", ""), "")
        shown = [card for card in cards if show in ("", card.trouble)]
        view = IndexView(
            page=page,
            groups=grouped(shown),
            total=len(cards),
            away=_count(cards, "away"),
            stale=_count(cards, "stale"),
            show=show,
        )
        return await self._made(request, render_index, view)

    async def device(
        self, request: HttpRequest, slug: str, page: PageView
    ) -> HttpReply:
        """Make `/device/<device>`.

        Raises:
            Refusal: There is none, or its past cannot be asked so.
        """
        found = self._gateway.devices.get(slug)
        if found is None:
            raise Refusal(404, f"There is no device {slug!r}.")
        view = await device_view(self._gateway, slug, found, request.query, page)

        def make() -> HttpReply:
            return page_reply(request, render_device(view))

        return await anyio.to_thread.run_sync(make, limiter=self._limiter)

    async def gateway(self, request: HttpRequest, page: PageView) -> HttpReply:
        """Make `/gateway`."""
        status = status_of(self._gateway)
        view = GatewayView(page=page, status=status)
        return await self._made(request, render_gateway, view)

    async def login(
        self, request: HttpRequest, next_path: str, refusal: Refusal | None = None
    ) -> HttpReply:
        """Make `/login`."""
        page = self.page(request, "Sign in · structiot")
        message = "" if refusal is None else refusal.why
        view = LoginView(page=page, message=message, next_path=next_path)
        return await self._made(request, render_login, view, refusal)

    async def refusal(self, request: HttpRequest, refusal: Refusal) -> HttpReply:
        """Make the page that says why there is none."""
        heading = _HEADINGS.get(refusal.status, "Not possible")
        page = self.page(request, f"{heading} · structiot")
        view = MissingView(page=page, heading=heading, message=refusal.why)
        return await self._made(request, render_missing, view, refusal)

    async def _made(
        self,
        request: HttpRequest,
        render: Callable[[ViewT], str],
        view: ViewT,
        refusal: Refusal | None = None,
    ) -> HttpReply:
        def make() -> HttpReply:
            return page_reply(request, render(view), refusal=refusal)

        return await anyio.to_thread.run_sync(make, limiter=self._limiter)

    # ------------------------------------------------------------ the last hour

    async def _sparklines(self) -> Mapping[str, SparklineView]:
        """Give the last hour of each main figure, asked for once a minute."""
        past = self._gateway.history
        if past is None or anyio.current_time() - self._lines_at < _FRESH_S:
            return self._lines
        self._lines_at = anyio.current_time()
        keys = [
            f"{slug}/{figure}"
            for slug, device in self._gateway.devices.items()
            if (figure := main_figure(device)) is not None
        ]
        try:
            recent = await past.recent(keys)
        except StructiotError as exc:
            # A page without its past is better than none.
            self._warnings.say("the page has no sparklines: %s", error_text(exc))
            self._lines = {}
        else:
            now_s = self._environment.now_utc().timestamp()
            self._lines = {key: _line(key, one, now_s) for key, one in recent.items()}
        return self._lines


def _line(key: str, series: Series, now_s: float) -> SparklineView:
    points = tuple(zip(series.t, series.mean, strict=True))
    return SparklineView(key=key, points=points, from_s=now_s - _HOUR_S, to_s=now_s)


def _count(cards: list[CardView], trouble: Trouble) -> int:
    return sum(card.trouble == trouble for card in cards)
