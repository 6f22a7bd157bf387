"""One device's page: what it is now, was and did, and who it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from structiot._kit.redact import hide_credentials
from structiot.dashboard.api import MAX_POINTS, span_of
from structiot.dashboard.bars import Bars, bars_of, counter_of
from structiot.dashboard.cards import card_of, main_figure
from structiot.dashboard.spans import (
    energy_spans,
    known_until,
    state_shares,
    state_spans,
)
from structiot.dashboard.views import (
    DeviceView,
    HappenedView,
    PageView,
    RangeName,
    SeriesView,
    SpanView,
    StatisticView,
)
from structiot.errors import StructiotError
from structiot.gateway import Gateway, GatewayDevice
from structiot.gateway.history import Series, recorded_of
from structiot.model.text import figure_text, state_text

__all__ = ["device_view"]

_RANGES: Mapping[RangeName, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
_MOST_EVENTS = 50
_UNIT = re.compile("_(percent|c|k|s)$")


async def device_view(
    gateway: Gateway,
    slug: str,
    device: GatewayDevice,
    query: Mapping[str, str],
    page: PageView,
) -> DeviceView:
    """Make the view of a device's page.

    Args:
        gateway: Its gateway.
        slug: Its level in topics.
        device: The device.
        query: Of the page's address: `series`, and `range` or `from` and `to`.
        page: What every page has.

    Raises:
        Refusal: Nobody can ask so.
    """
    place = gateway.config.devices.get(slug)
    card = card_of(slug, device, place, page.now_utc, is_whole=True)
    from_utc, to_utc, range_name = _span(query, page.now_utc)
    past = gateway.history
    entries: tuple[SeriesView, ...] = ()
    course: Series | None = None
    bars: Bars | None = None
    if past is not None and (entries := _series(slug, device, query.get("series", ""))):
        key = next(one.key for one in entries if one.is_selected)
        # The file's trouble stands on the gateway's own page.
        with suppress(StructiotError):
            course = await past.series(key, from_utc, to_utc, MAX_POINTS)
            entries = _as_drawn(entries, course)
            entity = device.entities[key.partition("/")[2].partition(".")[0]]
            if (counter := counter_of(entity)) is not None:
                bars = await bars_of(past, key, counter, from_utc, to_utc)
    heard = [row.value.at_utc for row in card.rows if row.value.at_utc is not None]
    words = next((one.words for one in entries if one.is_selected), ("", ""))
    until_s = 0.0 if past is None else known_until(past, to_utc, page.now_utc)
    shown = words, from_utc.timestamp(), until_s
    return DeviceView(
        page=page,
        card=card,
        has_history=past is not None,
        series=entries,
        range_name=range_name,
        from_s=from_utc.timestamp(),
        to_s=to_utc.timestamp(),
        resolution_s=0.0 if course is None else float(course.resolution_s),
        points=() if course is None or bars is not None else _points(course),
        spans=() if course is None else _spans(course, bars, *shown),
        statistics=() if course is None else tuple(_statistics(course, bars, *shown)),
        events=await _events(gateway, slug, device),
        details=tuple(_details(device)),
        topics=tuple(_topics(gateway, slug)),
        links=tuple(_links(entries, from_utc, to_utc)),
        last_heard_utc=max(heard, default=None),
        last_changed_utc=max(device.changed_at_utc.values(), default=None),
    )


def _span(
    query: Mapping[str, str], now_utc: datetime
) -> tuple[datetime, datetime, RangeName]:
    name = query.get("range", "day")
    if "from" in query or "to" in query or name not in _RANGES:
        from_utc, to_utc = span_of(query, now_utc)
        return from_utc, to_utc, ""
    for known, length in _RANGES.items():
        if known == name:
            return now_utc - length, now_utc, known
    return now_utc - _RANGES["day"], now_utc, "day"


# ---------------------------------------------------------------- what it was


def _series(slug: str, device: GatewayDevice, wanted: str) -> tuple[SeriesView, ...]:
    """List what has a history, the main figure first; one of them is selected."""
    found: list[SeriesView] = []
    for entity in device.entities.values():
        name = entity.name or device.name
        words = state_text(False, entity), state_text(True, entity)  # noqa: FBT003
        for suffix, kind, unit, _ in recorded_of(entity, device.states.get(entity.key)):
            found.append(
                SeriesView(
                    key=f"{slug}/{entity.key}{suffix}",
                    name=f"{name} {_part_name(suffix)}".rstrip(),
                    unit=unit,
                    is_step=kind in {"switch", "text"},
                    is_energy=kind == "energy",
                    is_selected=False,
                    words=words,
                )
            )
    main = f"{slug}/{main_figure(device)}"
    found.sort(key=lambda one: one.key != main)
    selected = wanted if any(one.key == wanted for one in found) else ""
    return tuple(
        replace(one, is_selected=one.key == (selected or found[0].key)) for one in found
    )


def _as_drawn(entries: Sequence[SeriesView], course: Series) -> tuple[SeriesView, ...]:
    """Say of the selected series what it was; its entity may tell nothing now."""
    return tuple(
        replace(one, is_step=course.is_step) if one.is_selected and course.t else one
        for one in entries
    )


def _part_name(suffix: str) -> str:
    """Name one value of several as its slider does: `.color_temp_k` is a colour."""
    name = _UNIT.sub("", suffix.removeprefix(".")).removeprefix("is_")
    return name.replace("color", "colour").replace("_", " ")


def _points(
    course: Series,
) -> tuple[tuple[float, float | None, float | None, float | None], ...]:
    if course.is_step:
        return ()
    return tuple(zip(course.t, course.mean, course.min, course.max, strict=True))


def _spans(
    course: Series,
    bars: Bars | None,
    words: tuple[str, str],
    from_s: float,
    to_s: float,
) -> tuple[SpanView, ...]:
    if bars is not None:
        return energy_spans(bars, course.unit)
    return state_spans(course, words, from_s, to_s) if course.is_step else ()


def _statistics(
    course: Series,
    bars: Bars | None,
    words: tuple[str, str],
    from_s: float,
    to_s: float,
) -> list[StatisticView]:
    if bars is not None:
        came = [one[2] for one in (*bars.bars, *bars.gaps) if one[2] is not None]
        total = figure_text(sum(came), course.unit)
        return [StatisticView(name="In all", text=total)] if came else []
    if course.is_step:
        return list(state_shares(course, words, from_s, to_s))
    means = [one for one in course.mean if one is not None]
    if not means:
        return []
    lowest = min(one for one in (*course.min, *means) if one is not None)
    highest = max(one for one in (*course.max, *means) if one is not None)
    figures = {
        "Latest": means[-1],
        "Lowest": lowest,
        "Highest": highest,
        "Average": sum(means) / len(means),
    }
    return [
        StatisticView(name=name, text=figure_text(value, course.unit))
        for name, value in figures.items()
    ]


async def _events(
    gateway: Gateway, slug: str, device: GatewayDevice
) -> tuple[HappenedView, ...]:
    happened: Sequence[tuple[str, str, datetime]] = [
        (one.key, one.event_type, one.at_utc) for one in device.occurrences.values()
    ]
    past = gateway.history
    if past is not None:
        with suppress(StructiotError):
            told = await past.occurrences(slug, _MOST_EVENTS)
            happened = [(one.entity, one.event_type, one.at_utc) for one in told]
    entities = device.entities
    lines = [
        HappenedView(
            at_utc=at_utc,
            name=(entities[key].name if key in entities else None) or key,
            text=kind.replace("_", " "),
        )
        for key, kind, at_utc in happened
    ]
    lines.sort(key=lambda one: one.at_utc, reverse=True)
    return tuple(lines)


# ---------------------------------------------------------------- who it is


def _details(device: GatewayDevice) -> list[tuple[str, str]]:
    info = device.info
    told = [("Name", device.name), ("System", device.system)]
    if info is not None:
        told += [
            ("Identity", info.id),
            ("Manufacturer", info.manufacturer or ""),
            ("Model", info.model or ""),
            ("Firmware", info.firmware or ""),
            ("Hardware", info.hardware or ""),
            ("Serial number", info.serial or ""),
            ("Hardware address", info.mac or ""),
            ("Reached through", info.via or ""),
            ("Its own page", hide_credentials(info.url or "")),
        ]
    return [(name, text) for name, text in told if text]


def _topics(gateway: Gateway, slug: str) -> list[tuple[str, str]]:
    topics = gateway.topics
    return [
        ("Availability", topics.availability(slug)),
        ("States", topics.state(slug, "+")),
        ("Commands", topics.command(slug, "+")),
        ("Refused commands", topics.error(slug)),
    ]


def _links(
    entries: Sequence[SeriesView], from_utc: datetime, to_utc: datetime
) -> list[tuple[str, str]]:
    span = f"?from={from_utc.timestamp():.0f}&to={to_utc.timestamp():.0f}"
    return [
        (f"{one.name} as {kind}", f"/api/history/{one.key}{ending}{span}")
        for one in entries
        for kind, ending in (("JSON", ""), ("CSV", ".csv"))
    ]
