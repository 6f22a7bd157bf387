"""Which series of a file is asked for, and the stretches of time in a range."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.recorded import Value
from structiot.gateway.history.rolling import bounds_of, meter_before
from structiot.gateway.history.rollups import Course

__all__ = [
    "Found",
    "Held",
    "StretchRow",
    "Which",
    "all_series",
    "find",
    "held",
    "stretches_in",
    "unrolled",
]

_COLUMNS = "number, system, device, entity, kind, unit, slug, name, label, decimals"


@dataclass(frozen=True, slots=True)
class Which:
    """What is asked for.

    Attributes:
        key: As it was asked.
        slug: The device's level in topics.
        entity: What of it.
        identity: System and id of the device, where the gateway knows it.
        from_ms: Where the range begins that is asked for.
        to_ms: Where it ends.
    """

    key: str
    slug: str
    entity: str
    identity: tuple[str, str] | None = None
    from_ms: int = 0
    to_ms: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A series of a file.

    Attributes:
        number: Its number there.
        series: It.
    """

    number: int
    series: RecordedSeries

    @property
    def table(self) -> str:
        """Where its readings are."""
        return "figures" if self.series.kind in {"figure", "energy"} else "steps"


@dataclass(frozen=True, slots=True)
class StretchRow:
    """A stretch as it stands in the file."""

    number: int
    from_ms: int
    until_ms: int
    hour_ms: int
    is_rolled: bool
    has_raw: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A value, for as long as it was."""

    from_ms: int
    until_ms: int
    value: float | str


def find(connection: sqlite3.Connection, which: Which) -> Found | None:
    """Find a series: by the identity of its device, else by the place that it had last."""
    if which.identity is None:
        where: tuple[object, ...] = (which.slug, which.entity)
        query = f"SELECT {_COLUMNS} FROM series WHERE slug = ? AND entity = ?"  # noqa: S608
    else:
        where = (*which.identity, which.entity)
        query = (
            f"SELECT {_COLUMNS} FROM series WHERE system = ? AND device = ? "  # noqa: S608
            "AND entity = ?"
        )
    query = f"{query} AND kind <> 'event' ORDER BY number DESC LIMIT 1"
    row = connection.execute(query, where).fetchone()
    return None if row is None else _found(row)


def all_series(connection: sqlite3.Connection) -> list[Found]:
    """Give every series of a file, in the order of names."""
    query = f"SELECT {_COLUMNS} FROM series ORDER BY slug, entity, number"  # noqa: S608
    return [_found(row) for row in connection.execute(query)]


def _found(row: tuple[object, ...]) -> Found:
    number, system, device, entity, kind, unit, slug, name, label, decimals = row
    series = RecordedSeries(
        system=str(system),
        device=str(device),
        entity=str(entity),
        kind=str(kind),  # type: ignore[arg-type]  # as it was written
        unit=str(unit),
        slug=str(slug),
        name=str(name),
        label=str(label),
        decimals=decimals if isinstance(decimals, int) else None,
    )
    return Found(number, series)  # type: ignore[arg-type]  # a number


def stretches_in(
    connection: sqlite3.Connection, from_ms: int, to_ms: int
) -> list[StretchRow]:
    """Give the stretches that have a part in a range, in the order of time."""
    rows = connection.execute(
        "SELECT number, from_ms, until_ms, hour_ms, is_rolled, has_raw FROM stretches "
        "WHERE until_ms > ? AND from_ms < ? ORDER BY from_ms",
        (from_ms, to_ms),
    )
    return [StretchRow(*row) for row in rows]


def held(
    connection: sqlite3.Connection, found: Found, stretch: StretchRow
) -> Iterator[Held]:
    """Give what a series was in a stretch, and how long each time."""
    value: Value = None
    since_ms = stretch.from_ms
    for after_ms, next_value in _rows(connection, found, stretch):
        at_ms = stretch.from_ms + after_ms
        if value is not None and at_ms > since_ms:
            yield Held(since_ms, at_ms, value)
        value, since_ms = next_value, at_ms
    if value is not None and stretch.until_ms > since_ms:
        yield Held(since_ms, stretch.until_ms, value)


def _rows(
    connection: sqlite3.Connection, found: Found, stretch: StretchRow
) -> Iterator[tuple[int, Value]]:
    query = (
        f"SELECT after_ms, value FROM {found.table} WHERE number >= ? AND number < ? "  # noqa: S608
        "AND series = ? ORDER BY number"
    )
    bounds = bounds_of(connection.execute, found.table, stretch.number)
    for after_ms, value in connection.execute(query, (*bounds, found.number)):
        # What is no text in UTF-8 is nothing.
        yield after_ms, value if isinstance(value, float | int | str) else None


def unrolled(
    connection: sqlite3.Connection, found: Found, from_ms: int, to_ms: int
) -> Iterator[tuple[StretchRow, Course]]:
    """Roll up what is written now, for one question."""
    for stretch in stretches_in(connection, from_ms, to_ms):
        if stretch.is_rolled:
            continue
        course = Course(stretch.from_ms, stretch.hour_ms)
        if found.series.kind == "energy":
            course.unit = found.series.unit
            course.meter = meter_before(connection.execute, found.number)
        for after_ms, value in _rows(connection, found, stretch):
            course.tell(stretch.from_ms + after_ms, value)
        course.hold(stretch.until_ms)
        yield stretch, course
