"""What of a history is let go, as it is old enough; within a transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from structiot.gateway.history.rolling import bounds_of

__all__ = ["Keep", "forget_series", "let_go", "take_out"]

# How many stretches lose their readings in one commit: a day's.
_MOST_STRETCHES = 24
_DAY_MS = 86_400_000
_MOST_SERIES = 100_000
_RAW = ("figures", "steps")
_SILENT = """
SELECT number, coalesce(
    (SELECT max(hour_ms) FROM hours WHERE hours.series = series.number),
    (SELECT max(at_ms) FROM occurrences AS its WHERE its.series = series.number),
    (SELECT max(marks.until_ms) FROM marks WHERE marks.series = series.number)
) AS latest_ms FROM series WHERE latest_ms IS NULL OR latest_ms < ? ORDER BY latest_ms
"""
_BY_SERIES = ("hours", "marks", "meters", "occurrences")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """From when on something is kept; None is for ever.

    Attributes:
        raw_ms: Readings as they were told, and what happened.
        fives_ms: Courses by five minutes.
        hours_ms: Courses by hours.
    """

    raw_ms: int | None = None
    fives_ms: int | None = None
    hours_ms: int | None = None


def let_go(connection: sqlite3.Connection, keep: Keep, *, at_once: bool = False) -> int:
    """Let go of what is old; give how many raw readings went.

    Args:
        connection: The file, in a transaction.
        keep: What stays.
        at_once: Whether all goes; else what goes by and by, with later calls.
    """
    gone = 0
    if keep.raw_ms is not None:
        gone = _raw(connection, keep.raw_ms, None if at_once else _MOST_STRETCHES)
    for name, before_ms in (("fives", keep.fives_ms), ("hours", keep.hours_ms)):
        if before_ms is not None:
            _hours(connection, name, before_ms, at_once=at_once)
    return gone


def _raw(connection: sqlite3.Connection, before_ms: int, most: int | None) -> int:
    execute = connection.execute
    found = execute(
        "SELECT number FROM stretches WHERE until_ms < ? AND has_raw AND is_rolled "
        "ORDER BY until_ms LIMIT ?",
        (before_ms, -1 if most is None else most),
    ).fetchall()
    gone = 0
    for (number,) in found:
        for table in _RAW:
            query = f"DELETE FROM {table} WHERE number >= ? AND number < ?"  # noqa: S608
            gone += execute(query, bounds_of(execute, table, number)).rowcount
        execute("UPDATE stretches SET has_raw = 0 WHERE number = ?", (number,))
    if found:
        series = "(SELECT number FROM series WHERE kind = 'event')"
        execute(
            f"DELETE FROM occurrences WHERE series IN {series} AND at_ms < ?",  # noqa: S608
            (before_ms,),
        )
    return gone


def _hours(
    connection: sqlite3.Connection, name: str, before_ms: int, *, at_once: bool
) -> None:
    """Go on where the last time ended, a day or more at a time."""
    execute = connection.execute
    query = "SELECT value FROM facts WHERE name = ?"
    (done_ms,) = execute(query, (name,)).fetchone() or (0,)
    if before_ms - done_ms < (1 if at_once else _DAY_MS):
        return
    numbers = [one for (one,) in execute("SELECT number FROM series")]
    where = "WHERE series = ? AND hour_ms >= ? AND hour_ms < ?"
    what = "UPDATE hours SET fives = NULL" if name == "fives" else "DELETE FROM hours"
    for number in numbers:
        execute(f"{what} {where}", (number, done_ms, before_ms))
        if name == "hours":
            query = "DELETE FROM marks WHERE series = ? AND until_ms < ?"
            execute(query, (number, before_ms))
    query = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
    execute(query, (name, before_ms))


def forget_series(
    connection: sqlite3.Connection,
    keep: Keep,
    *,
    at_once: bool = False,
) -> list[int]:
    """Forget series of which nothing is left, once a day; give their numbers.

    So devices that have come and gone do not stay in the file for ever. Of more series than
    a large fleet has, those go, too, that have no readings and whose hours are the oldest.

    Args:
        connection: The file, in a transaction, once `let_go` has been called.
        keep: What stays.
        at_once: Whether it is done also if it was today already.
    """
    execute = connection.execute
    if keep.raw_ms is None:
        return []
    query = "SELECT value FROM facts WHERE name = 'series'"
    (done_ms,) = execute(query).fetchone() or (0,)
    # Also where the clock was set back.
    if not at_once and abs(keep.raw_ms - done_ms) < _DAY_MS:
        return []
    query = "INSERT OR REPLACE INTO facts VALUES ('series', ?)"
    execute(query, (keep.raw_ms,))
    # What has a younger hour was told, and need not be looked for among the readings.
    silent = execute(_SILENT, (keep.raw_ms,)).fetchall()
    (count,) = execute("SELECT count(*) FROM series").fetchone()
    empty = [number for number, latest_ms in silent if latest_ms is None]
    oldest = [number for number, latest_ms in silent if latest_ms is not None]
    gone = [*empty, *oldest[: max(0, count - len(empty) - _MOST_SERIES)]]
    if gone:
        left = _with_readings(connection, gone)
        gone = [number for number in gone if number not in left]
    for number in gone:
        take_out(connection, number, has_readings=False)
    return gone


def _with_readings(connection: sqlite3.Connection, numbers: list[int]) -> set[int]:
    """Look which of some series have readings: all readings are gone through."""
    execute = connection.execute
    of_kind: dict[bool, set[int]] = {True: set(), False: set()}
    for number, kind in execute("SELECT number, kind FROM series"):
        of_kind[kind in {"energy", "figure"}].add(number)
    found: set[int] = set()
    for table, those in zip(_RAW, (of_kind[True], of_kind[False]), strict=True):
        wanted = those.intersection(numbers)
        if wanted:
            rows = execute(f"SELECT DISTINCT series FROM {table}")  # noqa: S608
            found.update(wanted.intersection(one for (one,) in rows))
    return found


def take_out(
    connection: sqlite3.Connection, number: int, *, has_readings: bool = True
) -> None:
    """Delete a series and all that there is of it.

    Args:
        connection: The file, in a transaction.
        number: That of the series.
        has_readings: Whether it may have some, which takes long to find.
    """
    for table in (*_RAW, *_BY_SERIES) if has_readings else _BY_SERIES:
        query = f"DELETE FROM {table} WHERE series = ?"  # noqa: S608 - our own names
        connection.execute(query, (number,))
    connection.execute("DELETE FROM series WHERE number = ?", (number,))
