"""Where a broker's sessions and retained messages are written down: an SQLite file.

Bytes leave only after what they depend on has been committed: a publisher that has its
acknowledgement finds the message again after any end of the process. Commits are made
in a worker thread, one at a time, of all that has changed since the one before; while
one is made the next collects. Payloads stand in the file in the clear; it is made with
mode 0600, and one broker uses it at a time.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio

from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError
from structiot.mqtt.broker.core import Broker, ConnectedClient
from structiot.mqtt.broker.core.journal import BrokerJournal
from structiot.mqtt.broker.core.records import (
    Batch,
    DeliveryRow,
    MessageRow,
    ReceivedRow,
    RetainedRow,
    SessionRow,
    Snapshot,
    SubscriptionRow,
)
from structiot.mqtt.broker.core.restoring import restore

__all__ = ["BrokerStore", "StoreWriter", "open_store"]

R = TypeVar("R")

SCHEMA_VERSION = 1
# "stio": says whose file it is.
APPLICATION_ID = 0x7374696F
MANY_CHANGES = 50_000
TRY_AGAIN_S = 1.0
# How long a broker that is just ending may still have the file.
BUSY_S = 0.5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, username TEXT,
    expiry_s INTEGER NOT NULL, expires_utc REAL, will BLOB, will_utc REAL);
CREATE TABLE IF NOT EXISTS subscriptions (
    session INTEGER NOT NULL, topic_filter TEXT NOT NULL, qos INTEGER NOT NULL,
    no_local INTEGER NOT NULL, retain_as_published INTEGER NOT NULL,
    retain_handling INTEGER NOT NULL, identifier INTEGER,
    PRIMARY KEY (session, topic_filter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    position INTEGER PRIMARY KEY, session INTEGER NOT NULL,
    packet_id INTEGER NOT NULL, stage INTEGER NOT NULL, flags INTEGER NOT NULL,
    message INTEGER, properties BLOB, expires_utc REAL);
CREATE INDEX IF NOT EXISTS deliveries_of ON deliveries (session);
CREATE TABLE IF NOT EXISTS received (
    session INTEGER NOT NULL, packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retained (
    topic TEXT PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL,
    properties BLOB, expires_utc REAL) WITHOUT ROWID;
"""

_log = logging.getLogger(__name__)


class BrokerStore:
    """The file; all methods block.

    Raises:
        ConfigError: The file cannot be opened, is none of ours, or is in use.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        try:
            # Made here, for SQLite would let others read it.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except (OSError, ValueError) as exc:
            shown = printable(str(self.path))
            text = f"cannot open the store {shown}: {path_fault(exc)}"
            raise ConfigError(text) from exc
        self._connection = sqlite3.connect(
            self.path, check_same_thread=False, isolation_level=None, timeout=BUSY_S
        )
        try:
            self._prepare()
        except sqlite3.Error as exc:
            self._connection.close()
            text = f"cannot use the store {self.path}: {exc}"
            raise ConfigError(text) from exc
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode=EXCLUSIVE")
        (version,) = execute("PRAGMA user_version").fetchone()
        (owner,) = execute("PRAGMA application_id").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and (owner != APPLICATION_ID or version != SCHEMA_VERSION):
            raise ConfigError(
                f"{self.path} is not the store of a broker of this version"
            )
        execute("PRAGMA journal_mode=WAL")
        # An acknowledgement is to outlive a power cut, too.
        execute("PRAGMA synchronous=FULL")
        execute("BEGIN EXCLUSIVE")
        for statement in _SCHEMA.split(";"):
            execute(statement)
        execute(f"PRAGMA application_id={APPLICATION_ID}")
        execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        execute("COMMIT")

    def load(self) -> Snapshot:
        """Read everything.

        Raises:
            ConfigError: The file is damaged.
        """
        try:
            return Snapshot(
                sessions=self._rows("sessions", SessionRow),
                subscriptions=self._rows("subscriptions", SubscriptionRow),
                messages=self._rows("messages", MessageRow),
                deliveries=self._rows("deliveries", DeliveryRow),
                received=self._rows("received", ReceivedRow),
                retained=self._rows("retained", RetainedRow),
            )
        except sqlite3.Error as exc:
            raise ConfigError(f"cannot read the store {self.path}: {exc}") from exc

    def _rows(self, table: str, make: Callable[..., R]) -> list[R]:
        # The columns stand in the order of the fields.
        query = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - our own names
        return [make(*row) for row in self._connection.execute(query)]

    def apply(self, batch: Batch) -> None:
        """Write changes down in one transaction; they are safe when this returns."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._remove(batch)
            for table, rows in (
                ("sessions", batch.sessions),
                ("subscriptions", batch.subscriptions),
                ("messages", batch.messages),
                ("deliveries", batch.deliveries),
                ("received", batch.received),
                ("retained", batch.retained),
            ):
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    self._connection.executemany(
                        f"INSERT OR REPLACE INTO {table} VALUES ({marks})",  # noqa: S608
                        rows,
                    )
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _remove(self, batch: Batch) -> None:
        of_sessions = [(number,) for number in batch.ended_sessions]
        statements: list[tuple[str, Sequence[tuple[object, ...]]]] = [
            ("sessions WHERE number = ?", of_sessions),
            ("subscriptions WHERE session = ?", of_sessions),
            ("deliveries WHERE session = ?", of_sessions),
            ("received WHERE session = ?", of_sessions),
            (
                "subscriptions WHERE session = ? AND topic_filter = ?",
                batch.ended_subscriptions,
            ),
            (
                "deliveries WHERE position = ?",
                [(position,) for position in batch.ended_deliveries],
            ),
            (
                "messages WHERE number = ?",
                [(number,) for number in batch.ended_messages],
            ),
            ("received WHERE session = ? AND packet_id = ?", batch.released),
            ("retained WHERE topic = ?", [(topic,) for topic in batch.erased]),
        ]
        for what, rows in statements:
            if rows:
                self._connection.executemany(
                    f"DELETE FROM {what}",  # noqa: S608 - the literals above
                    rows,
                )

    def close(self) -> None:
        """Close the file; closing twice is silent."""
        self._connection.close()


class StoreWriter:
    """Commits what has changed, and lets the bytes leave that have waited for it."""

    def __init__(
        self, broker: Broker, journal: BrokerJournal, store: BrokerStore
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._store = store
        self._limiter = anyio.CapacityLimiter(1)
        self._wanted = anyio.Event()
        self._caught_up = anyio.Event()
        self._is_committing = False
        self._unwritten: Batch | None = None

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be written that clients should not be read."""
        return self._journal.changes > MANY_CHANGES

    async def catch_up(self) -> None:
        """Wait for the next commit."""
        await self._caught_up.wait()

    def flush(self) -> None:
        """Have everything written that is safe, and the rest made safe."""
        if self._is_committing:
            return
        if self._journal:
            self._wanted.set()
        else:
            self._release(self._marks())

    def _marks(self) -> list[tuple[ConnectedClient, int]]:
        """Take the connections with something to write, and how far that goes now."""
        broker = self._broker
        dirty, broker.dirty = broker.dirty, []
        for client in dirty:
            client.is_dirty = False
        return [(client, client.mark()) for client in dirty]

    def _release(self, marks: list[tuple[ConnectedClient, int]]) -> None:
        for client, mark in marks:
            client.release(mark)

    async def run(self) -> None:
        """Commit whenever something has changed, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            await self._commit()
            # What has changed meanwhile, and what a flush has let follow.
            while self._broker.dirty or self._journal:
                if self._journal:
                    await self._commit()
                else:
                    self._release(self._marks())

    async def _commit(self) -> None:
        self._is_committing = True
        try:
            marks = self._marks()
            self._unwritten = self._journal.cut(time.time() - anyio.current_time())
            await self._apply(self._unwritten)
            self._unwritten = None
        finally:
            self._is_committing = False
        self._release(marks)
        self._caught_up.set()
        self._caught_up = anyio.Event()

    async def _apply(self, batch: Batch) -> None:
        """Write a batch; a full disk is no reason to forget it."""
        has_failed = False
        while True:
            try:
                await anyio.to_thread.run_sync(
                    self._store.apply, batch, limiter=self._limiter
                )
            except sqlite3.Error as exc:
                if not has_failed:
                    _log.error(
                        "cannot write to the store %s: %s", self._store.path, exc
                    )
                has_failed = True
                await anyio.sleep(TRY_AGAIN_S)
            else:
                if has_failed:
                    _log.warning("the store %s is written again", self._store.path)
                return

    async def finish(self) -> None:
        """Write the rest down, once `run` has ended; one attempt."""
        batches = [one for one in (self._unwritten,) if one is not None]
        batches.append(self._journal.cut(time.time() - anyio.current_time()))
        try:
            for batch in batches:
                await anyio.to_thread.run_sync(self._store.apply, batch)
        except sqlite3.Error:
            _log.exception("the store %s does not have the latest", self._store.path)


@asynccontextmanager
async def open_store(broker: Broker, path: str | Path) -> AsyncGenerator[StoreWriter]:
    """Go on where a store ends, and write down what changes in the block.

    Raises:
        ConfigError: The file cannot be used.
    """
    run_sync = anyio.to_thread.run_sync
    store = await run_sync(BrokerStore, path)
    try:
        snapshot = await run_sync(store.load)
        now = anyio.current_time()
        journal = restore(broker, snapshot, now, time.time() - now)
        store_writer = StoreWriter(broker, journal, store)
        try:
            yield store_writer
        finally:
            with anyio.CancelScope(shield=True):
                await store_writer.finish()
    finally:
        store.close()
