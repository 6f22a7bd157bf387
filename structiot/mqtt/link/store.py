"""Where a client's session is written down: nowhere, or in an SQLite file.

The file holds, by client id, the messages of QoS 1 and 2 that are accepted and not
finished, and the ids of QoS 2 deliveries that are not released. One process uses it
at a time. Payloads and topics stand in it in the clear; it is made with mode 0600.

A number in its head says that it is ours. Only what has that is written to, or moved away
when it is damaged; any other file is somebody else's.

The clock is believed only as far as it does no harm. A message that waits is written
with the time of writing and that of its expiry, so its life is never longer than what
was left of it then, wherever the clock stands later. When the clock is set while the
file is in use, what stands in there is set with it. Of what was written by a clock that
cannot have been right (a board without one starts in 1970) nothing is known but that.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from structiot._kit.sqlite_schema import schema_fault, text_or_bytes
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError, UsageError
from structiot.mqtt.link.store_lock import lock_store, unlock_store
from structiot.mqtt.link.store_rows import Times, flow_of, row_of
from structiot.mqtt.wire.flows.journal import Changes, StoredFlow

__all__ = ["SqliteStore", "StoreUnwritable"]

SCHEMA_VERSION = 2
# "stic": says whose file it is; it stands where SQLite says, as the first words do.
APPLICATION_ID = 0x73746963
_FIRST_WORDS = b"SQLite format 3\0"
_ID_AT = 68
_ID = APPLICATION_ID.to_bytes(4)
# The clock was set when it goes this far from that of the loop.
STEP_S = 1.0
HIGHEST_ID = 65_535
_SCHEMA = """
CREATE TABLE IF NOT EXISTS flows (
    client_id TEXT NOT NULL, number INTEGER NOT NULL, stage INTEGER NOT NULL,
    packet_id INTEGER NOT NULL, flags INTEGER NOT NULL, topic TEXT NOT NULL,
    payload BLOB NOT NULL, properties TEXT, written_utc REAL, expires_utc REAL,
    PRIMARY KEY (client_id, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS received (
    client_id TEXT NOT NULL, packet_id INTEGER NOT NULL,
    is_acknowledged INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (client_id, packet_id)
) WITHOUT ROWID;
"""
_FROM_VERSION_1 = """
ALTER TABLE flows ADD COLUMN written_utc REAL;
ALTER TABLE flows ADD COLUMN expires_utc REAL;
ALTER TABLE received ADD COLUMN is_acknowledged INTEGER NOT NULL DEFAULT 1;
"""


class StoreUnwritable(Exception):
    """The file cannot be written now; later it may be."""


class SqliteStore:
    """One client's session in an SQLite file; all methods block, one call at a time.

    Attributes:
        path: Where the file is.
        set_aside: Where a damaged file was moved to, if it had to be.
        bad_rows: What `load` could not use.
    """

    def __init__(self, path: str | Path, client_id: str) -> None:
        self.path: Path = Path(path)
        self.set_aside: Path | None = None
        self.bad_rows: int = 0
        self._client_id = client_id
        self._connection: sqlite3.Connection | None = None
        self._is_locked = False
        self._files: list[tuple[int, int]] = []
        self._offset_s: float | None = None

    def open(self) -> None:
        """Open the file; a damaged one is set aside and a new one begun.

        Raises:
            ConfigError: It cannot be opened, is none of ours, or somebody else uses it.
        """
        self._make()
        lock_store(self.path, self._client_id)
        self._is_locked = True
        self._connection = self._opened()
        self._files = self._files_now()

    def _make(self) -> None:
        try:
            # Closing a file that is there would give back the locks that another client
            # of this process has on it.
            if not self.path.exists():
                # Made here, for SQLite would let others read it.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except (OSError, ValueError) as exc:
            shown = printable(str(self.path))
            text = f"cannot open the store {shown}: {path_fault(exc)}"
            raise ConfigError(text) from exc

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._prepared()
        except sqlite3.OperationalError as exc:
            raise ConfigError(f"cannot open the store {self.path}: {exc}") from exc
        except sqlite3.DatabaseError as exc:
            if not self._is_ours():
                raise ConfigError(f"cannot use the store {self.path}: {exc}") from exc
            # Damaged: keep it for whoever wants to look, and begin anew.
            self.set_aside = Path(f"{self.path}.damaged")
            self.path.replace(self.set_aside)
            journal = Path(f"{self.path}-wal")
            if journal.exists():
                # A new file would take it for its own.
                journal.replace(f"{self.set_aside}-wal")
            self._make()
            return self._opened()

    def _is_ours(self) -> bool:
        with self.path.open("rb") as file:
            head = file.read(_ID_AT + 4)
        return head.startswith(_FIRST_WORDS) and head[_ID_AT:] == _ID

    def _prepared(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=1.0)
        connection.text_factory = text_or_bytes
        try:
            self._claim(connection)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            self._check(verdict, version)
            if version != 1:
                self._check_schema(connection, may_lack=version == 0)
            connection.executescript(_FROM_VERSION_1 if version == 1 else _SCHEMA)
            self._check_schema(connection)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _claim(self, connection: sqlite3.Connection) -> None:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        if owner == APPLICATION_ID:
            return
        query = "SELECT name FROM sqlite_schema"
        names = {name for (name,) in connection.execute(query)}
        # Earlier versions did not say that a file is theirs.
        if owner or (names and not {"flows", "received"} <= names):
            raise ConfigError(
                f"cannot use the store {self.path}: it is another program's database"
            )
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")

    def _check(self, verdict: str, version: int) -> None:
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if version not in {0, 1, SCHEMA_VERSION}:
            raise ConfigError(
                f"the store {self.path} was made by a newer version of structiot"
            )

    def _check_schema(
        self, connection: sqlite3.Connection, *, may_lack: bool = False
    ) -> None:
        fault = schema_fault(connection, _SCHEMA, may_lack=may_lack)
        if fault is not None:
            shown = printable(str(self.path))
            text = f"{shown} is not the store of a client of this version: {fault}"
            raise ConfigError(printable(text))

    def close(self) -> None:
        """Close the file; closing twice is silent."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                # The rest of its journal is moved into the file now.
                connection.close()
        finally:
            if self._is_locked:
                self._is_locked = False
                unlock_store(self.path, self._client_id)

    def _files_now(self) -> list[tuple[int, int]]:
        try:
            found = [self.path.stat(), Path(f"{self.path}-wal").stat()]
        except OSError:
            return []
        return [(one.st_dev, one.st_ino) for one in found]

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        if self._connection is None:
            raise UsageError(f"the store {self.path} is not open")
        try:
            with self._connection as connection:
                yield connection
        except sqlite3.OperationalError as exc:
            raise StoreUnwritable(str(exc)) from exc
        except sqlite3.Error as exc:
            raise UsageError(f"cannot use the store {self.path}: {exc}") from exc
        if self._files_now() != self._files:
            # SQLite would go on writing where nobody will find it.
            raise UsageError(
                f"the store {self.path} was deleted or replaced while it was in use"
            )

    def load(self, now: Times) -> tuple[list[StoredFlow], dict[int, bool]]:
        """Read a session: its flows in order, and the QoS 2 ids it knows.

        Of the ids it says whether they have been acknowledged.

        Raises:
            ConfigError: The file cannot be read.
        """
        self._offset_s = now.offset_s
        try:
            with self._transaction() as connection:
                rows = connection.execute(
                    "SELECT number, stage, packet_id, flags, topic, payload,"
                    " properties, written_utc, expires_utc"
                    " FROM flows WHERE client_id = ? ORDER BY number",
                    (self._client_id,),
                ).fetchall()
                ids = connection.execute(
                    "SELECT packet_id, is_acknowledged FROM received"
                    " WHERE client_id = ?",
                    (self._client_id,),
                ).fetchall()
                flows, received = self._sound(connection, rows, ids, now)
        except StoreUnwritable as exc:
            raise ConfigError(f"cannot read the store {self.path}: {exc}") from exc
        return flows, received

    def _sound(
        self,
        connection: sqlite3.Connection,
        rows: list[tuple[Any, ...]],
        ids: list[tuple[Any, Any]],
        now: Times,
    ) -> tuple[list[StoredFlow], dict[int, bool]]:
        """Give what can be used, and rid the file of the rest."""
        flows = []
        for row in rows:
            try:
                flows.append(flow_of(row, now))
            # The row is anybody's: whatever it does not fit costs itself.
            except Exception:  # noqa: BLE001
                self.bad_rows += 1
                connection.execute(
                    "DELETE FROM flows WHERE client_id = ? AND number IS ?",
                    (self._client_id, row[0]),
                )
        received = {}
        for packet_id, is_acknowledged in ids:
            if isinstance(packet_id, int) and 1 <= packet_id <= HIGHEST_ID:
                received[packet_id] = bool(is_acknowledged)
                continue
            self.bad_rows += 1
            connection.execute(
                "DELETE FROM received WHERE client_id = ? AND packet_id IS ?",
                (self._client_id, packet_id),
            )
        return flows, received

    def apply(self, changes: Changes, now: Times) -> None:
        """Write changes down in one transaction; they are safe when this returns.

        Raises:
            StoreUnwritable: It could not be done this time.
            UsageError: It cannot be done any more.
        """
        client_id = self._client_id
        with self._transaction() as connection:
            self._set_clock(connection, now)
            if changes.forgot_received:
                connection.execute(
                    "DELETE FROM received WHERE client_id = ?", (client_id,)
                )
            connection.executemany(
                "INSERT OR REPLACE INTO flows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row_of(client_id, flow, now) for flow in changes.flows],
            )
            for statement, numbers in (
                ("DELETE FROM flows WHERE client_id = ? AND number = ?", changes.ended),
                ("INSERT OR REPLACE INTO received VALUES (?, ?, 0)", changes.taken),
                ("INSERT OR REPLACE INTO received VALUES (?, ?, 1)", changes.received),
                (
                    "DELETE FROM received WHERE client_id = ? AND packet_id = ?",
                    changes.released,
                ),
            ):
                connection.executemany(statement, [(client_id, one) for one in numbers])
        self._offset_s = now.offset_s

    def _set_clock(self, connection: sqlite3.Connection, now: Times) -> None:
        """Set the times in the file as the clock was set since the last writing."""
        before_s = now.offset_s if self._offset_s is None else self._offset_s
        step_s = now.offset_s - before_s
        if abs(step_s) > STEP_S:
            connection.execute(
                "UPDATE flows SET written_utc = written_utc + ?,"
                " expires_utc = expires_utc + ? WHERE client_id = ?",
                (step_s, step_s, self._client_id),
            )
