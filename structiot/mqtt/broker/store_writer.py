"""Has what changes in a broker written down, and lets go of what has waited for that.

Bytes that depend on the store leave only after the commit of what they depend on: a
publisher that has its acknowledgement finds the message again after any end of the
process. Commits are made in a worker thread, one at a time, of all that has changed
since the one before; while one is made the next collects.

A disk that is full holds up those alone whom the store concerns, and not for longer than
one has patience. It is tried again each second, said once, counted in `failures`, and said
again when it is over.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio
import anyio.lowlevel

from structiot.errors import ConfigError
from structiot.mqtt.broker.core import Broker
from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.cutting import Cut
from structiot.mqtt.broker.core.journal import BrokerJournal
from structiot.mqtt.broker.core.records import Batch, ClockRow
from structiot.mqtt.broker.core.restoring import restore
from structiot.mqtt.broker.store import BrokerStore

__all__ = ["StoreWriter", "open_store"]

MANY_CHANGES = 20_000
TRY_AGAIN_S = 1.0
# How often is looked whether the machine's clock was set, and by how much that is.
CLOCK_CHECK_S = 60.0
CLOCK_WAS_SET_S = 1.0

_log = logging.getLogger(__name__)


class StoreClock:
    """The store's clock: goes on with the broker's, whatever becomes of the machine's.

    Args:
        now_utc: The machine's clock.
        last: What both showed when something was written last.
    """

    def __init__(self, now_utc: Callable[[], datetime], last: ClockRow | None) -> None:
        self._now_utc = now_utc
        utc_s = now_utc().timestamp()
        store_s = utc_s
        if last is not None:
            # A clock that goes backwards tells nothing; that is as if no time had passed.
            store_s = last.store_s + max(0.0, utc_s - last.utc_s)
        self.offset_s: float = store_s - anyio.current_time()
        self._written = last

    def row(self) -> ClockRow:
        """Tell what both clocks show, to be written down."""
        store_s = anyio.current_time() + self.offset_s
        self._written = ClockRow(store_s, self._now_utc().timestamp())
        return self._written

    @property
    def was_set(self) -> bool:
        """Whether the machine's clock has jumped since the last `row`."""
        if self._written is None:
            return True
        store_s = anyio.current_time() + self.offset_s - self._written.store_s
        utc_s = self._now_utc().timestamp() - self._written.utc_s
        return abs(utc_s - store_s) > CLOCK_WAS_SET_S


class StoreWriter:
    """Commits what has changed, and lets the bytes leave that have waited for it.

    Args:
        broker: What changes.
        journal: What has changed.
        store: Where it is written down.
        clock: The store's.
        patience_s: How long the bytes wait for a store that cannot be written.

    Attributes:
        failures: Attempts to write that have failed.
    """

    def __init__(
        self,
        broker: Broker,
        journal: BrokerJournal,
        store: BrokerStore,
        clock: StoreClock,
        patience_s: float = math.inf,
    ) -> None:
        self.failures: int = 0
        self._patience_s = patience_s
        self._is_given_up = False
        # Who waits for the batch that is written.
        self._bound: list[tuple[ConnectedClient, int]] = []
        self._broker = broker
        self._journal = journal
        self._store = store
        self._clock = clock
        self._limiter = anyio.CapacityLimiter(1)
        self._wanted = anyio.Event()
        self._caught_up = anyio.Event()
        self._is_committing = False
        self._unwritten: Cut | None = None

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be written that who adds to it should not be read."""
        return self._journal.changes > MANY_CHANGES

    async def catch_up(self) -> None:
        """Wait for the next commit."""
        await self._caught_up.wait()

    def flush(self) -> None:
        """Have everything written that may leave, and made safe what has to be."""
        self._broker.flush()
        if self._is_given_up and not self.is_behind:
            self._let_go()
        elif self._journal and not self._is_committing:
            self._wanted.set()

    async def run(self) -> None:
        """Commit whenever something has changed, until cancelled."""
        while True:
            with anyio.move_on_after(CLOCK_CHECK_S):
                await self._wanted.wait()
            self._wanted = anyio.Event()
            if self._clock.was_set:
                await self._commit()
            # What has changed meanwhile, and what a flush has let follow.
            while self._journal:
                await self._commit()

    def _cut(self) -> Cut:
        cut = self._journal.cut(self._clock.offset_s)
        cut.batch.clock = self._clock.row()
        return cut

    async def _commit(self) -> None:
        self._is_committing = True
        journal = self._journal
        try:
            self._bound = journal.take_bound()
            cut = self._unwritten = self._cut()
            for _ in cut.portions:
                await anyio.lowlevel.checkpoint()
            await self._apply(cut.batch)
            self._unwritten = None
        finally:
            self._is_committing = False
        self._release(self._bound)
        self._broker.flush()
        self._wake()

    def _release(self, bound: Iterable[tuple[ConnectedClient, int]]) -> None:
        for client, size in bound:
            client.release(size, is_free=client not in self._journal.bound)

    def _wake(self) -> None:
        self._caught_up.set()
        self._caught_up = anyio.Event()

    def _give_up(self) -> None:
        """Let nobody wait any more for a store that cannot be written."""
        if not self._is_given_up:
            self._is_given_up = True
            text = (
                "nothing waits for the store %s: what is acknowledged is not kept yet"
            )
            _log.warning(text, self._store.path)
            self._release(self._bound)
            self._bound = []
        # What is noted is bounded, however long it lasts.
        self._journal.recount()
        if not self.is_behind:
            self._let_go()
        self._wake()

    def _let_go(self) -> None:
        while bound := self._journal.take_bound():
            self._release(bound)
        self._broker.flush()

    async def _apply(self, batch: Batch) -> None:
        """Write a batch; a full disk is no reason to forget it."""
        has_failed, until_s = False, anyio.current_time() + self._patience_s
        while True:
            try:
                await anyio.to_thread.run_sync(
                    self._store.apply, batch, limiter=self._limiter
                )
            except (sqlite3.Error, OSError) as exc:
                self.failures += 1
                if not has_failed:
                    _log.error(
                        "cannot write to the store %s: %s", self._store.path, exc
                    )
                has_failed = True
                if anyio.current_time() >= until_s:
                    self._give_up()
                await anyio.sleep(TRY_AGAIN_S)
            else:
                self._is_given_up = False
                if has_failed:
                    _log.warning("the store %s is written again", self._store.path)
                return

    async def finish(self) -> None:
        """Write the rest down, once `run` has ended; one attempt."""
        batches = [] if self._unwritten is None else [self._unwritten.finish()]
        batches.append(self._cut().finish())
        try:
            for batch in batches:
                await anyio.to_thread.run_sync(self._store.apply, batch)
        except (sqlite3.Error, OSError, ConfigError):
            _log.exception("the store %s does not have the latest", self._store.path)


@asynccontextmanager
async def open_store(
    broker: Broker,
    path: str | Path,
    now_utc: Callable[[], datetime],
    *,
    patience_s: float | None = None,
) -> AsyncGenerator[StoreWriter]:
    """Go on where a store ends, and write down what changes in the block.

    It is entered before the first client is let in and left after the last has gone, so
    that its last batch is the broker's last word.

    Raises:
        ConfigError: The file cannot be used.
    """
    run_sync = anyio.to_thread.run_sync
    store = await run_sync(BrokerStore, path)
    try:
        snapshot = await run_sync(store.load)
        clock = StoreClock(now_utc, snapshot.clock)
        journal = restore(broker, snapshot, anyio.current_time(), clock.offset_s)
        patience_s = math.inf if patience_s is None else patience_s
        store_writer = StoreWriter(broker, journal, store, clock, patience_s)
        try:
            yield store_writer
        finally:
            with anyio.CancelScope(shield=True):
                await store_writer.finish()
    finally:
        store.close()
