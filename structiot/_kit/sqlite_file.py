"""An SQLite file of our own: made for its owner alone, set aside when it is damaged."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from structiot._kit.sqlite_schema import schema_fault, text_or_bytes
from structiot._kit.text import printable
from structiot.errors import ConfigError

__all__ = [
    "lock_sqlite_file",
    "may_pass",
    "open_in_memory",
    "open_sqlite_file",
    "set_aside",
]

# How long another program may be writing while we open it.
_BUSY_S = 1.0
_FIRST_WORDS = b"SQLite format 3\0"
# A page at least.
_LEAST_BYTES = 512
_ID_AT = 68
_ID_BYTES = 4
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PASSING = {*_IN_USE, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_PASSING_ERRNOS = {errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}


def lock_sqlite_file(path: Path, *, busy_s: float = _BUSY_S) -> sqlite3.Connection:
    """Keep other programs, and others in this one, from what only one may write.

    The lock is a file of its own beside the other, so that others may still read that.
    The system gives it back when a process ends, however it ends.

    Args:
        path: The other file.
        busy_s: How long who is just ending may still have it.

    Returns:
        What has the lock; to close it is to give it back.

    Raises:
        ConfigError: Somebody else has it.
        OSError: There can be no such file.
        sqlite3.OperationalError: The lock cannot be written, as on a full disk.
    """
    name = path.with_name(path.name + "-lock")
    os.close(os.open(name, os.O_CREAT | os.O_RDWR, 0o600))
    lock = sqlite3.connect(name, check_same_thread=False, timeout=busy_s)
    try:
        # SQLite locks a file on each system as it is done there.
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as exc:
        lock.close()
        if _kind_of(exc) not in _IN_USE:
            raise
        raise ConfigError(f"{path} is in use by another program") from exc
    return lock


def open_sqlite_file(
    path: Path,
    schema: str,
    *,
    program_id: int,
    version: int = 0,
    is_durable: bool = False,
    is_checked: bool = True,
) -> sqlite3.Connection:
    """Open a file, which is made with its folder; for one thread at a time.

    What is somebody else's is not touched: neither changed nor closed to others.

    Args:
        path: The file.
        schema: The statements that make what it holds where that is not there yet.
        program_id: What marks it as ours, SQLite's `application_id`.
        version: Of the schema, SQLite's `user_version`.
        is_durable: Whether each commit is to outlive a power cut; else the last may not.
        is_checked: Whether all of it is looked through, which takes a while.

    Returns:
        A connection without transactions of its own making.

    Raises:
        ConfigError: There is something that is none of ours, or of a later version.
        sqlite3.OperationalError: It cannot be opened now.
        sqlite3.DatabaseError: It is ours, and damaged.
        OSError: It cannot be made, or nobody may write to it.
        ValueError: No file has such a name.
    """
    is_marked = _is_marked(path, program_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        # Made here, for SQLite would let others read it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    try:
        connection = _prepared(
            str(path),
            schema,
            0 if is_marked else program_id,
            version,
            is_durable=is_durable,
            is_checked=is_checked,
        )
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as exc:
        if is_marked:
            raise
        raise _not_ours(path, str(exc)) from None
    path.chmod(0o600)
    return connection


def _is_marked(path: Path, program_id: int) -> bool | None:
    """Tell whether a file bears our mark; None if there is none yet.

    One without any mark may still be ours, and begun just now: what it holds tells.
    """
    if not path.exists():
        return None
    if not path.is_file():
        # A pipe would be read without end.
        raise _not_ours(path, "it is no file")
    status = path.stat()
    if not status.st_mode & stat.S_IWUSR:
        # It would be opened all the same, and not be read-only any more.
        raise OSError(errno.EACCES, "it is read-only", str(path))
    size = status.st_size
    if not size:
        return None
    # SQLite takes a short file for an empty one.
    found = _mark_of(path) if size >= _LEAST_BYTES else None
    if found is None:
        with path.open("rb") as file:
            head = file.read(_ID_AT + _ID_BYTES)
        # As a power cut may leave it.
        if not head.strip(b"\0") or _FIRST_WORDS.startswith(head):
            raise sqlite3.DatabaseError("it is no database")
        if not head.startswith(_FIRST_WORDS):
            raise _not_ours(path, "it is no database")
        found = int.from_bytes(head[_ID_AT:])
    if found not in {0, program_id}:
        raise _not_ours(path, "it is the database of another program")
    return found == program_id


def _mark_of(path: Path) -> int | None:
    """Read the mark by SQLite alone; None if it cannot read the file.

    Whoever closes a file gives back all locks that the process has on it, those of
    another connection too.
    """
    name = f"file:{quote(str(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(name, uri=True, timeout=_BUSY_S)) as connection:
            (found,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return None
    return int(found)


def _not_ours(path: Path, why: str) -> ConfigError:
    shown = printable(str(path))
    return ConfigError(f"{shown} cannot be used, and is left alone: {why}")


def open_in_memory(schema: str) -> sqlite3.Connection:
    """Open the same without a file."""
    return _prepared(":memory:", schema, 0, 0)


def may_pass(error: Exception) -> bool:
    """Tell whether a file may be used later that cannot be used now.

    Another program is writing it, or the disk is full, or does not answer.
    """
    if isinstance(error, OSError):
        return error.errno in _PASSING_ERRNOS
    return _kind_of(error) in _PASSING


def _kind_of(error: Exception) -> int:
    # Which error of the disk it is stands in the bits above.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def set_aside(path: Path, *, keeps_earlier: bool = False) -> Path:
    """Move a damaged file out of the way, for whoever wants to look; never raises.

    Args:
        path: The file.
        keeps_earlier: Whether one that was set aside before stays.

    Returns:
        Where it is now, if it could be moved.
    """
    aside, number = Path(f"{path}.damaged"), 1
    while keeps_earlier and aside.exists():
        number += 1
        aside = Path(f"{path}.damaged{number}")
    with suppress(OSError):
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{path}{ending}").replace(f"{aside}{ending}")
    return aside


def _prepared(
    name: str,
    schema: str,
    mark: int,
    version: int,
    *,
    is_durable: bool = False,
    is_checked: bool = True,
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, check_same_thread=False, timeout=_BUSY_S, isolation_level=None
    )
    try:
        connection.text_factory = text_or_bytes
        found = _check(connection, name, schema, version)
        if is_checked:
            _look_through(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'NORMAL'}")
        (marked,) = connection.execute("PRAGMA application_id").fetchone()
        is_new = found < version or bool(mark and marked != mark)
        # Of one that is made nothing is written: somebody may be writing it.
        if is_new or schema_fault(connection, schema):
            marks = f"PRAGMA user_version={version};"
            if mark:
                marks += f"PRAGMA application_id={mark};"
            # At once: nobody finds a part of it, also if this is killed.
            connection.executescript(f"BEGIN IMMEDIATE;{schema};{marks}COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, name: str, schema: str, version: int) -> int:
    """Look at a file before anything is written; give its version."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > version:
        why = f"it is of version {found}, and only {version} is known here"
        raise _not_ours(Path(name), why)
    if fault := schema_fault(connection, schema, may_lack=True):
        raise _not_ours(Path(name), fault)
    return int(found)


def _look_through(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
