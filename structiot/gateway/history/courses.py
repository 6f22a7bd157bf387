"""Reads courses from a file: as told, by five minutes, or by hours. For reader threads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from structiot.gateway.history.answers import Series
from structiot.gateway.history.finding import (
    Found,
    Held,
    StretchRow,
    Which,
    find,
    held,
    stretches_in,
    unrolled,
)
from structiot.gateway.history.hours import HOUR_MS, House
from structiot.gateway.history.rolling import bounds_of
from structiot.gateway.history.rollups import FIVE_MS, Bucket, unpacked

__all__ = ["recent_courses", "series_between"]

# So far back a file is gone through reading by reading: all devices' are.
_RAW_MS = 6 * HOUR_MS
_MINUTE_MS = 60_000
_STEPS_MS = tuple(1000 * one for one in (1, 2, 5, 10, 15, 30, 60, 120, 300))
# A value that was held longer is drawn level, not as a slope to the next.
_LEVEL_MS = 60_000


@dataclass(slots=True)
class _Grid:
    """Equal spans of time.

    Attributes:
        from_ms: Where the first begins.
        step_ms: The length of each.
        buckets: What is known of them, by number.
    """

    from_ms: int
    step_ms: int
    buckets: dict[int, Bucket] = field(default_factory=dict)

    def hold(self, one: Held) -> None:
        if isinstance(one.value, str):
            return
        at_ms = one.from_ms
        while at_ms < one.until_ms:
            number = (at_ms - self.from_ms) // self.step_ms
            end_ms = self.from_ms + (number + 1) * self.step_ms
            end_ms = min(end_ms, one.until_ms)
            self._at(number).hold(one.value, end_ms - at_ms)
            at_ms = end_ms

    def take(self, at_ms: int, bucket: Bucket) -> None:
        self._at((at_ms - self.from_ms) // self.step_ms).take(bucket)

    def _at(self, number: int) -> Bucket:
        return self.buckets.setdefault(number, Bucket())

    def series(self, which: Which, found: Found, to_ms: int) -> Series:
        count = max(0, -(-(to_ms - self.from_ms) // self.step_ms))
        nothing = Bucket()
        chosen = [self.buckets.get(number, nothing) for number in range(count)]
        times = (self.from_ms + number * self.step_ms for number in range(count))
        return Series(
            key=which.key,
            unit=found.series.unit or None,
            resolution_s=self.step_ms // 1000,
            t=tuple(at_ms / 1000 for at_ms in times),
            mean=tuple(one.mean for one in chosen),
            min=tuple(one.low for one in chosen),
            max=tuple(one.high for one in chosen),
        )


def series_between(
    connection: sqlite3.Connection,
    which: Which,
    points: int,
    house: House,
) -> Series:
    """Give the course of a series, with as many points as may be at most."""
    found = find(connection, which)
    if found is None:
        return Series(key=which.key)
    from_ms, to_ms = which.from_ms, which.to_ms
    stretches = stretches_in(connection, from_ms, to_ms)
    has_raw = all(one.has_raw for one in stretches)
    is_step = found.table == "steps"
    if has_raw and (is_step or to_ms - from_ms <= _RAW_MS):
        raw = _raw(connection, which, found, stretches, points)
        if raw is not None:
            return raw
    if found.series.kind == "text":
        kept = [one for one in stretches if one.has_raw]
        step_ms = max(1000, -(-(to_ms - from_ms) // points))
        return _texts(connection, which, found, kept, step_ms)
    return _rolled(connection, which, found, points, house)


def _clipped(
    connection: sqlite3.Connection,
    found: Found,
    stretches: Iterable[StretchRow],
    which: Which,
) -> Iterable[Held]:
    """Give what was in a range, with what goes on unchanged in one piece."""
    last: Held | None = None
    for stretch in stretches:
        for one in held(connection, found, stretch):
            begin = max(one.from_ms, which.from_ms)
            end = min(one.until_ms, which.to_ms)
            if begin >= end:
                continue
            if last is not None and last.value == one.value and last.until_ms == begin:
                last = Held(last.from_ms, end, one.value)
                continue
            if last is not None:
                yield last
            last = Held(begin, end, one.value)
    if last is not None:
        yield last


def _raw(
    connection: sqlite3.Connection,
    which: Which,
    found: Found,
    stretches: Sequence[StretchRow],
    points: int,
) -> Series | None:
    """Give readings as they were told, or by seconds; None if there are too many."""
    from_ms, to_ms = which.from_ms, which.to_ms
    kept: list[Held] | None = []
    step_ms = next(
        (one for one in _STEPS_MS if (to_ms - from_ms) / one + 1 <= points), None
    )
    is_figure = found.series.kind != "text"
    grid = None
    if step_ms is not None and is_figure:
        grid = _Grid(from_ms // step_ms * step_ms, step_ms)
    for one in _clipped(connection, found, stretches, which):
        if kept is not None:
            kept.append(one)
            if len(kept) > points:
                kept = None
        if grid is not None:
            grid.hold(one)
        elif kept is None:
            return None
    if kept is not None:
        drawn = _points(kept, is_step=found.table == "steps")
        if len(drawn) <= points:
            return _as_told(which, found, drawn)
    return None if grid is None else grid.series(which, found, to_ms)


def _points(
    kept: Sequence[Held], *, is_step: bool
) -> list[tuple[int, float | str | None]]:
    """Draw values that were held: level as long as they were, open where nothing is known."""
    drawn: list[tuple[int, float | str | None]] = []
    for number, one in enumerate(kept):
        follows = kept[number + 1] if number + 1 < len(kept) else None
        drawn.append((one.from_ms, one.value))
        if follows is None:
            drawn.append((one.until_ms, one.value))
        elif follows.from_ms > one.until_ms:
            drawn.append((one.until_ms, one.value))
            drawn.append((min(one.until_ms + 1, follows.from_ms - 1), None))
        elif not is_step and one.until_ms - one.from_ms > _LEVEL_MS:
            drawn.append((one.until_ms - 1000, one.value))
    # Never two points at a time, nor one before another.
    return [
        one for one, after in pairwise([*drawn, (1 << 62, None)]) if one[0] < after[0]
    ]


def _as_told(
    which: Which, found: Found, drawn: Sequence[tuple[int, float | str | None]]
) -> Series:
    is_text = found.series.kind == "text"
    figures = tuple(None if isinstance(v, str) else v for _, v in drawn)
    texts = tuple(v if isinstance(v, str) else None for _, v in drawn)
    return Series(
        key=which.key,
        unit=found.series.unit or None,
        is_step=found.table == "steps",
        t=tuple(at_ms / 1000 for at_ms, _ in drawn),
        mean=figures,
        min=figures,
        max=figures,
        texts=texts if is_text else None,
    )


def _texts(
    connection: sqlite3.Connection,
    which: Which,
    found: Found,
    stretches: Sequence[StretchRow],
    step_ms: int,
) -> Series:
    """Give the text at each of many moments, where there are too many changes."""
    from_ms, to_ms = which.from_ms, which.to_ms
    at: dict[int, str] = {}
    for one in _clipped(connection, found, stretches, which):
        first = -(-(one.from_ms - from_ms) // step_ms)
        last = (one.until_ms - 1 - from_ms) // step_ms
        at.update((number, str(one.value)) for number in range(first, last + 1))
    count = (to_ms - from_ms) // step_ms
    nothing = (None,) * count
    return Series(
        key=which.key,
        resolution_s=max(1, step_ms // 1000),
        is_step=True,
        t=tuple((from_ms + number * step_ms) / 1000 for number in range(count)),
        mean=nothing,
        min=nothing,
        max=nothing,
        texts=tuple(at.get(number) for number in range(count)),
    )


def _rolled(
    connection: sqlite3.Connection,
    which: Which,
    found: Found,
    points: int,
    house: House,
) -> Series:
    from_ms, to_ms = which.from_ms, which.to_ms
    if (to_ms - from_ms) / FIVE_MS + 1 <= points:
        grid = _Grid(from_ms // FIVE_MS * FIVE_MS, FIVE_MS)
        if _by_fives(connection, found, which, grid):
            return grid.series(which, found, to_ms)
    begin_ms = house.hour_of(from_ms)
    hours = max(1, -(-(to_ms - begin_ms) // (HOUR_MS * points)))
    grid = _Grid(begin_ms, hours * HOUR_MS)
    rows = connection.execute(
        "SELECT hour_ms, known_ms, area, low, high FROM hours WHERE series = ? AND "
        "hour_ms >= ? AND hour_ms < ?",
        (found.number, begin_ms, to_ms),
    )
    for hour_ms, *figures in rows:
        grid.take(hour_ms, Bucket(*figures))
    for stretch, course in unrolled(connection, found, from_ms, to_ms):
        grid.take(max(stretch.hour_ms, begin_ms), course.whole())
    return grid.series(which, found, to_ms)


def _by_fives(
    connection: sqlite3.Connection, found: Found, which: Which, grid: _Grid
) -> bool:
    """Fill a grid; False if five minutes are not kept so long."""
    from_ms, to_ms = which.from_ms, which.to_ms
    rows = connection.execute(
        "SELECT hour_ms, fives FROM hours WHERE series = ? AND hour_ms > ? AND "
        "hour_ms < ?",
        (found.number, from_ms - HOUR_MS, to_ms),
    )
    for hour_ms, fives in rows:
        if fives is None:
            return False
        _fill(grid, hour_ms, unpacked(fives), to_ms)
    for stretch, course in unrolled(connection, found, from_ms, to_ms):
        _fill(grid, stretch.hour_ms, course.buckets, to_ms)
    return True


def _fill(grid: _Grid, hour_ms: int, buckets: Mapping[int, Bucket], to_ms: int) -> None:
    for number, bucket in buckets.items():
        at_ms = hour_ms + number * FIVE_MS
        if grid.from_ms <= at_ms < to_ms:
            grid.take(at_ms, bucket)


def recent_courses(
    connection: sqlite3.Connection, asked: Sequence[Which], from_ms: int, to_ms: int
) -> dict[str, Series]:
    """Give what many figures were in each minute, as it ended, by one question."""
    founds = {
        found.number: (which, found)
        for which in asked
        if (found := find(connection, which)) is not None and found.table == "figures"
    }
    first = from_ms // _MINUTE_MS
    count = max(0, -(-to_ms // _MINUTE_MS) - first)
    courses: dict[int, list[float | None]] = {one: [None] * count for one in founds}
    numbers = json.dumps(list(founds))
    for stretch in stretches_in(connection, from_ms, to_ms) if founds else ():
        if not stretch.has_raw:
            continue
        shift = stretch.from_ms % _MINUTE_MS
        bounds = bounds_of(connection.execute, "figures", stretch.number)
        rows = connection.execute(
            "SELECT series, (after_ms + ?) / 60000 AS minute, value, max(number) "
            "FROM figures WHERE number >= ? AND number < ? AND series IN "
            "(SELECT value FROM json_each(?)) GROUP BY series, minute "
            "ORDER BY series, minute",
            (shift, *bounds, numbers),
        ).fetchall()
        begin = stretch.from_ms // _MINUTE_MS - first
        end = min(count, -(-stretch.until_ms // _MINUTE_MS) - first)
        for row, after in pairwise([*rows, (None, 0, None, 0)]):
            until = begin + after[1] if after[0] == row[0] else end
            course = courses[row[0]]
            for minute in range(max(0, begin + row[1]), min(until, end)):
                course[minute] = row[2]
    times = tuple(float((first + number) * 60) for number in range(count))
    return {
        which.key: Series(
            key=which.key,
            unit=found.series.unit or None,
            resolution_s=60,
            t=times,
            mean=tuple(courses[number]),
            min=tuple(courses[number]),
            max=tuple(courses[number]),
        )
        for number, (which, found) in founds.items()
    }
