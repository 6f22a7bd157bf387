"""From a view to a page: one function a page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from structiot.dashboard.pages.courses import decimals_of, point_text, summary_of
from structiot.dashboard.pages.fields import fields_of
from structiot.dashboard.pages.layout import icon_of, lead_of, parts_of
from structiot.dashboard.pages.sparklines import SPARK_HEIGHT, SPARK_WIDTH, spark_path
from structiot.dashboard.pages.texts import ago_text, size_text, time_text
from structiot.dashboard.views import (
    CardView,
    DeviceView,
    EntityView,
    GatewayView,
    IndexView,
    LoginView,
    MissingView,
)
from structiot.model import BinarySensor, Sensor, Text
from structiot.model.text import figure_text

__all__ = [
    "index_parts",
    "render_device",
    "render_gateway",
    "render_index",
    "render_login",
    "render_missing",
]

_HIDDEN_TEXT = "•••"


def index_parts(view: IndexView) -> Iterator[str]:
    """Give `/` in pieces, a card or so each: with 300 devices it is long work."""
    return _environment().get_template("index.html").generate(**_given(view))


def render_index(view: IndexView) -> str:
    """Render `/`: all devices as cards."""
    return "".join(index_parts(view))


def render_device(view: DeviceView) -> str:
    """Render `/device/<device>`: what it is now and was, and who it is."""
    return _rendered("device.html", view)


def render_gateway(view: GatewayView) -> str:
    """Render `/gateway`: tasks, links, budgets, mailboxes, the history's file."""
    return _rendered("gateway.html", view)


def render_login(view: LoginView) -> str:
    """Render `/login`: the form that asks for the token."""
    return _rendered("login.html", view)


def render_missing(view: MissingView) -> str:
    """Render what stands in place of a page that there is not."""
    return _rendered("missing.html", view)


_View = IndexView | DeviceView | GatewayView | LoginView | MissingView


def _given(view: _View) -> dict[str, Any]:
    page = view.page

    def ago(at_s: float) -> str:
        return ago_text(at_s, page.now_utc.timestamp())

    def when(at_utc: datetime) -> str:
        return time_text(at_utc, page)

    def when_s(at_s: float) -> str:
        return time_text(datetime.fromtimestamp(at_s, UTC), page)

    return {"view": view, "page": page, "ago": ago, "when": when, "when_s": when_s}


def _rendered(template: str, view: _View) -> str:
    return _environment().get_template(template).render(**_given(view))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("structiot.dashboard.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "decimals_of": decimals_of,
        "fields_of": fields_of,
        "icon_of": icon_of,
        "lead_of": lead_of,
        "parts_of": parts_of,
        "point_text": point_text,
        "summary_of": summary_of,
        "spark_path": spark_path,
        "spark_width": SPARK_WIDTH,
        "spark_height": SPARK_HEIGHT,
        "words_of": _words_of,
        "text_of": _text_of,
        "machine_of": _machine_of,
        "kind_of": _kind_of,
    }
    environment.filters |= {"figure": figure_text, "size": size_text}
    return environment


def _words_of(card: CardView) -> str:
    """Give all that a search looks through, in lower case and each word once."""
    names = [card.name, card.room, card.system, card.model]
    names += [one.name for one in card.rows]
    return " ".join(dict.fromkeys(" ".join(names).lower().split()))


def _text_of(one: EntityView) -> str:
    is_secret = isinstance(one.entity, Text) and one.entity.is_secret
    is_told = one.value.state in ("live", "stale")
    return _HIDDEN_TEXT if is_secret and is_told else one.value.text


def _machine_of(one: EntityView) -> str:
    value = one.value.value
    if value is None or isinstance(one.entity, Text):
        return ""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _kind_of(one: EntityView) -> str:
    """Name what a device's main feature is, which has no name of its own."""
    if one.entity.name is not None:
        return one.name
    is_sensor = isinstance(one.entity, Sensor | BinarySensor)
    what = one.entity.device_class or "State" if is_sensor else None
    return (what or type(one.entity).__name__).replace("_", " ").capitalize()
