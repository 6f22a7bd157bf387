"""What of a history is let go, as it is old enough; within a transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from structiot.gateway.history.rolling import bounds_of

__all__ = ["Keep", "let_go"]

# How many stretches lose their readings in one commit: a day's.
_MOST_STRETCHES = 24
_DAY_MS = 86_400_000


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
        for table in ("figures", "steps"):
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
