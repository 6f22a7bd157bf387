"""Whether an SQLite file is built as one of ours, and text in it that may be anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing

__all__ = ["schema_fault", "text_or_bytes"]


def text_or_bytes(raw: bytes) -> str | bytes:
    """Read a text; what is no UTF-8 stays what it is, so that its row alone is lost."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def schema_fault(
    connection: sqlite3.Connection, schema: str, *, may_lack: bool = False
) -> str | None:
    """Say what of a file is not as a schema makes it; None if it is all the same.

    Args:
        connection: The open file.
        schema: The statements that make it.
        may_lack: Whether tables may be missing, as the schema is to be applied yet.
    """
    with closing(sqlite3.connect(":memory:")) as ours:
        ours.executescript(schema)
        wanted, found = _parts(ours), _parts(connection)
    for name, part in found.items():
        if name not in wanted:
            return f"it has a {part[0]} {name!r}, which is none of ours"
        if part != wanted[name]:
            return f"its {part[0]} {name!r} is not as we make it"
    missing = wanted.keys() - found.keys()
    if missing and not may_lack:
        return f"it has no {wanted[min(missing)][0]} {min(missing)!r}"
    return None


def _parts(connection: sqlite3.Connection) -> dict[str, tuple[object, ...]]:
    query = "SELECT name, type FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
    columns = 'SELECT name, type, "notnull", pk FROM pragma_table_info(?)'
    return {
        str(name): (kind, *connection.execute(columns, (name,)))
        for name, kind in connection.execute(query)
    }
