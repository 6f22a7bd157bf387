"""Puts back into a broker what an earlier one has written down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from sys import intern
from typing import TypeAlias

from structiot.mqtt.broker.core.broker import Broker
from structiot.mqtt.broker.core.cutting import Body, FlowRow
from structiot.mqtt.broker.core.journal import BrokerJournal
from structiot.mqtt.broker.core.records import (
    DeliveryRow,
    RetainedRow,
    SessionRow,
    Snapshot,
    properties_from,
    will_from,
)
from structiot.mqtt.broker.core.retained import Publisher, Retained
from structiot.mqtt.broker.core.sessions import (
    FOR_EVER_S,
    Delivery,
    Session,
    Subscription,
)
from structiot.mqtt.broker.memory_accounting import FLOW_BYTES, delivery_bytes
from structiot.mqtt.wire.messages import SubscriptionRequest
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["restore"]

_log = logging.getLogger(__name__)

_EndOfLife: TypeAlias = Callable[[float | None, PublishProperties | None], float | None]


def restore(
    broker: Broker, snapshot: Snapshot, now: float, offset_s: float
) -> BrokerJournal:
    """Go on where the store ends, and note from now on what changes.

    All clients are away. Those that were connected when the earlier broker was killed
    have left now: their sessions and wills count from here. Nothing has more time left
    than it had at its beginning, whatever the clocks say.
    """
    broker.clock.now = now
    journal = BrokerJournal(broker.retained)
    sessions = {
        row.number: _session(broker, journal, row, offset_s)
        for row in snapshot.sessions
    }
    left_out = 0
    for row in snapshot.subscriptions:
        session = sessions.get(row.session)
        if session is not None and not broker.fits(row.topic_filter):
            left_out += 1
            journal.subscription(session, row.topic_filter)
        elif session is not None:
            request = SubscriptionRequest(
                topic_filter=row.topic_filter,
                qos=min(row.qos, broker.limits.maximum_qos),
                no_local=bool(row.no_local),
                retain_as_published=bool(row.retain_as_published),
                retain_handling=row.retain_handling,
            )
            broker.file(Subscription(session, request, row.identifier))
    end_of_life = partial(_end_of_life, now, offset_s)
    bodies = {
        row.number: journal.adopt_body(row.number, row.topic, row.payload)
        for row in snapshot.messages
    }
    for delivery in snapshot.deliveries:
        session = sessions.get(delivery.session)
        if session is not None:
            _put_back(journal, session, delivery, bodies, end_of_life)
    journal.drop_unused(bodies.values())
    for received in snapshot.received:
        session = sessions.get(received.session)
        if session is not None:
            session.received.update((received.packet_id,))
    left_out += _put_back_retained(broker, journal, snapshot, end_of_life)
    broker.journal = journal
    if left_out:
        _log.warning(
            "%d filters and retained messages are given up: the limits of this broker, "
            "topic_levels or allows_control_characters, do not let there be such topics",
            left_out,
        )
    for session in sessions.values():
        session.account.left(session)
        # Its end counts from this start only, however many follow.
        journal.session(session)
        broker.ledger.settle(session)
        broker.look_at(session)
    return journal


def _put_back_retained(
    broker: Broker,
    journal: BrokerJournal,
    snapshot: Snapshot,
    end_of_life: _EndOfLife,
) -> int:
    """Put back what may still be retained; give how much may not."""
    left_out = 0
    # Until clients come again all that they had counts as that of one address.
    restored = broker.ledger.account("")
    known: dict[Publisher, Publisher] = {}
    for item in snapshot.retained:
        if not broker.fits(item.topic):
            left_out += 1
            journal.retained(item.topic)
            continue
        properties = properties_from(item.properties)
        expires_at = end_of_life(item.expires_at_s, properties)
        broker.keep(
            Retained(
                item.topic,
                item.payload,
                item.qos,
                properties,
                expires_at,
                account=restored,
                publisher=_publisher(item, known),
            )
        )
    return left_out


def _publisher(
    item: RetainedRow, known: dict[Publisher, Publisher]
) -> Publisher | None:
    if item.client_id is None:
        return None
    publisher = Publisher(item.client_id, item.username)
    return known.setdefault(publisher, publisher)


def _session(
    broker: Broker, journal: BrokerJournal, row: SessionRow, offset_s: float
) -> Session:
    now = broker.clock.now
    session = broker.new_session(row.client_id, row.username)
    session.expiry_s = row.expiry_s
    if row.expiry_s < FOR_EVER_S:
        session.expires_at = now + row.expiry_s
        if row.expires_at_s is not None:
            session.expires_at = min(session.expires_at, row.expires_at_s - offset_s)
    session.take_will(will_from(row.will))
    if session.will is not None:
        delay_s = session.will.properties.will_delay_s or 0
        session.will_at = now + min(delay_s, row.expiry_s)
        if row.will_at_s is not None:
            session.will_at = min(session.will_at, row.will_at_s - offset_s)
    broker.away[session] = None
    journal.adopt(session, row.number).is_written = True
    return session


def _end_of_life(
    now: float,
    offset_s: float,
    expires_at_s: float | None,
    properties: PublishProperties | None,
) -> float | None:
    if expires_at_s is None:
        return None
    expires_at = expires_at_s - offset_s
    if properties is None or properties.message_expiry_s is None:
        return expires_at
    return min(expires_at, now + properties.message_expiry_s)


def _put_back(
    journal: BrokerJournal,
    session: Session,
    row: DeliveryRow,
    bodies: dict[int, Body],
    end_of_life: _EndOfLife,
) -> None:
    body = None if row.message is None else bodies.get(row.message)
    topic = "" if body is None else body.topic
    payload = b"" if body is None else body.payload
    properties = properties_from(row.properties)
    expires_at = end_of_life(row.expires_at_s, properties)
    size = FLOW_BYTES if body is None else delivery_bytes(topic, payload, properties)
    # Of very many there are few filters.
    share = None if row.share is None else intern(row.share)
    flow = Delivery(topic, payload, row.flags, properties, expires_at, size, share)
    flow.packet_id, flow.stage = row.packet_id, row.stage
    journal.adopt_flow(session, flow, FlowRow(row.position, body, row.position))
    session.outgoing.restore(flow)
