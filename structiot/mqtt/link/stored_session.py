"""What a link remembers beyond its process, if it was given a store.

One task has the store from its opening to its closing and alone works on the file;
everybody else asks it and waits, so that a wait may be cancelled in any way. What waits
while it writes goes into the next transaction together.

    reading --> [idle <--> writing <--> failing] --> closing

A write that fails keeps its batch, which is tried again until it is written: what needs
the store waits for it, the rest of the link goes on. `close` fixes what is
written last. `error` is None until nothing can be written any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import copy
from datetime import datetime
from pathlib import Path

import anyio
import anyio.to_thread

from structiot._kit.environment import Environment
from structiot._kit.text import counted, fault_text, printable
from structiot.errors import InternalError, StructiotError, UsageError
from structiot.mqtt.link.receipts import RestoredExpiringFlow, RestoredFlow
from structiot.mqtt.link.store import SqliteStore, StoreUnwritable
from structiot.mqtt.link.store_rows import Times
from structiot.mqtt.wire.flows.flow import WAITING, Flow
from structiot.mqtt.wire.flows.journal import Changes, Journal, StoredFlow
from structiot.mqtt.wire.protocol import ClientProtocol

__all__ = ["StoredSession", "stored_session_of"]

TRY_AGAIN_S = 1.0

_log = logging.getLogger(__name__)


class StoredSession:
    """Reads one session at the start, and writes it down as it changes.

    Attributes:
        restored: Own messages that an earlier process had left unfinished.
        failures: Writes that have failed.
        error: Why nothing can be written any more.
    """

    def __init__(
        self,
        store: SqliteStore,
        protocol: ClientProtocol,
        now_utc: Callable[[], datetime],
    ) -> None:
        self.restored: list[Flow] = []
        self.failures: int = 0
        self.error: StructiotError | None = None
        self._store = store
        self._protocol = protocol
        self._now_utc = now_utc
        self._journal = Journal()
        self._batch: Changes | None = None
        self._last: Changes | None = None
        # Calls of `save`: how many there were, and how many are served.
        self._asked = 0
        self._served = 0
        self._wanted = anyio.Event()
        self._progress = anyio.Event()
        self._closing = anyio.Event()
        self._is_read = anyio.Event()
        self._over: anyio.Event | None = None

    async def run(self) -> None:
        """Keep the store until `close`; see `opened`.

        Raises:
            ConfigError: The store cannot be opened, or somebody else uses it.
            UsageError: It cannot be written any more.
            InternalError: It cannot be used, and nobody knows why.
        """
        self._over = anyio.Event()
        try:
            try:
                await anyio.to_thread.run_sync(self._store.open)
                await self._read()
                self._is_read.set()
                with anyio.CancelScope(shield=True):
                    await self._write()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self._store.close)
        except StructiotError as exc:
            self.error = exc
            raise
        except Exception as exc:
            path = printable(str(self._store.path))
            text = f"cannot use the store {path}: {fault_text(exc)}"
            self.error = InternalError(text)
            raise self.error from exc
        finally:
            self.error = self.error or UsageError("the client was closed")
            self._is_read.set()
            self._tell(self._served)
            self._over.set()

    async def opened(self) -> None:
        """Wait until `run` has read the session.

        Raises:
            StructiotError: What `run` has ended with.
        """
        await self._is_read.wait()
        if self.error is not None:
            raise copy(self.error)

    def _now(self) -> Times:
        return Times(anyio.current_time(), self._now_utc().timestamp())

    async def _read(self) -> None:
        outgoing, incoming = self._protocol.outgoing, self._protocol.incoming
        if self._store.set_aside is not None:
            _log.warning("a damaged store was moved to %s", self._store.set_aside)
        flows, received = await anyio.to_thread.run_sync(self._store.load, self._now())
        if self._store.bad_rows:
            _log.error(
                "the store %s: left out, as it cannot be used: %s",
                printable(str(self._store.path)),
                counted(self._store.bad_rows, "row"),
            )
        for stored in flows:
            flow = self._flow_of(stored)
            self._journal.adopt(flow, stored.number)
            outgoing.restore(flow)
            self.restored.append(flow)
        incoming.restore(received)
        outgoing.journal = incoming.journal = self._journal

    def _flow_of(self, stored: StoredFlow) -> Flow:
        topic, payload, flags = stored.topic, stored.payload, stored.flags
        properties = stored.properties
        if stored.stage == WAITING and properties and stored.expires_at is not None:
            now = anyio.current_time()
            expiring = RestoredExpiringFlow(topic, payload, flags, properties, now)
            expiring.expires_at = stored.expires_at
            self._protocol.expiring.watch(expiring)
            return expiring
        flow = RestoredFlow(topic, payload, flags, properties)
        flow.stage = stored.stage
        flow.packet_id = stored.packet_id
        return flow

    async def _write(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            while changes := self._changes():
                self._batch, asked = changes, self._asked
                await self._apply(changes)
                self._batch = None
                self._tell(asked)
            self._tell(self._asked)
            if self._closing.is_set():
                return

    def _changes(self) -> Changes:
        if self._last is None:
            return self._journal.take()
        last, self._last = self._last, Changes()
        return last

    async def _apply(self, changes: Changes) -> None:
        has_failed = False
        while True:
            is_last = self._closing.is_set()
            try:
                await anyio.to_thread.run_sync(self._store.apply, changes, self._now())
            except StoreUnwritable as exc:
                self.failures += 1
                path = self._store.path
                if is_last:
                    text = f"cannot write to the store {path}: {exc}"
                    raise UsageError(text) from exc
                if not has_failed:
                    _log.error(
                        "cannot write to the store %s: %s; messages of QoS 1 and 2 "
                        "wait until it can be written",
                        path,
                        exc,
                    )
                has_failed = True
                with anyio.move_on_after(TRY_AGAIN_S):
                    await self._closing.wait()
            else:
                if has_failed:
                    _log.warning("the store %s is written again", self._store.path)
                return

    def _tell(self, served: int) -> None:
        self._served = served
        self._progress.set()
        self._progress = anyio.Event()

    async def save(self) -> None:
        """Return when everything that has changed so far is safe.

        Cancelling the wait leaves it to be written.

        Raises:
            UsageError: The store cannot be written any more.
        """
        self._asked += 1
        number = self._asked
        self._wanted.set()
        while self._served < number:
            if self.error is not None:
                raise copy(self.error)
            await self._progress.wait()

    def close(self) -> None:
        """Write the session down as it is now, and close the store; `run` does both.

        Whatever becomes of the flows in here after that is not written down.
        """
        outgoing, incoming = self._protocol.outgoing, self._protocol.incoming
        if outgoing.journal is not None:
            self._last = self._journal.take()
            outgoing.journal = incoming.journal = None
        self._closing.set()
        self._wanted.set()

    async def closed(self) -> None:
        """Wait until the store is closed, if it was ever opened."""
        if self._over is not None:
            await self._over.wait()


def stored_session_of(
    path: str | Path | None,
    client_id: str,
    protocol: ClientProtocol,
    environment: Environment,
) -> StoredSession | None:
    """Give what writes a client's session down, if there is a file for it."""
    if path is None:
        return None
    return StoredSession(SqliteStore(path, client_id), protocol, environment.now_utc)
