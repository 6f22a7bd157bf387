"""Brings what a Mosquitto has kept into a new store of ours."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from structiot._kit.arguments import check_argument
from structiot._kit.regular_file import read_regular
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError, StructiotError
from structiot.mqtt.broker.core.records import (
    Batch,
    ClockRow,
    DeliveryRow,
    MessageRow,
    ReceivedRow,
    RetainedRow,
    SessionRow,
    SubscriptionRow,
    properties_from,
    properties_to,
)
from structiot.mqtt.broker.core.row_checks import RowChecks
from structiot.mqtt.broker.core.sessions import FOR_EVER_S
from structiot.mqtt.broker.mosquitto_db import (
    QUEUED,
    RESEND_PUBREL,
    WAIT_FOR_PUBCOMP,
    SavedDelivery,
    SavedMessage,
    SavedState,
    parse_db,
)
from structiot.mqtt.broker.store import BrokerStore
from structiot.mqtt.wire.flows.flow import PUBLISHED, RELEASED, WAITING
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.topics import TopicTree, is_shared

__all__ = ["Imported", "import_mosquitto"]

MAX_FILE_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What has come over, and what has not.

    Attributes:
        sessions: Sessions that last.
        subscriptions: Their filters.
        deliveries: Messages of QoS 1 and 2 that wait for them or are under way.
        retained: Retained messages.
        left_out: Messages of QoS 0 that waited, and what belongs to sessions that do
            not last; the store keeps neither.
    """

    sessions: int
    subscriptions: int
    deliveries: int
    retained: int
    left_out: int


def import_mosquitto(db: str | Path, store: str | Path) -> Imported:
    """Make a store for `open_broker` of what Mosquitto 2 has left in `mosquitto.db`.

    Sessions come with their users and filters, with what waits for them and with what
    was under way, and so do retained messages. It blocks, so call it in a thread.
    Mosquitto must have ended: until then the file is behind.

    Args:
        db: The file, below Mosquitto's `persistence_location`.
        store: Where the store is made; there is nothing yet.

    Raises:
        ConfigError: There is a file already, one cannot be read or written, or what is
            read is none of Mosquitto 2, cut off or damaged. No store is made.
        UsageError: No path.
    """
    check_argument("db", db, str, Path)
    check_argument("store", store, str, Path)
    source, target = Path(db), Path(store)
    try:
        data = read_regular(source, most_bytes=MAX_FILE_BYTES)
    except (OSError, ValueError) as exc:
        shown = printable(str(source))
        raise ConfigError(f"cannot read {shown}: {path_fault(exc)}") from exc
    _look_whether_free(target)
    try:
        maker = _Maker(parse_db(data))
    except StructiotError as exc:
        raise ConfigError(f"{printable(str(source))}: {exc}") from exc
    _write(target, maker.batch)
    return maker.imported()


def _look_whether_free(target: Path) -> None:
    if os.path.lexists(target):
        shown = printable(str(target))
        raise ConfigError(f"{shown} is there already; name one that is not")


def _write(target: Path, batch: Batch) -> None:
    """Write a store, all of it or none."""
    # What stands there is of an attempt that was killed: nobody else uses such a name.
    fresh = target.with_name(f"{target.name}.being-imported")
    parts = [fresh, *(Path(f"{fresh}-{end}") for end in ("wal", "shm"))]
    try:
        _remove(parts)
        store = BrokerStore(fresh)
        try:
            store.apply(batch)
            store.into_one_file()
        finally:
            store.close()
        # It may have taken minutes.
        _look_whether_free(target)
        fresh.replace(target)
    except ConfigError:
        raise
    except (OSError, ValueError, sqlite3.Error) as exc:
        raise ConfigError(f"cannot write {printable(str(target))}: {exc}") from exc
    finally:
        with suppress(OSError, ValueError):
            _remove(parts)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


class _Maker:
    """Makes rows of what was saved."""

    def __init__(self, state: SavedState) -> None:
        now_s = time.time()
        self.batch = Batch(clock=ClockRow(now_s, now_s))
        self._state = state
        self._sessions: dict[str, int] = {}
        self._bodies: dict[int, int] = {}
        self._left_out = 0
        self._tree: TopicTree[SubscriptionRow] = TopicTree()
        self._add_sessions()
        self._add_subscriptions()
        if any(one.is_incoming for one in state.deliveries):
            for row in self.batch.subscriptions:
                if not is_shared(row.topic_filter):
                    self._tree.add(row.topic_filter, row)
        self._retained = {
            message.topic: message for message in map(self._message, state.retained)
        }
        for delivery in state.deliveries:
            self._add_delivery(delivery)
        self._add_retained()
        self._check()

    def imported(self) -> Imported:
        batch = self.batch
        return Imported(
            sessions=len(batch.sessions),
            subscriptions=len(batch.subscriptions),
            deliveries=len(batch.deliveries),
            retained=len(batch.retained),
            left_out=self._left_out,
        )

    def _message(self, number: int) -> SavedMessage:
        found = self._state.messages.get(number)
        if found is None:
            raise ConfigError(f"message {number} is named and is not there")
        return found

    def _add_sessions(self) -> None:
        for number, client in enumerate(self._state.clients, 1):
            if client.client_id in self._sessions:
                raise ConfigError("it is damaged: it has a client twice")
            self._sessions[client.client_id] = number
            is_endless = client.expiry_s >= FOR_EVER_S or not client.expires_at_s
            self.batch.sessions.append(
                SessionRow(
                    number=number,
                    client_id=client.client_id,
                    username=client.username,
                    expiry_s=client.expiry_s,
                    expires_at_s=None if is_endless else client.expires_at_s,
                    will=None,
                    will_at_s=None,
                )
            )

    def _add_subscriptions(self) -> None:
        known: set[tuple[int, str]] = set()
        for one in self._state.subscriptions:
            session = self._sessions.get(one.client_id)
            if session is None:
                self._left_out += 1
                continue
            if (session, one.topic_filter) in known:
                raise ConfigError("it is damaged: a client has a filter twice")
            known.add((session, one.topic_filter))
            self.batch.subscriptions.append(
                SubscriptionRow(
                    session=session,
                    topic_filter=one.topic_filter,
                    qos=one.qos,
                    no_local=bool(one.options & 4),
                    retain_as_published=bool(one.options & 8),
                    retain_handling=one.options >> 4 & 3,
                    identifier=one.identifier,
                )
            )

    def _add_delivery(self, one: SavedDelivery) -> None:
        session = self._sessions.get(one.client_id)
        if session is None or not one.qos:
            self._left_out += 1
        elif one.is_incoming:
            self.batch.received.append(ReceivedRow(session, one.packet_id))
            self._give_out(one)
        elif one.state in {RESEND_PUBREL, WAIT_FOR_PUBCOMP}:
            self._put(session, one.packet_id, RELEASED, one.qos << 1)
        else:
            message = self._message(one.message)
            ids = properties_from(one.properties)
            if ids is not None:
                own = properties_from(message.properties) or PublishProperties()
                own = own.changed(subscription_ids=ids.subscription_ids)
                message = replace(message, properties=properties_to(own))
            flags = one.qos << 1 | one.retain
            if one.state == QUEUED:
                packet_id, stage = 0, WAITING
            else:
                packet_id, stage = one.packet_id, PUBLISHED
            number = one.message
            self._put(session, packet_id, stage, flags, number=number, message=message)

    def _give_out(self, one: SavedDelivery) -> None:
        """Do with a message of QoS 2 what Mosquitto would have done at its release."""
        message = self._message(one.message)
        if message.retain:
            self._retained[message.topic] = message
        granted: dict[int, int] = {}
        own = self._sessions[one.client_id]
        for row in self._tree.match(message.topic):
            if not (row.no_local and row.session == own):
                granted[row.session] = max(row.qos, granted.get(row.session, 0))
        for session, qos in granted.items():
            if qos:
                flags, number = min(qos, message.qos) << 1, one.message
                self._put(session, 0, WAITING, flags, number=number, message=message)

    def _put(
        self,
        session: int,
        packet_id: int,
        stage: int,
        flags: int,
        *,
        number: int | None = None,
        message: SavedMessage | None = None,
    ) -> None:
        body, rows = None, self.batch.messages
        if number is not None and message is not None:
            body = self._bodies.get(number)
            if body is None:
                body = self._bodies[number] = len(rows) + 1
                rows.append(MessageRow(body, message.topic, message.payload))
        deliveries = self.batch.deliveries
        deliveries.append(
            DeliveryRow(
                position=len(deliveries) + 1,
                session=session,
                packet_id=packet_id,
                stage=stage,
                flags=flags,
                message=body,
                properties=None if message is None else message.properties,
                expires_at_s=None if message is None else message.expires_at_s or None,
                # Mosquitto does not say by which filter it came.
                share=None,
            )
        )

    def _add_retained(self) -> None:
        for topic, message in self._retained.items():
            # What it has told of itself is not true any more; nothing takes it away.
            if message.payload and not topic.startswith("$"):
                self.batch.retained.append(
                    RetainedRow(
                        topic=topic,
                        payload=message.payload,
                        qos=message.qos,
                        properties=message.properties,
                        expires_at_s=message.expires_at_s or None,
                        client_id=message.client_id,
                        username=message.username,
                    )
                )

    def _check(self) -> None:
        """Look at all rows as the broker will: what it would leave out is damage."""
        checks, batch = RowChecks(), self.batch
        are_sound = [
            all(map(checks.session, batch.sessions)),
            all(map(checks.subscription, batch.subscriptions)),
            all(map(checks.message, batch.messages)),
            all(map(checks.delivery, batch.deliveries)),
            all(map(checks.received, batch.received)),
            all(map(checks.retained, batch.retained)),
        ]
        kinds = "session", "subscription", "message", "delivery", "QoS 2 id", "retained"
        for is_sound, kind in zip(are_sound, kinds, strict=True):
            if not is_sound:
                raise ConfigError(f"it is damaged: it has a {kind} that cannot be")
