"""Makes a batch for the store of what has changed, in portions.

What a session had received is taken down at once, deliveries and the rest as they are
when their turn comes: earlier than they need be, never later. So a message of QoS 2 that
counts as received has all its deliveries in the same batch, and nobody waits while very
many are taken down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from structiot.mqtt.broker.core.records import (
    Batch,
    DeliveryRow,
    MessageRow,
    ReceivedRow,
    RetainedRow,
    SessionRow,
    SubscriptionRow,
    properties_to,
    will_to,
)
from structiot.mqtt.broker.core.retained import RetainedStore
from structiot.mqtt.broker.core.sessions import Delivery
from structiot.mqtt.wire.flows.flow import PUBLISHED, RELEASED, WAITING, Flow

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.journal import BrokerJournal, SessionRecord

__all__ = ["Body", "Changes", "Cut", "FlowRow"]

# Rows in one portion.
PORTION = 2_000


@dataclass(eq=False, slots=True)
class Body:
    """A topic and a payload that deliveries share.

    Attributes:
        number: Its number in the store.
        users: Deliveries that need it.
        is_written: Whether the store has it.
    """

    number: int
    topic: str
    payload: bytes
    users: int = 0
    is_written: bool = False


@dataclass(eq=False, slots=True)
class FlowRow:
    """Where a delivery stands in the store.

    Attributes:
        position: Its place in the order of its session.
        body: What is to be sent; None once the client has it.
        written_at: The position that the store has; None if it has none.
    """

    position: int
    body: Body | None
    written_at: int | None = None


@dataclass(slots=True)
class Changes:
    """What was noted since the last batch, by its keys."""

    records: dict[SessionRecord, None] = field(default_factory=dict)
    sessions: dict[SessionRecord, None] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    topics: dict[str, None] = field(default_factory=dict)


class Cut:
    """One batch; it is whole when `portions` have come to their end.

    Attributes:
        batch: What is to be written down, in one transaction.
        portions: Do what is left to do; others may run between two steps.
    """

    def __init__(
        self,
        journal: BrokerJournal,
        changes: Changes,
        retained: RetainedStore,
        offset_s: float,
    ) -> None:
        self.batch: Batch = Batch()
        self._journal = journal
        self._changes = changes
        self._retained = retained
        self._offset_s = offset_s
        self._unused: list[int] = []
        # Bodies that rows of this batch name.
        self._named: set[int | None] = set()
        self.batch.ended_sessions = changes.ended
        self.batch.ended_messages = changes.bodies
        for record in changes.sessions:
            self.batch.sessions.append(_session_row(record, offset_s))
            record.is_written = True
        for record in changes.records:
            if record.ids:
                self._cut_received(record)
        self.portions: Iterator[None] = self._cut_rest()

    def finish(self) -> Batch:
        """Do all that is left, and give the batch."""
        for _ in self.portions:
            pass
        return self.batch

    def _cut_rest(self) -> Iterator[None]:
        work = 0
        for record in self._changes.records:
            # Of a session that has ended meanwhile the next batch says so.
            if self._journal.is_known(record):
                work += 1 + len(record.filters) + len(record.changed)
                self._cut_subscriptions(record)
                self._cut_deliveries(record)
            if work >= PORTION:
                work = 0
                yield
        for topic in self._changes.topics:
            self._cut_retained(topic)
            work += 1
            if work >= PORTION:
                work = 0
                yield
        # A row of this batch may name what a client has let go of after it was made.
        named = self._named
        self.batch.ended_messages += [n for n in self._unused if n not in named]
        self._journal.forget_later([n for n in self._unused if n in named])

    def _cut_subscriptions(self, record: SessionRecord) -> None:
        for name in record.filters:
            subscription = record.session.subscriptions.get(name)
            if subscription is None:
                self.batch.ended_subscriptions.append((record.number, name))
                continue
            request = subscription.request
            self.batch.subscriptions.append(
                SubscriptionRow(
                    record.number,
                    name,
                    request.qos,
                    request.no_local,
                    request.retain_as_published,
                    request.retain_handling,
                    subscription.subscription_id,
                )
            )
        record.filters = {}

    def _cut_received(self, record: SessionRecord) -> None:
        batch, session = self.batch, record.session
        for packet_id in record.ids:
            # A message that is still being given out has not been received before that.
            if packet_id not in session.distributing_ids:
                is_known = packet_id in session.received
                rows = batch.received if is_known else batch.released
                rows.append(ReceivedRow(record.number, packet_id))
        record.ids = {}

    def _cut_deliveries(self, record: SessionRecord) -> None:
        batch, named = self.batch, self._named
        for flow in record.changed:
            row = record.rows[flow]
            if row.written_at is not None and (
                flow.is_done or row.written_at != row.position
            ):
                batch.ended_deliveries.append(row.written_at)
                row.written_at = None
            if flow.is_done:
                unused = self._journal.last_use(row)
                if unused is not None:
                    self._unused.append(unused)
                del record.rows[flow]
                continue
            body = row.body
            if body is not None and not body.is_written:
                body.is_written = True
                batch.messages.append(MessageRow(body.number, body.topic, body.payload))
            row.written_at = row.position
            delivery = _delivery_row(record, flow, row, self._offset_s)
            named.add(delivery.message)
            batch.deliveries.append(delivery)
        record.changed = {}

    def _cut_retained(self, topic: str) -> None:
        item = self._retained.get(topic)
        if item is None:
            self.batch.erased.append(topic)
            return
        self.batch.retained.append(
            RetainedRow(
                topic,
                item.payload,
                item.qos,
                properties_to(item.properties),
                _stored(item.expires_at, self._offset_s),
                *(item.publisher or (None, None)),
            )
        )


def _stored(at: float | None, offset_s: float) -> float | None:
    return None if at is None else at + offset_s


def _session_row(record: SessionRecord, offset_s: float) -> SessionRow:
    session = record.session
    # Whoever is called so now has another one; no client's id begins with a NUL.
    is_over, its_id = session.is_over, session.client_id
    return SessionRow(
        record.number,
        f"\0{record.number}" if is_over else its_id,
        session.username,
        0 if is_over else session.expiry_s,
        _stored(session.expires_at, offset_s),
        will_to(session.will),
        _stored(session.will_at, offset_s),
    )


def _delivery_row(
    record: SessionRecord, flow: Flow, row: FlowRow, offset_s: float
) -> DeliveryRow:
    is_lasting = flow.stage in {WAITING, RELEASED}
    expires_at = flow.expires_at if isinstance(flow, Delivery) else None
    return DeliveryRow(
        row.position,
        record.number,
        flow.packet_id,
        flow.stage if is_lasting else PUBLISHED,
        flow.flags,
        None if row.body is None else row.body.number,
        properties_to(flow.properties),
        _stored(expires_at, offset_s),
        flow.share if isinstance(flow, Delivery) else None,
    )
