"""Stretches of a history's file: begun, added to, and rolled up into hours when over.

No two have a moment in common. Where the clock was set back into a time that the file
has already, what is told is lost until that time is over: what was told first stands.
A counter's gain is never counted from a stretch that lies later in time; what it gains
while nothing is written came in a gap of that length.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from structiot.gateway.history.backlog import Part, Row, Stretch
from structiot.gateway.history.hours import HOUR_MS
from structiot.gateway.history.rollups import (
    Bucket,
    Course,
    Meter,
    merged,
    packed,
    unpacked,
)

__all__ = ["Rolling", "bounds_of", "meter_before", "rows_of"]

RawRow: TypeAlias = tuple[int, int, object]


@dataclass(slots=True)
class _Open:
    """The stretch that is written.

    Attributes:
        number: Its number in the file; None while the file has this time already.
        from_ms: Where it begins.
        hour_ms: Its hour.
        until_ms: As far as it is written.
        limit_ms: Where time begins that the file has already; None if nowhere.
        resume_ms: Where that time ends.
        courses: What has been told in it.
    """

    number: int | None
    from_ms: int
    hour_ms: int
    until_ms: int = 0
    limit_ms: int | None = None
    resume_ms: int | None = None
    courses: dict[int, Course] = field(default_factory=dict)


class Rolling:
    """The stretches of an open file, within the transactions of its writer.

    Attributes:
        resume_ms: When a stretch is to be begun anew; None if all is well.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.resume_ms: int | None = None
        self._execute = connection.execute
        self._executemany = connection.executemany
        self._open: _Open | None = None
        self._meters: dict[int, Meter] = {}
        self._units: dict[int, str] = {}
        self._next_figure = self._next("figures", "first_figure")
        self._next_step = self._next("steps", "first_step")

    def _next(self, table: str, first: str) -> int:
        query = f"SELECT max(number) FROM {table}"  # noqa: S608 - our own names
        (last,) = self._execute(query).fetchone()
        query = f"SELECT max({first}) FROM stretches"  # noqa: S608
        (begun,) = self._execute(query).fetchone()
        return max((last or 0) + 1, begun or 1)

    @property
    def is_open(self) -> bool:
        """Whether there is a stretch that parts belong to."""
        return self._open is not None

    # ------------------------------------------------------------ begun and added to

    def begin(self, stretch: Stretch, from_ms: int, *, is_whole: bool = True) -> None:
        """Begin a stretch; one that is not over is finished.

        Args:
            stretch: What is begun.
            from_ms: Where, if its beginning was lost.
            is_whole: Whether it was not.
        """
        self.finish()
        self.resume_ms = None if is_whole else 0
        query = "SELECT until_ms FROM stretches ORDER BY number DESC LIMIT 1"
        (before_ms,) = self._execute(query).fetchone() or (from_ms,)
        one = _Open(None, from_ms, stretch.hour_ms, from_ms)
        self._open = one
        self._limit(one)
        if one.limit_ms is not None and one.limit_ms <= from_ms:
            self.resume_ms = one.resume_ms
            return
        if from_ms < before_ms:
            self._meters.clear()
            self._execute("DELETE FROM meters")
        values = (from_ms, from_ms, one.hour_ms)
        cursor = self._execute(
            "INSERT INTO stretches VALUES (NULL, ?, ?, ?, ?, ?, 0, 1)",
            (*values, self._next_figure, self._next_step),
        )
        one.number = cursor.lastrowid

    def _limit(self, one: _Open) -> None:
        """Find what the file has already from its beginning on."""
        row = self._execute(
            "SELECT from_ms, until_ms FROM stretches WHERE until_ms > ? AND number "
            "IS NOT ? ORDER BY until_ms LIMIT 1",
            (one.from_ms, one.number),
        ).fetchone()
        if row is not None:
            one.limit_ms, one.resume_ms = row

    def take(self, part: Part, rows: Sequence[tuple[int, Row]]) -> int:
        """Write a part of the stretch; give how many readings the file had no room for.

        Args:
            part: What is written.
            rows: Its readings, with the numbers of their series.
        """
        one = self._open
        if one is None or one.number is None:
            self._lose(part.until_ms - part.from_ms)
            return len(rows)
        limit_ms = one.limit_ms
        given = len(rows)
        if limit_ms is not None:
            rows = [row for row in rows if row[1][1] < limit_ms]
        figures: list[tuple[object, ...]] = []
        steps: list[tuple[object, ...]] = []
        for number, (series, at_ms, value) in rows:
            after_ms = at_ms - one.from_ms
            if series.kind in {"energy", "figure"}:
                if series.kind == "energy":
                    self._units[number] = series.unit
                figures.append(
                    (self._next_figure + len(figures), number, after_ms, value)
                )
            else:
                steps.append((self._next_step + len(steps), number, after_ms, value))
            if series.kind != "text":
                self._tell(one, number, at_ms, value)
        self._executemany("INSERT INTO figures VALUES (?, ?, ?, ?)", figures)
        self._executemany("INSERT INTO steps VALUES (?, ?, ?, ?)", steps)
        self._next_figure += len(figures)
        self._next_step += len(steps)
        is_over = limit_ms is not None and part.until_ms >= limit_ms
        until_ms = part.until_ms
        if is_over and limit_ms is not None:
            until_ms = limit_ms
        one.until_ms = max(one.until_ms, until_ms)
        self._execute(
            "UPDATE stretches SET until_ms = ? WHERE number = ?",
            (one.until_ms, one.number),
        )
        if is_over:
            resume_ms = one.resume_ms
            self.finish()
            self._open = _Open(None, one.until_ms, one.hour_ms)
            self.resume_ms = resume_ms
            self._lose(part.until_ms - one.until_ms)
        return given - len(rows)

    def _lose(self, ms: int) -> None:
        """Let time pass that is not written: what counters showed is that much older."""
        for meter in self._meters.values():
            meter.told_ms -= ms
            meter.until_ms -= ms
        query = "UPDATE meters SET told_ms = told_ms - ?, until_ms = until_ms - ?"
        self._execute(query, (ms, ms))

    def _tell(self, one: _Open, number: int, at_ms: int, value: object) -> None:
        course = one.courses.get(number)
        if course is None:
            unit = self._units.get(number, "")
            course = one.courses[number] = Course(
                one.from_ms,
                one.hour_ms,
                unit=unit,
                meter=self._meter(number) if unit else None,
            )
        course.tell(at_ms, value)  # type: ignore[arg-type]  # as it was written

    def _meter(self, number: int) -> Meter | None:
        found = self._meters.get(number)
        return meter_before(self._execute, number) if found is None else found

    # ------------------------------------------------------------ rolled up

    def finish(self) -> None:
        """Roll up the stretch, if there is one."""
        one, self._open = self._open, None
        if one is None or one.number is None:
            return
        (others,) = self._execute(
            "SELECT count(*) FROM stretches WHERE until_ms > ? AND until_ms <= ? AND "
            "hour_ms = ? AND is_rolled",
            (one.hour_ms, one.hour_ms + HOUR_MS, one.hour_ms),
        ).fetchone()
        for number, course in one.courses.items():
            course.hold(one.until_ms)
            self._write_hour(number, course, has_others=bool(others))
        query = "UPDATE stretches SET is_rolled = 1 WHERE number = ?"
        self._execute(query, (one.number,))

    def _write_hour(self, number: int, course: Course, *, has_others: bool) -> None:
        meter = course.meter
        if meter is not None:
            self._meters[number] = meter
            self._execute(
                "INSERT OR REPLACE INTO meters VALUES (?, ?, ?, ?)",
                (number, meter.counter, meter.told_ms, meter.until_ms),
            )
        self._executemany(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)",
            [(number, one.from_ms, one.until_ms, one.gained) for one in course.marks],
        )
        if not course.buckets:
            return
        fives, whole = course.buckets, course.whole()
        if has_others:
            row = self._execute(
                "SELECT known_ms, area, low, high, gained, resets, fives FROM hours "
                "WHERE series = ? AND hour_ms = ?",
                (number, course.hour_ms),
            ).fetchone()
            if row is not None:
                *figures, data = row
                whole.take(Bucket(*figures))
                if data is not None:
                    fives = merged(unpacked(data), fives)
        known = (whole.known_ms, whole.area, whole.low, whole.high)
        gained = (whole.gained, whole.resets)
        self._execute(
            "INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, course.hour_ms, *known, *gained, packed(fives)),
        )

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget series that the file has no more: others may get their numbers."""
        for number in numbers:
            self._meters.pop(number, None)
            self._units.pop(number, None)
            if self._open is not None:
                self._open.courses.pop(number, None)

    def recover(self, *, keeping: bool) -> None:
        """Roll up what was cut off, from its readings.

        Args:
            keeping: Whether the last stretch goes on.
        """
        self._units = dict(
            self._execute("SELECT number, unit FROM series WHERE kind = 'energy'")
        )
        texts = {
            number
            for (number,) in self._execute(
                "SELECT number FROM series WHERE kind = 'text'"
            )
        }
        left = self._execute(
            "SELECT number, from_ms, hour_ms, until_ms FROM stretches "
            "WHERE NOT is_rolled ORDER BY number"
        ).fetchall()
        for row in left:
            one = self._open = _Open(*row)
            for table in ("figures", "steps"):
                for number, after_ms, value in rows_of(
                    self._execute, table, one.number or 0
                ):
                    if number not in texts:
                        self._tell(one, number, one.from_ms + after_ms, value)
            self._limit(one)
            if not (keeping and row is left[-1]):
                self.finish()


def meter_before(execute: Callable[..., sqlite3.Cursor], number: int) -> Meter | None:
    """Give what a counter showed before the stretch that is open, if it counts on."""
    query = "SELECT counter, told_ms, until_ms FROM meters WHERE series = ?"
    row = execute(query, (number,)).fetchone()
    return None if row is None else Meter(*row)


def bounds_of(
    execute: Callable[..., sqlite3.Cursor], table: str, number: int
) -> tuple[int, int]:
    """Give the first number of a stretch's readings, and that after the last."""
    first = "first_figure" if table == "figures" else "first_step"
    query = f"SELECT {first} FROM stretches WHERE number >= ? ORDER BY number LIMIT 2"  # noqa: S608
    found = [one for (one,) in execute(query, (number,))]
    return found[0], found[1] if len(found) > 1 else 1 << 62


def rows_of(
    execute: Callable[..., sqlite3.Cursor], table: str, number: int
) -> Iterable[RawRow]:
    """Give the readings of a stretch in order: series, milliseconds after it began, value."""
    query = (
        f"SELECT series, after_ms, value FROM {table} "  # noqa: S608
        "WHERE number >= ? AND number < ? ORDER BY number"
    )
    found: Iterable[RawRow] = execute(query, bounds_of(execute, table, number))
    return found
