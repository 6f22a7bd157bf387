"""Questions to the file of a history: in worker threads, bounded in time, cancellable."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread

from structiot._kit.sqlite_schema import text_or_bytes
from structiot._kit.text import printable
from structiot.errors import ConfigError, ReplyTimeout, UsageError
from structiot.gateway.history.schema import PROGRAM_ID, VERSION

__all__ = ["Reader", "asked"]

T = TypeVar("T")

ANSWER_S = 10.0
# How many of SQLite's steps go by between two looks at the clock: a few milliseconds.
_STEPS = 20_000
_AT_ONCE = 2


class Reader:
    """Asks a file.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def ask(self, question: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """Ask the file; whoever is cancelled ends the question.

        Args:
            question: Reads from a connection, in one transaction.
            nothing: The answer where there is no file yet.

        Raises:
            ReplyTimeout: It did not answer in ten seconds.
            ConfigError: It cannot be read now.
        """
        given_up = Event()
        try:
            return await anyio.to_thread.run_sync(
                lambda: asked(self.path, question, nothing, given_up),
                limiter=self._limiter,
                abandon_on_cancel=True,
            )
        finally:
            given_up.set()


def asked(
    path: Path,
    question: Callable[[sqlite3.Connection], T],
    nothing: T,
    given_up: Event | None = None,
    *,
    answer_s: float = ANSWER_S,
) -> T:
    """Ask a file; blocks. See `Reader.ask`."""
    deadline = time.monotonic() + answer_s

    def is_over() -> bool:
        is_given_up = given_up is not None and given_up.is_set()
        return is_given_up or time.monotonic() > deadline

    name = f"file:{quote(str(path))}?mode=ro"
    try:
        if not path.exists() or not path.stat().st_size:
            return nothing
        with closing(sqlite3.connect(name, uri=True, isolation_level=None)) as one:
            one.text_factory = text_or_bytes
            one.set_progress_handler(is_over, _STEPS)
            one.execute("BEGIN")
            if not _is_made(path, one):
                return nothing
            return question(one)
    except (ConfigError, UsageError):
        raise
    # In a damaged file may be anything, also what no arithmetic takes.
    except Exception as exc:
        if is_over():
            message = f"the history did not answer within {answer_s:g} s"
            raise ReplyTimeout(message, request="history", after_s=answer_s) from None
        raise _fault(path, str(exc)) from exc


def _is_made(path: Path, connection: sqlite3.Connection) -> bool:
    """Tell a history from a file that is only being made; raises if it is neither."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    found = connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    if not mark and found is None:
        return False
    if mark != PROGRAM_ID or version > VERSION:
        raise _fault(path, "it is no history, or of a later version")
    return True


def _fault(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the history {printable(str(path))} cannot be read: {printable(why)}"
    )
