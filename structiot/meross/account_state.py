"""What an account remembers from one program to the next, in an SQLite file of mode 0600.

It holds the messages of the last hour, so that nobody is banned over a restart, why a
sign-in was refused, and what devices can. All of it may be lost: a file that is damaged
is set aside, one that cannot be written is said once, and nothing waits for either. Several
programs may use a file at a time; each message is written down before it is sent, and who
writes learns what the others have sent before.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import anyio
import anyio.to_thread

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.json_text import compact, parse_object
from structiot._kit.sqlite_file import open_in_memory, open_sqlite_file, set_aside
from structiot.errors import ProtocolViolation

__all__ = [
    "AN_HOUR_S",
    "EVERYBODY",
    "AccountState",
    "SentEarlier",
    "open_account_state",
]

AN_HOUR_S: Final = 3_600.0
# In the place of a device: nobody knows what was sent before, to any of them.
EVERYBODY: Final = ""
_MOST_KEPT: Final = 4_096
_MOST_CHARACTERS: Final = 32_768
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, at_s REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class SentEarlier(NamedTuple):
    """A message that another program has sent, or this one before it was started."""

    device: str
    age_s: float


class AccountState:
    """The open file; made by `open_account_state`, safe to use from several tasks.

    Args:
        path: The file; None remembers nothing beyond this object.
        environment: Tells the time.
    """

    def __init__(self, path: Path | None, environment: Environment) -> None:
        self._path = path
        self._environment = environment
        self._connection: sqlite3.Connection | None = None
        self._is_in_memory = False
        self._last_id = 0
        self._lock = anyio.Lock()
        self._trouble = ""

    # ------------------------------------------------------------ messages

    async def sent_earlier(self) -> list[SentEarlier]:
        """Give the messages of the last hour that were not given before."""
        now_s = self._now_s()
        return await self._do(lambda connection: self._news(connection, now_s), [])

    async def note(self, device: str) -> tuple[int, list[SentEarlier]]:
        """Write down a message that is about to be sent.

        Returns:
            Its number, and the messages before it that were not given yet.
        """
        if self._is_in_memory:
            # Nobody else reads it: a thread for each message would be for nothing.
            return 0, []
        now_s = self._now_s()

        def work(connection: sqlite3.Connection) -> tuple[int, list[SentEarlier]]:
            news = self._news(connection, now_s)
            return self._insert(connection, device, now_s), news

        return await self._do(work, (0, []))

    async def take_back(self, number: int) -> None:
        """Delete a message that was written down: it is not sent."""
        query = "DELETE FROM sent WHERE id = ?"
        await self._do(lambda connection: connection.execute(query, (number,)), None)

    def _news(self, connection: sqlite3.Connection, now_s: float) -> list[SentEarlier]:
        connection.execute("DELETE FROM sent WHERE at_s <= ?", (now_s - AN_HOUR_S,))
        # What seems to be of the future was sent before the clock was set back.
        connection.execute("UPDATE sent SET at_s = ? WHERE at_s > ?", (now_s, now_s))
        query = "SELECT id, device, at_s FROM sent WHERE id > ? ORDER BY id"
        news = []
        for number, device, at_s in connection.execute(query, (self._last_id,)):
            self._last_id = number
            if isinstance(device, str):
                news.append(SentEarlier(device, now_s - at_s))
        return news

    def _insert(self, connection: sqlite3.Connection, device: str, now_s: float) -> int:
        query = "INSERT INTO sent (device, at_s) VALUES (?, ?)"
        self._last_id = connection.execute(query, (device, now_s)).lastrowid or 0
        return self._last_id

    def _now_s(self) -> float:
        return self._environment.now_utc().timestamp()

    # ------------------------------------------------------------ what else is kept

    async def keep(self, name: str, value: Mapping[str, object] | None) -> None:
        """Keep a value under a name, or none any more."""
        text = compact(value, is_ascii=True) if value is not None else ""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM kept WHERE name = ?", (name,))
            (count,) = connection.execute("SELECT count(*) FROM kept").fetchone()
            if 0 < len(text) <= _MOST_CHARACTERS and count < _MOST_KEPT:
                connection.execute("INSERT INTO kept VALUES (?, ?)", (name, text))

        await self._do(work, None)

    async def kept(self, prefix: str) -> dict[str, dict[str, object]]:
        """Give all that is kept under names that begin so, by the rest of these."""

        def work(connection: sqlite3.Connection) -> dict[str, dict[str, object]]:
            query = (
                "SELECT name, value FROM kept "
                "WHERE substr(name, 1, ?) = ? AND length(value) <= ? LIMIT ?"
            )
            bounds = (len(prefix), prefix, _MOST_CHARACTERS, _MOST_KEPT)
            found = {}
            for name, text in connection.execute(query, bounds):
                if isinstance(name, str) and isinstance(text, str):
                    with suppress(ProtocolViolation):
                        found[name[len(prefix) :]] = parse_object(text.encode(), "kept")
            return found

        return await self._do(work, {})

    # ------------------------------------------------------------ the file

    async def _do(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do something in a transaction of its own, in a thread."""

        def transaction() -> T:
            connection = self._connection
            assert connection is not None  # noqa: S101 - see `open_account_state`
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                return work(connection)

        async with self._lock:
            try:
                return await anyio.to_thread.run_sync(transaction)
            except sqlite3.Error as exc:
                if self._trouble != str(exc):
                    self._trouble = str(exc)
                    _log.warning("%s cannot be used: %s", self._path, exc)
                return otherwise

    def open(self, now_s: float) -> None:
        """Open the file, in a thread; one that cannot be used is done without."""
        path, is_unsure = self._path, False
        if path is not None:
            try:
                self._connection = open_sqlite_file(path, _SCHEMA)
            except (OSError, ValueError, sqlite3.Error) as exc:
                is_unsure = os.path.exists(path)  # noqa: PTH110 - never raises
                what_now = (
                    "so little is sent at first" if is_unsure else "nothing is kept"
                )
                _log.warning("%s cannot be used, %s: %s", path, what_now, exc)
                # What is not ours, or cannot be read now, is left as it is.
                if type(exc) is sqlite3.DatabaseError:
                    set_aside(path)
                    with suppress(OSError, sqlite3.Error):
                        self._connection = open_sqlite_file(path, _SCHEMA)
        self._is_in_memory = self._connection is None
        self._connection = self._connection or open_in_memory(_SCHEMA)
        if is_unsure:
            self._insert(self._connection, EVERYBODY, now_s)
            self._last_id = 0

    def close(self) -> None:
        """Close the file, in a thread."""
        if self._connection is not None:
            self._connection.close()


@asynccontextmanager
async def open_account_state(
    path: Path | None, *, environment: Environment = SYSTEM_ENVIRONMENT
) -> AsyncGenerator[AccountState]:
    """Open an account's file for the length of the block.

    Args:
        path: The file, whose folder is made; None remembers nothing.
        environment: Tells the time.

    Yields:
        What it holds. Of a file that could not be read it is not known what was sent.
    """
    state = AccountState(path, environment)
    now_s = environment.now_utc().timestamp()
    await anyio.to_thread.run_sync(state.open, now_s)
    try:
        yield state
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(state.close)
