"""Reads energy from a file, by hours, days and months of the house. For reader threads."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from dataclasses import dataclass

from structiot.errors import UsageError
from structiot.gateway.energy_totals import WH_OF
from structiot.gateway.history.answers import (
    EnergyBar,
    EnergyHistory,
    Happened,
    Period,
)
from structiot.gateway.history.finding import Found, Which, find, unrolled
from structiot.gateway.history.hours import House, at_utc
from structiot.gateway.history.rollups import Bucket, Mark

__all__ = ["energy_between", "happened_to"]

# From the unit of a power, held for a millisecond, to watt-hours.
_PER_MS = {"W": 1 / 3_600_000, "kW": 1 / 3_600, "MW": 1 / 3.6}


@dataclass(slots=True)
class _Sum:
    """What is known of one bar."""

    energy_wh: float = 0.0
    known_ms: int = 0
    is_known: bool = False


def energy_between(
    connection: sqlite3.Connection,
    which: Which,
    period: Period,
    house: House,
) -> EnergyHistory:
    """Give energy by periods; what came in a gap, and resets, by themselves.

    Raises:
        UsageError: It is neither a counter of energy nor a power.
    """
    found = find(connection, which)
    if found is None:
        return EnergyHistory(key=which.key, period=period)
    unit = found.series.unit
    is_counter = found.series.kind == "energy"
    if not is_counter and unit not in _PER_MS:
        raise UsageError(f"{which.key} is in {unit or 'no unit'}: that is no energy")
    spans = list(house.spans(which.from_ms, which.to_ms, period))
    if not spans:
        return EnergyHistory(key=which.key, period=period)
    begins = [begin for begin, _ in spans]
    sums = [_Sum() for _ in spans]
    begin_ms, end_ms = begins[0], spans[-1][1]

    def add(at_ms: int, bucket: Bucket) -> None:
        one = sums[max(0, bisect_right(begins, at_ms) - 1)]
        wh = bucket.gained * WH_OF[unit] if is_counter else bucket.area * _PER_MS[unit]
        one.energy_wh += wh
        one.known_ms += bucket.known_ms
        one.is_known = one.is_known or bucket.known_ms > 0 or bucket.gained > 0

    rows = connection.execute(
        "SELECT hour_ms, known_ms, area, low, high, gained, resets FROM hours "
        "WHERE series = ? AND hour_ms >= ? AND hour_ms < ?",
        (found.number, begin_ms, end_ms),
    )
    for hour_ms, *figures in rows:
        add(hour_ms, Bucket(*figures))
    marks = _marks(connection, found, begin_ms, end_ms)
    for stretch, course in unrolled(connection, found, begin_ms, end_ms):
        add(stretch.hour_ms, course.whole())
        marks += course.marks
    wh = WH_OF.get(unit, 1.0)
    return EnergyHistory(
        key=which.key,
        period=period,
        bars=tuple(_bar(*span, one) for span, one in zip(spans, sums, strict=True)),
        gaps=tuple(
            EnergyBar(
                from_utc=at_utc(mark.from_ms),
                until_utc=at_utc(mark.until_ms),
                energy_wh=mark.gained * wh,
            )
            for mark in marks
            if mark.from_ms < mark.until_ms
        ),
        resets=tuple(
            at_utc(one.from_ms) for one in marks if one.from_ms == one.until_ms
        ),
    )


def _bar(begin_ms: int, end_ms: int, one: _Sum) -> EnergyBar:
    # What is fed back is no consumption.
    energy_wh = max(0.0, one.energy_wh) if one.is_known else None
    return EnergyBar(
        from_utc=at_utc(begin_ms),
        until_utc=at_utc(end_ms),
        energy_wh=energy_wh,
        known_s=one.known_ms / 1000,
    )


def _marks(
    connection: sqlite3.Connection, found: Found, begin_ms: int, end_ms: int
) -> list[Mark]:
    rows = connection.execute(
        "SELECT from_ms, until_ms, gained FROM marks WHERE series = ? AND from_ms < ? "
        "AND until_ms >= ? ORDER BY from_ms",
        (found.number, end_ms, begin_ms),
    )
    return [Mark(*row) for row in rows]


def happened_to(
    connection: sqlite3.Connection, which: Which, limit: int
) -> tuple[Happened, ...]:
    """Give what happened to a device, the latest first."""
    where, values = "slug = ?", (which.slug,)
    if which.identity is not None:
        where, values = "system = ? AND device = ?", which.identity  # type: ignore[assignment]  # a pair
    rows = connection.execute(
        "SELECT entity, event_type, at_ms, data FROM occurrences JOIN series "  # noqa: S608
        f"ON series.number = occurrences.series WHERE {where} AND kind = 'event' "
        "ORDER BY at_ms DESC, occurrences.number DESC LIMIT ?",
        (*values, limit),
    )
    return tuple(
        Happened(
            entity=str(entity),
            event_type=str(event_type),
            at_utc=at_utc(at_ms),
            data=_data(data),
        )
        for entity, event_type, at_ms, data in rows
    )


def _data(text: object) -> dict[str, object]:
    try:
        data = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
