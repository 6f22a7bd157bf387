"""An SQLite file of our own: made for its owner alone, set aside when it is damaged."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from structiot._kit.sqlite_schema import schema_fault, text_or_bytes

__all__ = ["open_in_memory", "open_sqlite_file", "set_aside"]

# How long another program may be writing.
_BUSY_S = 5.0
_FIRST_WORDS = b"SQLite format 3\0"


def open_sqlite_file(path: Path, schema: str) -> sqlite3.Connection:
    """Open a file, which is made with its folder; for one thread at a time.

    Args:
        path: The file.
        schema: The statements that make what it holds where that is not there yet.

    Returns:
        A connection without transactions of its own making.

    Raises:
        sqlite3.OperationalError: It cannot be opened now, or holds something else.
        sqlite3.DatabaseError: It is damaged, or no database.
        OSError: It cannot be made.
        ValueError: No file has such a name.
    """
    if path.exists() and not path.is_file():
        # A pipe would be read without end, and a device be closed to others.
        raise sqlite3.OperationalError("it is no file, and is left alone")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made here, for SQLite would let others read it.
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(file, 0o600)
        # SQLite takes a short file for an empty one.
        if os.read(file, len(_FIRST_WORDS)) not in {b"", _FIRST_WORDS}:
            raise sqlite3.DatabaseError("it is no database")
    finally:
        os.close(file)
    return _prepared(str(path), schema)


def open_in_memory(schema: str) -> sqlite3.Connection:
    """Open the same without a file."""
    return _prepared(":memory:", schema)


def set_aside(path: Path) -> None:
    """Move a damaged file out of the way, for whoever wants to look; never raises."""
    with suppress(OSError):
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{path}{ending}").replace(f"{path}.damaged{ending}")


def _prepared(name: str, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, check_same_thread=False, timeout=_BUSY_S, isolation_level=None
    )
    try:
        connection.text_factory = text_or_bytes
        fault = schema_fault(connection, schema, may_lack=True)
        if fault is None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    if fault is not None:
        connection.close()
        raise sqlite3.OperationalError(fault)
    return connection
