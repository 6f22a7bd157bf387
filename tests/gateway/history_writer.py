"""A program that writes a history as fast as it can, and says after each commit which.

It is killed, or the operations on its files are recorded and cut. `whole` tells of a file
whether all is there that was committed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from structiot.gateway.history.backlog import Part, Stretch
from structiot.gateway.history.store import Batch, Store
from tests.gateway.notebook import METER, POWER

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
STEP_MS = HOUR_MS // 6


def parts_of(number: int, stretch: Stretch | None) -> tuple[Part, Stretch | None]:
    """Give ten minutes of readings; six of them are an hour."""
    begin = START_MS + number * STEP_MS
    hour = begin // HOUR_MS * HOUR_MS
    if stretch is None:
        stretch = Stretch(begin, hour, hour + HOUR_MS)
    part = Part(stretch, begin, begin + STEP_MS)
    part.is_last = part.until_ms == stretch.end_ms
    for after in range(50):
        part.add((POWER, begin + after * 1000, float(number * 50 + after)))
    part.add((METER, begin, float(number)))
    return part, None if part.is_last else stretch


def write(path: Path, first: int, count: int) -> None:
    store = Store(path)
    stretch: Stretch | None = None
    number = first
    while not count or number < first + count:
        part, stretch = parts_of(number, stretch)
        store.apply(Batch(parts=[part], lines=b"x value=1 1\n" * 50))
        os.write(1, f"{number}\n".encode())
        number += 1
    store.close()


def next_number(path: Path) -> int:
    """Give what follows all that a file has, told of or not."""
    with closing(sqlite3.connect(path)) as file:
        query = "SELECT max(until_ms) FROM stretches"
        (until_ms,) = file.execute(query).fetchone()
    return int(until_ms - START_MS) // STEP_MS


def whole(path: Path, committed: int) -> str:
    """Open a file as the next start does; say what is wrong, if something is."""
    with closing(sqlite3.connect(path)) as file:
        (verdict,) = file.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            return f"integrity: {verdict}"
    store = Store(path)
    store.open()
    store.close()
    if list(path.parent.glob("*.damaged*")):
        return "it was taken for damaged"
    with closing(sqlite3.connect(path)) as file:
        return _lacking(file, committed)


def _lacking(file: sqlite3.Connection, committed: int) -> str:
    query = (
        "SELECT value FROM figures JOIN series ON series.number = series "
        "WHERE entity = 'power'"
    )
    values = [one for (one,) in file.execute(query)]
    missing = {float(n) for n in range(50 * (committed + 1))} - set(values)
    if missing:
        return f"{len(missing)} readings of {committed} commits are lost"
    later = sum(one >= 50 * (committed + 1) for one in values)
    if later % 50:
        return "a commit is there in part"
    (until_ms,) = file.execute("SELECT max(until_ms) FROM stretches").fetchone()
    (known_ms,) = file.execute(
        "SELECT sum(known_ms) FROM hours JOIN series ON series.number = series "
        "WHERE entity = 'power'"
    ).fetchone()
    if committed >= 0 and known_ms != until_ms - START_MS:
        return f"hours of {known_ms} ms, and readings of {until_ms - START_MS}"
    return ""


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
