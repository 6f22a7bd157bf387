"""Where a client's session is written down: nowhere, or in an SQLite file.

The file holds, by client id, the messages of QoS 1 and 2 that are accepted and not
finished, and the ids of QoS 2 deliveries that are not released. One process uses it
at a time. Payloads and topics stand in it in the clear; it is made with mode 0600.
"""

from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio

from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError, UsageError
from structiot.mqtt.wire.flows.journal import Changes, StoredFlow
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["SqliteStore"]

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS flows (
    client_id TEXT NOT NULL, number INTEGER NOT NULL, stage INTEGER NOT NULL,
    packet_id INTEGER NOT NULL, flags INTEGER NOT NULL, topic TEXT NOT NULL,
    payload BLOB NOT NULL, properties TEXT, PRIMARY KEY (client_id, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS received (
    client_id TEXT NOT NULL, packet_id INTEGER NOT NULL,
    PRIMARY KEY (client_id, packet_id)
) WITHOUT ROWID;
"""


class SqliteStore:
    """Sessions in one SQLite file; the work is done in a worker thread.

    Attributes:
        path: Where the file is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._limiter = anyio.CapacityLimiter(1)
        self._set_aside: Path | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file; a damaged one is set aside and a new one begun.

        Raises:
            ConfigError: It cannot be opened.
        """
        self._connection = await anyio.to_thread.run_sync(
            self._opened, limiter=self._limiter
        )

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged file was moved to, if it had to be."""
        return self._set_aside

    def _opened(self) -> sqlite3.Connection:
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except (OSError, ValueError) as exc:
            shown = printable(str(self.path))
            text = f"cannot open the store {shown}: {path_fault(exc)}"
            raise ConfigError(text) from exc
        try:
            return self._prepared()
        except sqlite3.OperationalError as exc:
            raise ConfigError(f"cannot open the store {self.path}: {exc}") from exc
        except sqlite3.DatabaseError:
            # Damaged: keep it for whoever wants to look, and begin anew.
            self._set_aside = self.path.with_suffix(self.path.suffix + ".damaged")
            self.path.replace(self._set_aside)
            return self._opened()

    def _prepared(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=1.0)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            self._check(verdict, version)
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, verdict: str, version: int) -> None:
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if version not in {0, SCHEMA_VERSION}:
            raise ConfigError(
                f"the store {self.path} was made by a newer version of structiot"
            )

    async def load(self, client_id: str) -> tuple[list[StoredFlow], list[int]]:
        """Read a session: its flows in order, and the QoS 2 ids it knows."""
        return await anyio.to_thread.run_sync(
            self._load, client_id, limiter=self._limiter
        )

    async def apply(self, client_id: str, changes: Changes) -> None:
        """Write changes down in one transaction; they are safe when this returns.

        Cancelling does not stop a transaction that has begun.

        Raises:
            UsageError: The file cannot be written any more.
        """
        await anyio.to_thread.run_sync(
            self._apply, client_id, changes, limiter=self._limiter
        )

    async def close(self) -> None:
        """Close the file; closing twice is silent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # The rest of its journal is moved into the file now.
            await anyio.to_thread.run_sync(connection.close, limiter=self._limiter)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        if self._connection is None:
            raise UsageError(f"the store {self.path} is not open")
        try:
            with self._connection as connection:
                yield connection
        except sqlite3.Error as exc:
            raise UsageError(f"cannot write to the store {self.path}: {exc}") from exc

    def _load(self, client_id: str) -> tuple[list[StoredFlow], list[int]]:
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT number, stage, packet_id, flags, topic, payload, properties"
                " FROM flows WHERE client_id = ? ORDER BY number",
                (client_id,),
            ).fetchall()
            ids = connection.execute(
                "SELECT packet_id FROM received WHERE client_id = ?", (client_id,)
            ).fetchall()
        flows = [
            StoredFlow(
                number=number,
                stage=stage,
                packet_id=packet_id,
                flags=flags,
                topic=topic,
                payload=payload,
                properties=_read_properties(properties),
            )
            for number, stage, packet_id, flags, topic, payload, properties in rows
        ]
        return flows, [packet_id for (packet_id,) in ids]

    def _apply(self, client_id: str, changes: Changes) -> None:
        with self._transaction() as connection:
            if changes.forgot_received:
                connection.execute(
                    "DELETE FROM received WHERE client_id = ?", (client_id,)
                )
            connection.executemany(
                "INSERT OR REPLACE INTO flows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        client_id,
                        flow.number,
                        flow.stage,
                        flow.packet_id,
                        flow.flags,
                        flow.topic,
                        flow.payload,
                        _write_properties(flow.properties),
                    )
                    for flow in changes.flows
                ],
            )
            for statement, numbers in (
                ("DELETE FROM flows WHERE client_id = ? AND number = ?", changes.ended),
                ("INSERT OR IGNORE INTO received VALUES (?, ?)", changes.received),
                (
                    "DELETE FROM received WHERE client_id = ? AND packet_id = ?",
                    changes.released,
                ),
            ):
                connection.executemany(statement, [(client_id, one) for one in numbers])


def _write_properties(properties: PublishProperties | None) -> str | None:
    if properties is None:
        return None
    correlation = properties.correlation_data
    return json.dumps(
        {
            "payload_format": properties.payload_format,
            "message_expiry_s": properties.message_expiry_s,
            "response_topic": properties.response_topic,
            "correlation_data": (
                None if correlation is None else b64encode(correlation).decode()
            ),
            "content_type": properties.content_type,
            "user_properties": properties.user_properties,
        }
    )


def _read_properties(text: str | None) -> PublishProperties | None:
    if text is None:
        return None
    values = json.loads(text)
    correlation = values["correlation_data"]
    values["correlation_data"] = None if correlation is None else b64decode(correlation)
    values["user_properties"] = tuple(
        (name, value) for name, value in values["user_properties"]
    )
    return PublishProperties(**values)
