"""Puts back into a broker what an earlier one has written down."""

from __future__ import annotations

from structiot.mqtt.broker.core.broker import Broker
from structiot.mqtt.broker.core.journal import Body, BrokerJournal, FlowRow
from structiot.mqtt.broker.core.records import (
    DeliveryRow,
    SessionRow,
    Snapshot,
    properties_from,
    will_from,
)
from structiot.mqtt.broker.core.retained import Retained
from structiot.mqtt.broker.core.sessions import (
    FOR_EVER_S,
    Delivery,
    Session,
    Subscription,
)
from structiot.mqtt.wire.messages import SubscriptionRequest

__all__ = ["restore"]


def restore(
    broker: Broker, snapshot: Snapshot, now: float, offset_s: float
) -> BrokerJournal:
    """Go on where the store ends, and note from now on what changes.

    All clients are away. Those that were connected when the earlier broker was killed
    have left now: their sessions and wills count from here.
    """
    broker.clock.now = now
    journal = BrokerJournal(broker.retained)
    sessions = {
        row.number: _session(broker, journal, row, offset_s)
        for row in snapshot.sessions
    }
    for row in snapshot.subscriptions:
        session = sessions.get(row.session)
        if session is not None:
            request = SubscriptionRequest(
                topic_filter=row.topic_filter,
                qos=row.qos,
                no_local=bool(row.no_local),
                retain_as_published=bool(row.retain_as_published),
                retain_handling=row.retain_handling,
            )
            broker.file(Subscription(session, request, row.identifier))
    bodies = {
        row.number: journal.adopt_body(row.number, row.topic, row.payload)
        for row in snapshot.messages
    }
    for delivery in snapshot.deliveries:
        session = sessions.get(delivery.session)
        if session is not None:
            _put_back(journal, session, delivery, bodies, offset_s)
    journal.drop_unused(bodies.values())
    for received in snapshot.received:
        session = sessions.get(received.session)
        if session is not None:
            session.received.update((received.packet_id,))
    for item in snapshot.retained:
        broker.retained.restore(
            Retained(
                item.topic,
                item.payload,
                item.qos,
                properties_from(item.properties),
                None if item.expires_utc is None else item.expires_utc - offset_s,
            )
        )
    broker.journal = journal
    for session in sessions.values():
        # Its end counts from this start only, however many follow.
        journal.session(session)
        broker.pool.settle(session)
        broker.look_at(session)
    return journal


def _session(
    broker: Broker, journal: BrokerJournal, row: SessionRow, offset_s: float
) -> Session:
    now = broker.clock.now
    session = broker.new_session(row.client_id, row.username)
    session.expiry_s = row.expiry_s
    if row.expires_utc is not None:
        session.expires_at = row.expires_utc - offset_s
    elif row.expiry_s < FOR_EVER_S:
        session.expires_at = now + row.expiry_s
    session.will = will_from(row.will)
    if row.will_utc is not None:
        session.will_at = row.will_utc - offset_s
    elif session.will is not None:
        delay_s = session.will.properties.will_delay_s or 0
        session.will_at = now + min(delay_s, row.expiry_s)
    broker.away[session] = None
    journal.adopt(session, row.number).is_written = True
    return session


def _put_back(
    journal: BrokerJournal,
    session: Session,
    row: DeliveryRow,
    bodies: dict[int, Body],
    offset_s: float,
) -> None:
    body = None if row.message is None else bodies.get(row.message)
    flow = Delivery(
        "" if body is None else body.topic,
        b"" if body is None else body.payload,
        row.flags,
        properties_from(row.properties),
        None if row.expires_utc is None else row.expires_utc - offset_s,
    )
    flow.packet_id, flow.stage = row.packet_id, row.stage
    journal.adopt_flow(session, flow, FlowRow(row.position, body, row.position))
    session.outgoing.restore(flow)
