"""Has the file of a history written, in a worker thread, and tried again when it cannot be.

Whatever is wrong with the file (a full disk, another gateway, something else in its
place) is said once; readings wait meanwhile, and what is too much of them goes.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from threading import Lock

import anyio
import anyio.to_thread

from structiot._kit.flow.backoff import Backoff
from structiot._kit.text import counted
from structiot.errors import ConfigError
from structiot.gateway.events import GatewayEvent, HistoryFailing, HistoryWritten
from structiot.gateway.history.backlog import Backlog, Part
from structiot.gateway.history.hours import at_utc
from structiot.gateway.history.outbox import Outbox
from structiot.gateway.history.retention import Keep
from structiot.gateway.history.store import (
    Batch,
    Store,
    StoreFacts,
    Written,
    reason_of,
)
from structiot.gateway.status import StoreStatus

__all__ = ["Writer"]

_BACKOFF = Backoff(first_s=1.0, cap_s=300.0, jitter=0.2)

LinesOf = Callable[[Sequence[Part]], bytes]

_log = logging.getLogger(__name__)


class Writer:
    """Writes what waits in a backlog.

    Args:
        path: The file.
        backlog: What waits.
        now_utc: The clock.
        random: Jitter of the attempts.
        emit: Tells what happens to the file.

    Attributes:
        store: The file.
        sent: Numbers of what need not wait for a server any more.
        lines_of: Makes of readings what a server is told; None where there is none.
        lost: How many readings the file had no room for in time.
    """

    def __init__(
        self,
        path: Path,
        backlog: Backlog,
        *,
        now_utc: Callable[[], datetime],
        random: Random,
        emit: Callable[[GatewayEvent], None],
    ) -> None:
        self.store: Store = Store(path)
        self.sent: list[int] = []
        self.lines_of: LinesOf | None = None
        self.lost: int = 0
        self._backlog = backlog
        self._now_utc = now_utc
        self._random = random
        self._emit = emit
        self._limiter = anyio.CapacityLimiter(1)
        self._schedule = _BACKOFF.start(random)
        self._not_before = 0.0
        self._reason = "it is not open yet"
        self._is_failing = False
        self._facts = StoreFacts()
        self._committed_utc: datetime | None = None
        self._is_behind_clock = False
        self._writing = Lock()
        self._unwritten: list[Part] = []

    @property
    def outbox(self) -> Outbox:
        """What waits in the file for a server."""
        return self.store.outbox

    def try_again(self) -> None:
        """Write at the next occasion, whatever the schedule says."""
        self._not_before = 0.0
        self._schedule = _BACKOFF.start(self._random)

    async def commit(self, keep: Keep | None = None) -> Written | None:
        """Write what waits; None if it cannot be written now.

        Whoever is cancelled leaves it to be finished.
        """
        if anyio.current_time() < self._not_before:
            return None
        parts, sent = self._backlog.take(), list(self.sent)
        if not (parts or sent or keep) and self.store.is_open:
            return None
        try:
            written = await anyio.to_thread.run_sync(
                self._write,
                parts,
                sent,
                keep,
                limiter=self._limiter,
                abandon_on_cancel=True,
            )
        except (OSError, sqlite3.Error, ConfigError) as exc:
            self._backlog.give_back(self._unwritten)
            self._unwritten = []
            self._fail(exc)
            return None
        # No file would ever take it: it goes, and the devices go on.
        except Exception as exc:  # noqa: BLE001 - the log has all of it
            self._backlog.give_up(self._unwritten)
            self._unwritten = []
            self._fail(exc, exc)
            return None
        del self.sent[: len(sent)]
        self._facts = written.facts
        self._committed_utc = self._now_utc()
        self._succeed()
        self._say_lost(written)
        return written

    def _write(
        self, parts: Sequence[Part], sent: Sequence[int], keep: Keep | None
    ) -> Written:
        # One that was given up is in its thread still, and comes first.
        with self._writing:
            self._unwritten = [*self._unwritten, *parts]
            lines = b"" if self.lines_of is None else self.lines_of(self._unwritten)
            batch = Batch(parts=self._unwritten, lines=lines, sent=sent)
            written = self.store.apply(batch, keep=keep)
            self._unwritten = []
            return written

    def _fail(self, error: Exception, trace: Exception | None = None) -> None:
        reason = reason_of(error)
        delay_s = self._schedule.next_delay_s() or 0.0
        self._not_before = anyio.current_time() + delay_s
        if not self._is_failing or reason != self._reason:
            text = "the history %s is not written: %s; it is tried again"
            _log.error(text, self.store.path, reason, exc_info=trace)
            self._emit(HistoryFailing(reason=reason))
        self._is_failing = True
        self._reason = reason

    def _succeed(self) -> None:
        if self._is_failing:
            lost = counted(self._backlog.lost, "reading")
            text = "the history %s is written again; %s lost so far"
            _log.warning(text, self.store.path, lost)
        if self._reason:
            self._emit(HistoryWritten())
        self._is_failing = False
        self._reason = ""
        self._schedule = _BACKOFF.start(self._random)

    def _say_lost(self, written: Written) -> None:
        self.lost += written.lost
        is_behind = bool(written.resume_ms)
        if is_behind and not self._is_behind_clock:
            text = "the clock was set back to what the history %s has: it goes on at %s"
            until = at_utc(written.resume_ms or 0).isoformat(timespec="seconds")
            _log.warning(text, self.store.path, until)
        self._is_behind_clock = is_behind

    async def close(self) -> None:
        """Close the file."""
        await anyio.to_thread.run_sync(
            self._close, limiter=self._limiter, abandon_on_cancel=True
        )

    def _close(self) -> None:
        with self._writing:
            self.store.close()

    def status(self) -> StoreStatus:
        """Tell how the file is."""
        facts, oldest_ms = self._facts, self._facts.oldest_ms
        return StoreStatus(
            is_writing=not self._reason,
            reason=self._reason,
            path=str(self.store.path),
            size_bytes=facts.size_bytes,
            rows=facts.rows,
            oldest_utc=None if oldest_ms is None else at_utc(oldest_ms),
            committed_utc=self._committed_utc,
            waiting=self._backlog.rows,
            lost=self._backlog.lost + self.lost,
        )
