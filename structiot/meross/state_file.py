"""A file of an account as it is written: behind what waits for nobody, and never lost.

Another program that uses the file may hold it for long, and a disk may be full. What is to
be written waits in memory then, and is written by a background task as soon as it can be;
whoever gave it goes on, and it is said once.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from structiot._kit.flow.backoff import Backoff
from structiot._kit.sqlite_file import (
    may_pass,
    open_in_memory,
    open_sqlite_file,
    set_aside,
)
from structiot.errors import ConfigError

__all__ = ["StateFile"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, at_s REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_PROGRAM_ID: Final = int.from_bytes(b"sMer")
# Programs that share a file write for a few milliseconds each.
_BUSY_MS: Final = 100
_BACKOFF: Final = Backoff(first_s=1.0, cap_s=60.0)
_LAST_BUSY_MS: Final = 2_000

_log = logging.getLogger("structiot.meross")

T = TypeVar("T")


class StateFile(ABC):
    """An SQLite file, or the same in memory; whoever derives says what is written.

    Args:
        path: The file; None is one in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        # None while it cannot even be opened: another program has it, or the disk is full.
        self._connection: sqlite3.Connection | None = None
        self._is_in_memory = False
        self._lock = anyio.Lock()
        # Whether what waits is left to `run`.
        self._is_behind = False
        self._is_late = anyio.Event()
        self._is_said = False

    @property
    @abstractmethod
    def _waiting(self) -> int:
        """How many entries wait to be written."""

    @abstractmethod
    def _take(self) -> Callable[[sqlite3.Connection], Callable[[], None]]:
        """Give what writes all that waits, in a thread, and gives what notes that."""

    @abstractmethod
    def _unsure(self) -> None:
        """Take it that nobody knows what the file has held."""

    async def begin(self) -> None:
        """Open the file; one that cannot be used is done without.

        Raises:
            ConfigError: It is something else.
        """
        if await anyio.to_thread.run_sync(self._begin):
            self._unsure()

    async def run(self) -> None:
        """Write what could not be written as soon as it can be, until cancelled."""
        delays = _BACKOFF.start()
        while True:
            await self._is_late.wait()
            self._is_late = anyio.Event()
            await anyio.sleep(delays.next_delay_s() or _BACKOFF.cap_s)
            async with self._lock:
                if await self._attempt():
                    delays = _BACKOFF.start()

    async def end(self) -> None:
        """Write what waits, if that can be in a moment, and close the file."""
        write = self._take() if self._waiting else None
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._end, write)

    async def _write(self) -> None:
        """Have what waits be written, now or by `run`."""
        if not self._is_behind:
            async with self._lock:
                if not self._is_behind:
                    await self._attempt()

    async def _attempt(self) -> bool:
        done = None
        if self._waiting:
            done = await self._in_transaction("BEGIN IMMEDIATE", self._take())
            if done is None and not self._is_in_memory:
                self._is_behind = True
                self._is_late.set()
                return False
        self._is_behind = False
        if done is not None:
            done()
            if self._is_said:
                self._is_said = False
                _log.info("%s is written again", self._path)
        return True

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Read something, which a program that is writing does not hinder."""
        async with self._lock:
            if self._connection is None:
                return None
            return await self._in_transaction("BEGIN", work)

    async def _in_transaction(
        self, begin: str, work: Callable[[sqlite3.Connection], T]
    ) -> T | None:
        def transaction() -> T:
            connection = self._connection or self._open()
            with connection:
                connection.execute(begin)
                return work(connection)

        try:
            return await anyio.to_thread.run_sync(transaction)
        except (OSError, sqlite3.Error, ConfigError) as exc:
            if not self._is_said:
                self._is_said = True
                _log.warning("%s cannot be used: %s", self._path, exc)
            if not isinstance(exc, OSError | sqlite3.OperationalError):
                # It will not get better.
                self._use_memory()
            return None

    # ------------------------------------------------------------ in a thread

    def _open(self) -> sqlite3.Connection:
        assert self._path is not None  # noqa: S101 - in memory it is open
        opened = open_sqlite_file(self._path, _SCHEMA, program_id=_PROGRAM_ID)
        opened.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        self._connection = opened
        return opened

    def _use_memory(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._is_in_memory = True
        self._connection = open_in_memory(_SCHEMA)

    def _begin(self) -> bool:
        """Open the file; tell whether it is there, and nobody knows what it holds."""
        path, is_unsure = self._path, False
        was_there = os.path.exists(path or "")  # noqa: PTH110 - never raises
        try:
            if path is not None:
                self._open()
        except ConfigError as exc:
            exc.add_note("state_file= names another")
            raise
        except (OSError, ValueError, sqlite3.Error) as exc:
            is_unsure = was_there
            what_now = "so little is sent at first" if is_unsure else "nothing is kept"
            _log.warning("%s cannot be used, %s: %s", path, what_now, exc)
            self._is_said = True
            if may_pass(exc):
                self._is_behind = True
                self._is_late.set()
                return is_unsure
            if path is not None and type(exc) is sqlite3.DatabaseError:
                set_aside(path)
                with suppress(OSError, sqlite3.Error):
                    self._open()
                    self._is_said = False
        if self._connection is None:
            self._use_memory()
        return is_unsure

    def _end(self, write: Callable[[sqlite3.Connection], object] | None) -> None:
        try:
            if write is not None:
                connection = self._connection or self._open()
                connection.execute(f"PRAGMA busy_timeout={_LAST_BUSY_MS}")
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    write(connection)
        except (OSError, sqlite3.Error, ConfigError) as exc:
            _log.warning("%s: %d entries are lost: %s", self._path, self._waiting, exc)
        finally:
            if self._connection is not None:
                self._connection.close()
