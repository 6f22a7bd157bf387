"""The broker's logic: sessions, subscriptions, retained messages, wills. No I/O.

The shell calls `Broker` with what clients send; everything is written into the
protocols' `out` at once, and `flush` has those connections written that have something
to write. Time enters as an argument. Where the standard leaves a choice: overlapping
subscriptions get one copy at the highest QoS with all identifiers; names that begin
with `$` cannot be published by clients; the quality of service is never raised; a
session belongs to the user that has begun it.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.ending import Ending
from structiot.mqtt.broker.core.ledger import LITTLE_BYTES
from structiot.mqtt.broker.core.sessions import Deliveries, Session
from structiot.mqtt.wire.messages import (
    QOS_BITS,
    RETAIN,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Subscribe,
    Unsubscribe,
)
from structiot.mqtt.wire.properties import ConnackProperties
from structiot.mqtt.wire.reasons import SUCCESS, ReasonCode

__all__ = ["Broker"]

QOS_2 = 0x04

_log = logging.getLogger(__name__)


class Broker(Ending):
    """All clients and all messages of one broker; the outermost of its layers."""

    # -- what the shell calls ------------------------------------------------------

    def receive(
        self, client: ConnectedClient, data: bytes, now: float
    ) -> Connect | None:
        """Deal with what a client has sent.

        Returns:
            A CONNECT that the shell has to answer by `accept` or `refuse`; then call
            again with no data, for the client may have sent more.
        """
        self.clock.now = now
        protocol, journal = client.protocol, self.journal
        changes = 0 if journal is None else journal.changes
        for packet in protocol.receive(data, now):
            if type(packet) is Message:
                self._take_message(client, packet)
            elif isinstance(packet, Connect):
                return packet
            else:
                self._take(client, packet)
        session = client.session
        if session is not None:
            self.ledger.settle(session)
            if self.ledger.is_crowded:
                self._bound_client(client, session)
        if protocol.end_if_violated():
            _log.info("%s broke the protocol: %s", client.peer, protocol.violation)
            self.left(client, now)
            client.end()
        elif client.has_more:
            self.refill(client)
        if journal is not None and journal.changes != changes:
            journal.bind(client)
        if protocol.out or protocol.kept:
            self.wake(client)
        return None

    def _bound_client(self, client: ConnectedClient, session: Session) -> None:
        """Have the client pay that holds much when all together hold too much."""
        self.bound_sessions()
        hoards = client.protocol.hoarded_bytes > LITTLE_BYTES
        if hoards and not self.ledger.has_room(session):
            self.warnings.say(
                "clients hold %d bytes of %d: %r, which hoards packets or aliases, "
                "is cut off",
                self.ledger.held_bytes,
                self.ledger.most_bytes,
                session.client_id[:64],
            )
            self.cut(client, ReasonCode.QUOTA_EXCEEDED, self.clock.now)

    def publish(self, message: Message, now: float) -> int:
        """Publish a message of our own; give the number of its subscribers."""
        self.clock.now = now
        number = self.distribute(message)
        self.bound_sessions()
        return number

    @property
    def lost(self) -> int:
        """Messages that a client should have got and did not."""
        given_up = sum(one.outgoing.lost for one in self.sessions.values())
        return self.dropped + given_up

    @property
    def subscriptions(self) -> int:
        """Filters of all sessions."""
        return sum(len(one.subscriptions) for one in self.sessions.values())

    def flush(self) -> None:
        """Have all connections written that have something to write."""
        while self.dirty:
            dirty = self.dirty
            self.dirty: list[ConnectedClient] = []
            for client in dirty:
                client.is_dirty = False
                client.flush()

    def accept(
        self,
        client: ConnectedClient,
        connect: Connect,
        now: float,
        *,
        made_up_id: str,
        username: str | None,
        authentication_data: bytes | None = None,
    ) -> bool:
        """Let an authenticated client in; False if it was turned away all the same."""
        self.clock.now = now
        changes = 0 if self.journal is None else self.journal.changes
        client_id = connect.client_id or made_up_id
        reason = self._refusal_of(connect, client_id, username)
        if reason is not None:
            self.refuse(client, reason)
            return False
        session = self.sessions.get(client_id)
        if session is not None and session.client is not None:
            self.cut(session.client, ReasonCode.SESSION_TAKEN_OVER, now)
            session = self.sessions.get(client_id)
        if session is not None and (
            connect.clean_start or session.username != username
        ):
            self.end_session(session)
            session = None
        is_present = session is not None
        if session is None:
            session = self.new_session(client_id, username)
        self._attach(client, session, connect)
        connack = Connack(
            session_present=is_present,
            properties=self._handshake(client, session, connect, authentication_data),
        )
        client.protocol.accept(
            connack, session.outgoing, session.received, window=self.limits.inflight
        )
        self.refill(client)
        if self.journal is not None and self.journal.changes != changes:
            self.journal.bind(client)
        self.wake(client)
        return True

    def new_session(self, client_id: str, username: str | None) -> Session:
        """Begin a session without a connection."""
        outgoing = Deliveries(self.clock, out_bytes=self.limits.write_bytes // 4)
        session = self.sessions[client_id] = Session(client_id, outgoing)
        session.username = username
        return session

    def _refusal_of(
        self, connect: Connect, client_id: str, username: str | None
    ) -> ReasonCode | None:
        if connect.version < 5 and not connect.client_id and not connect.clean_start:
            return ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
        session = self.sessions.get(client_id)
        if session is None and self.ledger.is_full:
            self.warnings.say("clients hold all they may: no more are let in")
            return ReasonCode.QUOTA_EXCEEDED
        # Somebody else's session is not to be had, or ended, by knowing its name; what
        # an anonymous client has left behind may be cleared away.
        if (
            session is not None
            and session.username != username
            and (session.username is not None or session.client is not None)
        ):
            return ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
        will = connect.will
        if will is not None:
            return self._refusal_to_publish(username, client_id, will.topic)
        return None

    def _attach(
        self, client: ConnectedClient, session: Session, connect: Connect
    ) -> None:
        limits = self.limits
        if connect.version >= 5:
            asked_s = connect.properties.session_expiry_s or 0
            session.expiry_s = min(asked_s, limits.session_expiry_max_s)
        elif connect.clean_start:
            session.expiry_s = 0
        else:
            session.expiry_s = limits.session_expiry_max_s
        session.expires_at = session.will_at = None
        session.take_will(connect.will)
        session.client = client
        # What the client has said once is not kept for as long as it stays.
        client.protocol.connect = _remembered(connect)
        client.session = session
        self.away.pop(session, None)
        client.keep_alive_s = self._keep_alive_s(connect)
        if client.keep_alive_s:
            self.deadlines.add(session, self.clock.now + client.keep_alive_s * 1.5)
        if self.journal is not None:
            self.journal.session(session)

    def _keep_alive_s(self, connect: Connect) -> int:
        """Lower a keep-alive that is too long; only 5.0 can be told of it."""
        asked_s, most_s = connect.keep_alive_s, self.limits.keep_alive_max_s
        if connect.version < 5 or most_s >= 65_535 or 0 < asked_s <= most_s:
            return asked_s
        return most_s

    def _handshake(
        self,
        client: ConnectedClient,
        session: Session,
        connect: Connect,
        authentication_data: bytes | None,
    ) -> ConnackProperties:
        if connect.version < 5:
            return ConnackProperties()
        limits, asked = self.limits, connect.properties
        lowered = client.keep_alive_s != connect.keep_alive_s
        shortened = session.expiry_s != (asked.session_expiry_s or 0)
        return ConnackProperties(
            receive_maximum=limits.receive_maximum,
            topic_alias_maximum=limits.topic_alias_maximum,
            maximum_packet_bytes=limits.packet_bytes,
            assigned_client_id=None if connect.client_id else session.client_id,
            server_keep_alive_s=client.keep_alive_s if lowered else None,
            session_expiry_s=session.expiry_s if shortened else None,
            authentication_method=asked.authentication_method,
            authentication_data=authentication_data,
        )

    def refuse(
        self, client: ConnectedClient, reason: ReasonCode, text: str | None = None
    ) -> None:
        """Turn a client away with a code that its version knows."""
        properties = ConnackProperties(
            reason_string=text if client.protocol.version >= 5 else None
        )
        client.protocol.refuse(Connack(reason=reason, properties=properties))
        self.wake(client)
        client.end()

    # -- packets -------------------------------------------------------------------

    def _take(self, client: ConnectedClient, packet: Packet) -> None:
        session = client.session
        if isinstance(packet, Auth):
            client.take_auth(packet)
        elif session is None:
            return
        elif isinstance(packet, Subscribe):
            self.take_subscribe(client, session, packet)
        elif isinstance(packet, Unsubscribe):
            self.take_unsubscribe(client, session, packet)
        elif isinstance(packet, Disconnect):
            self._take_disconnect(client, session, packet)

    def _take_message(self, client: ConnectedClient, message: Message) -> None:
        session = client.session
        if session is None:
            return
        self.received += 1
        reason = self._refusal_to_publish(
            session.username, session.client_id, message.topic
        )
        if (
            reason is None
            and message.flags & (RETAIN | QOS_2)
            and not self._has_room_for(client, session, message)
        ):
            reason = ReasonCode.QUOTA_EXCEEDED
        if reason is None:
            has_found = self.distribute(message, origin=session)
            reason = SUCCESS if has_found else ReasonCode.NO_MATCHING_SUBSCRIBERS
        if message.flags & 6:
            client.protocol.acknowledge(message, reason)

    def _has_room_for(
        self, client: ConnectedClient, session: Session, message: Message
    ) -> bool:
        """Tell whether the broker can keep of a message what it has to keep."""
        is_told = client.protocol.version >= 5 and message.flags & QOS_BITS
        if message.flags & QOS_2 and not self.ledger.has_room(session):
            if not is_told:
                # When it comes again it is a new one.
                session.received.discard(message.packet_id)
                self.warnings.say(
                    "clients hold all they may: %r, which leaves %d messages of QoS 2 "
                    "unreleased, is cut off",
                    session.client_id[:64],
                    len(session.received),
                )
                self.cut(client, ReasonCode.QUOTA_EXCEEDED, self.clock.now)
            return False
        # Who cannot be told has the message delivered at least, and nothing retained.
        must_keep = message.flags & RETAIN and message.payload and is_told
        return not must_keep or self.can_retain(message)

    def _refusal_to_publish(
        self, username: str | None, client_id: str, topic: str
    ) -> ReasonCode | None:
        if topic.startswith("$"):
            return ReasonCode.NOT_AUTHORIZED
        if not self.permissions.may_publish(username, client_id, topic):
            return ReasonCode.NOT_AUTHORIZED
        if topic.count("/") >= self.limits.topic_levels:
            return ReasonCode.TOPIC_NAME_INVALID
        return None

    def _take_disconnect(
        self, client: ConnectedClient, session: Session, packet: Disconnect
    ) -> None:
        expiry_s = packet.properties.session_expiry_s
        if expiry_s is not None:
            session.expiry_s = min(expiry_s, self.limits.session_expiry_max_s)
        if packet.reason == ReasonCode.NORMAL_DISCONNECTION:
            session.take_will(None)
        self.left(client, self.clock.now)


def _remembered(connect: Connect) -> Connect:
    """Leave out of a CONNECT what is not asked for again."""
    properties = connect.properties
    if properties.user_properties:
        properties = replace(properties, user_properties=())
    method = properties.authentication_method
    password = connect.password if method is not None else None
    return replace(connect, will=None, password=password, properties=properties)
