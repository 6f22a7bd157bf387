"""Beginnings: who is let in, and with which session."""

from __future__ import annotations

import logging
from dataclasses import replace

from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.ending import Ending
from structiot.mqtt.broker.core.sessions import Deliveries, Session
from structiot.mqtt.broker.core.subscribing import user_text
from structiot.mqtt.wire.messages import Connack, Connect, Message, Will
from structiot.mqtt.wire.properties import ConnackProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["Joining"]

_log = logging.getLogger(__name__)


class Joining(Ending):
    """Answers CONNECT; a base of `Broker`."""

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
            session = self.new_session(client_id, username, client.network)
        self._attach(client, session, connect)
        connack = Connack(
            session_present=is_present,
            properties=self._handshake(client, session, connect, authentication_data),
        )
        client.protocol.accept(
            connack, session.outgoing, session.received, window=self.limits.inflight
        )
        if self.onlooker is not None:
            self.onlooker.joined(client_id, username)
        self.refill(client)
        if self.journal is not None and self.journal.changes != changes:
            self.journal.bind(client)
        self.wake(client)
        _log.debug(
            "client %.64r at %s is connected: %s, MQTT %s, %s session",
            client_id,
            client.peer,
            user_text(username),
            "5.0" if connect.version >= 5 else "3.1.1",
            "its old" if is_present else "a new",
        )
        return True

    def new_session(
        self, client_id: str, username: str | None, network: str = ""
    ) -> Session:
        """Begin a session without a connection, of a client at an address."""
        limits = self.limits
        outgoing = Deliveries(
            self.clock,
            out_bytes=limits.write_bytes // 4,
            inflight_bytes=limits.inflight_bytes,
        )
        account = self.ledger.account(network)
        session = self.sessions[client_id] = Session(client_id, outgoing, account)
        self.ledger.open(session, account)
        session.username = username
        return session

    def _refusal_of(
        self, connect: Connect, client_id: str, username: str | None
    ) -> ReasonCode | None:
        if not connect.client_id and (
            not self.limits.allows_empty_client_id
            or (connect.version < 5 and not connect.clean_start)
        ):
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
        if (will := connect.will) is None:
            return None
        reason = self.refusal_of_flags(will)
        if reason is None and len(will.payload) > self.limits.payload_bytes:
            reason = ReasonCode.PACKET_TOO_LARGE
        return reason or self.refusal_to_publish(username, client_id, will.topic)

    def refusal_of_flags(self, message: Message | Will) -> ReasonCode | None:
        """Tell why a message is not taken for its QoS, or for being to be retained."""
        if message.qos > self.limits.maximum_qos:
            return ReasonCode.QOS_NOT_SUPPORTED
        if message.retain and not self.limits.retain_available:
            return ReasonCode.RETAIN_NOT_SUPPORTED
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
        self.drop_forbidden(session)
        session.place_in_groups()
        # What the client has said once is not kept for as long as it stays.
        client.protocol.connect = _remembered(connect)
        client.session = session
        self.ledger.forget_newcomer(client)
        self.ledger.open(session, self.ledger.account(client.network))
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
            maximum_qos=limits.maximum_qos if limits.maximum_qos < 2 else None,
            retain_available=None if limits.retain_available else False,
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
        """Turn a client away with a code that its version knows, and say so."""
        connect = client.protocol.connect
        name = connect.client_id[:64] if connect is not None else ""
        why = text or reason.text
        self.notes.say(
            "client %r at %s refused: %s",
            name,
            client.peer,
            why,
            about=(name, client.peer, why),
        )
        properties = ConnackProperties(
            reason_string=text if client.protocol.version >= 5 else None
        )
        client.protocol.refuse(Connack(reason=reason, properties=properties))
        self.wake(client)
        client.end()


def _remembered(connect: Connect) -> Connect:
    """Leave out of a CONNECT what is not asked for again."""
    properties = connect.properties
    if properties.user_properties:
        properties = replace(properties, user_properties=())
    method = properties.authentication_method
    password = connect.password if method is not None else None
    return replace(connect, will=None, password=password, properties=properties)
