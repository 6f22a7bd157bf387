"""Where a broker's sessions and retained messages are written down: an SQLite file.

Payloads stand in the file in the clear; it is made with mode 0600, and one broker uses
it at a time. Before each commit is looked whether it is still in its place: what is
written to a file that was removed is lost without a word.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from structiot._kit.sqlite_schema import schema_fault, text_or_bytes
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError
from structiot.mqtt.broker.core.records import (
    Batch,
    ClockRow,
    DeliveryRow,
    MessageRow,
    ReceivedRow,
    RetainedRow,
    SessionRow,
    Snapshot,
    SubscriptionRow,
)
from structiot.mqtt.broker.core.row_checks import RowChecks

__all__ = ["BrokerStore"]

R = TypeVar("R")

SCHEMA_VERSION = 2
# "stio": says whose file it is.
APPLICATION_ID = 0x7374696F
# How long a broker that is just ending may still have the file.
BUSY_S = 0.5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, username TEXT,
    expiry_s INTEGER NOT NULL, expires_at_s REAL, will BLOB, will_at_s REAL);
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
    message INTEGER, properties BLOB, expires_at_s REAL, share TEXT);
CREATE INDEX IF NOT EXISTS deliveries_of ON deliveries (session);
CREATE TABLE IF NOT EXISTS received (
    session INTEGER NOT NULL, packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retained (
    topic TEXT PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL,
    properties BLOB, expires_at_s REAL, client_id TEXT, username TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock (
    number INTEGER PRIMARY KEY, store_s REAL NOT NULL, utc_s REAL NOT NULL);
"""

_log = logging.getLogger(__name__)


class BrokerStore:
    """The file; all methods block.

    Attributes:
        path: Where it is.
        bad_rows: What `load` could not use.

    Raises:
        ConfigError: The file cannot be opened, is none of ours, or is in use.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self.bad_rows: int = 0
        try:
            if self.path.is_dir():
                raise IsADirectoryError(0, "it is a directory")
            with suppress(FileExistsError):
                _make(self.path)
            self._open()
        except ConfigError:
            raise
        except (OSError, ValueError) as exc:
            shown = printable(str(self.path))
            text = f"cannot open the store {shown}: {path_fault(exc)}"
            raise ConfigError(text) from exc
        except sqlite3.Error as exc:
            text = f"cannot use the store {printable(str(self.path))}: {exc}"
            raise ConfigError(text) from exc

    def _open(self) -> None:
        self._connection = sqlite3.connect(
            self.path, check_same_thread=False, isolation_level=None, timeout=BUSY_S
        )
        self._connection.text_factory = text_or_bytes
        try:
            self._prepare()
            found = self.path.stat()
        except BaseException:
            self._connection.close()
            raise
        self._identity = found.st_dev, found.st_ino

    def _look_for_file(self) -> None:
        """Make sure that what is written now will be found at the next start."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._write_anew()
            return
        if not Path(f"{self.path}-wal").exists():
            self._write_anew()
        elif (found.st_dev, found.st_ino) != self._identity:
            raise ConfigError(
                f"{self.path} is not the file any more that this broker has opened: "
                "another one has taken its place, perhaps of another broker"
            )

    def _write_anew(self) -> None:
        """Put a file back that was removed: its content is still to be had."""
        twin = Path(f"{self.path}-anew")
        twin.unlink(missing_ok=True)
        try:
            _make(twin)
            self._connection.execute("VACUUM INTO ?", (str(twin),))
        except BaseException:
            twin.unlink(missing_ok=True)
            raise
        self._connection.close()
        twin.replace(self.path)
        self._open()
        _log.error(
            "the store %s was removed while in use; it has been written anew", self.path
        )

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
        if tables and (fault := schema_fault(self._connection, _SCHEMA)):
            shown = printable(str(self.path))
            text = f"{shown} is not the store of a broker of this version: {fault}"
            raise ConfigError(printable(text))
        execute("PRAGMA journal_mode=WAL")
        # An acknowledgement is to outlive a power cut, too.
        execute("PRAGMA synchronous=FULL")
        execute("BEGIN EXCLUSIVE")
        # A full disk is no reason not to read what is there.
        if not tables:
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
        checks = RowChecks()
        try:
            query = "SELECT store_s, utc_s FROM clock WHERE number = 1"
            clock = self._connection.execute(query).fetchone()
            row = None if clock is None else ClockRow(*clock)
            return Snapshot(
                clock=row if row is not None and checks.clock(row) else None,
                sessions=self._rows("sessions", SessionRow, checks.session),
                subscriptions=self._rows(
                    "subscriptions", SubscriptionRow, checks.subscription
                ),
                messages=self._rows("messages", MessageRow, checks.message),
                deliveries=self._rows("deliveries", DeliveryRow, checks.delivery),
                received=self._rows("received", ReceivedRow, checks.received),
                retained=self._rows("retained", RetainedRow, checks.retained),
            )
        except sqlite3.Error as exc:
            raise ConfigError(f"cannot read the store {self.path}: {exc}") from exc

    def _rows(
        self, table: str, make: Callable[..., R], is_sound: Callable[[R], bool]
    ) -> list[R]:
        # The columns stand in the order of the fields.
        query = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - our own names
        found = [make(*row) for row in self._connection.execute(query)]
        sound = [row for row in found if is_sound(row)]
        if bad := len(found) - len(sound):
            self.bad_rows += bad
            _log.error(
                "the store %s: %d of %d %s cannot be used and are left out",
                printable(str(self.path)),
                bad,
                len(found),
                table,
            )
            self._keep_only(table, sound)
        return sound

    def _keep_only(self, table: str, rows: Sequence[R]) -> None:
        """Rid a table of the others: what comes later may get their numbers."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._put(table, rows)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _put(self, table: str, rows: Sequence[Any]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._connection.executemany(
                f"INSERT OR REPLACE INTO {table} VALUES ({marks})",  # noqa: S608
                rows,
            )

    def apply(self, batch: Batch) -> None:
        """Write changes down in one transaction; they are safe when this returns.

        Raises:
            sqlite3.Error: They cannot be written at present.
            OSError: The file cannot be reached at present.
            ConfigError: Another file has taken the place of this one.
        """
        self._look_for_file()
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
                self._put(table, rows)
            if batch.clock is not None:
                execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", batch.clock)
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

    def into_one_file(self) -> None:
        """Have everything in the file itself, and nothing beside it, as for a move.

        To close it tries the same, and does not say when there is no room for that.

        Raises:
            sqlite3.Error: It cannot be written.
        """
        (mode,) = self._connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        if mode != "delete":
            raise sqlite3.OperationalError("it cannot be written into one file")

    def close(self) -> None:
        """Close the file; closing twice is silent."""
        self._connection.close()


def _make(path: Path) -> None:
    """Make an empty file, for SQLite would let others read it.

    One that exists is not even opened: to close it would release the lock that another
    broker of this process has on it.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
