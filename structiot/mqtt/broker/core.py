"""The broker's logic: sessions, subscriptions, retained messages, wills. No I/O.

The shell calls `Broker` with what a connection's protocol gives; everything is
written into the protocols' `out` at once and the handles are woken. Time enters as
an argument. Where the standard leaves a choice: overlapping subscriptions get one
copy at the highest QoS with all identifiers; names that begin with `$` cannot be
published by clients; the quality of service is never raised.
"""

from __future__ import annotations

import logging

from structiot.mqtt.broker.auth import Permissions
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.delivering import Delivering
from structiot.mqtt.broker.handle import Handle
from structiot.mqtt.broker.sessions import (
    FOR_EVER_S,
    Session,
    SharedGroup,
    Subscription,
)
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from structiot.mqtt.wire.properties import ConnackProperties
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import parse_shared

__all__ = ["Broker"]

REFUSED_3_1_1 = ReasonCode.UNSPECIFIED_ERROR

_log = logging.getLogger(__name__)


class Broker(Delivering):
    """All clients and all messages of one broker.

    Attributes:
        limits: What clients may have.
        sessions: By client id.
    """

    def __init__(self, limits: BrokerLimits, permissions: Permissions) -> None:
        super().__init__(limits)
        self.permissions = permissions
        self.sessions: dict[str, Session] = {}

    # -- connecting ----------------------------------------------------------------

    def accept(
        self, handle: Handle, connect: Connect, now: float, *, made_up_id: str
    ) -> bool:
        """Let an authenticated client in; False if it was turned away."""
        is_v5 = connect.version >= 5
        client_id = connect.client_id or made_up_id
        if not connect.client_id and not is_v5 and not connect.clean_start:
            self.refuse(handle, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)
            return False
        if connect.will is not None and not self.permissions.may_publish(
            connect.username, client_id, connect.will.topic
        ):
            self.refuse(handle, ReasonCode.NOT_AUTHORIZED)
            return False
        session = self.sessions.get(client_id)
        if session is not None and session.username != connect.username:
            # Somebody else's session is not to be had by knowing its name.
            if session.handle is not None:
                self.refuse(handle, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)
                return False
            self._end_session(session, now)
            session = None
        if session is not None and session.handle is not None:
            self._take_over(session, now)
            session = self.sessions.get(client_id)
        is_present = session is not None and not connect.clean_start
        if session is not None and connect.clean_start:
            self._end_session(session, now)
        if session is None or not is_present:
            session = Session(client_id, receive_maximum=self.limits.receive_maximum)
            session.username = connect.username
            self.sessions[client_id] = session
        self._open(handle, session, connect, now, is_present=is_present)
        return True

    def _open(
        self,
        handle: Handle,
        session: Session,
        connect: Connect,
        now: float,
        *,
        is_present: bool,
    ) -> None:
        limits = self.limits
        is_v5 = connect.version >= 5
        if is_v5:
            asked_s = connect.properties.session_expiry_s or 0
            session.expiry_s = min(asked_s, limits.session_expiry_max_s)
        else:
            session.expiry_s = 0 if connect.clean_start else limits.session_expiry_max_s
        session.expires_at = None
        session.will = connect.will
        session.will_at = None
        session.handle = handle
        handle.session = session
        keep_alive_s = connect.keep_alive_s
        lowered = None
        if is_v5 and not 0 < keep_alive_s <= limits.keep_alive_max_s < 65_535:
            lowered = (
                limits.keep_alive_max_s if limits.keep_alive_max_s < 65_535 else None
            )
        handle.keep_alive_s = keep_alive_s if lowered is None else lowered
        properties = ConnackProperties()
        if is_v5:
            properties = ConnackProperties(
                receive_maximum=limits.receive_maximum,
                topic_alias_maximum=limits.topic_alias_maximum,
                maximum_packet_bytes=limits.packet_bytes,
                assigned_client_id=None if connect.client_id else session.client_id,
                server_keep_alive_s=lowered,
                session_expiry_s=(
                    session.expiry_s
                    if session.expiry_s != (connect.properties.session_expiry_s or 0)
                    else None
                ),
            )
        self.refresh(session, now)
        handle.protocol.accept(
            Connack(session_present=is_present, properties=properties),
            session.outgoing,
            session.incoming,
        )
        handle.wake()

    def refuse(self, handle: Handle, reason: ReasonCode) -> None:
        """Turn a client away with a code that its version knows."""
        handle.protocol.refuse(Connack(reason=reason))
        handle.end()

    def _take_over(self, session: Session, now: float) -> None:
        old = session.handle
        if old is not None:
            old.protocol.disconnect(ReasonCode.SESSION_TAKEN_OVER)
            old.end()
            self.left(old, now)

    # -- packets -------------------------------------------------------------------

    def take(self, handle: Handle, packet: Packet, now: float) -> None:
        """Deal with one packet of an accepted client."""
        session = handle.session
        if session is None or session.handle is not handle:
            return
        if type(packet) is Message:
            self._take_message(session, packet, now)
        elif isinstance(packet, Subscribe):
            self._take_subscribe(handle, session, packet, now)
        elif isinstance(packet, Unsubscribe):
            self._take_unsubscribe(handle, session, packet)
        elif isinstance(packet, Disconnect):
            self._take_disconnect(handle, session, packet, now)
        else:
            handle.protocol.disconnect(ReasonCode.PROTOCOL_ERROR)
            handle.end()

    def _take_message(self, session: Session, message: Message, now: float) -> None:
        reason = ReasonCode.SUCCESS
        topic = message.topic
        if topic.startswith("$") or not self.permissions.may_publish(
            session.username, session.client_id, topic
        ):
            reason = ReasonCode.NOT_AUTHORIZED
        elif topic.count("/") >= self.limits.topic_levels:
            reason = ReasonCode.TOPIC_NAME_INVALID
        elif not self.publish(message, now, origin=session):
            reason = ReasonCode.NO_MATCHING_SUBSCRIBERS
        receipt = message.receipt
        if receipt is not None and session.handle is not None:
            protocol = session.handle.protocol
            if reason and protocol.version >= 5:
                receipt.reason = reason
            session.incoming.settle(receipt, protocol.out)

    def _take_disconnect(
        self, handle: Handle, session: Session, packet: Disconnect, now: float
    ) -> None:
        expiry_s = packet.properties.session_expiry_s
        if expiry_s is not None:
            if expiry_s and not session.expiry_s:
                handle.protocol.disconnect(ReasonCode.PROTOCOL_ERROR)
                handle.end()
                return
            session.expiry_s = min(expiry_s, self.limits.session_expiry_max_s)
        if packet.reason != ReasonCode.DISCONNECT_WITH_WILL:
            session.will = None
        handle.has_left = True
        self.left(handle, now)
        handle.end()

    # -- subscriptions -------------------------------------------------------------

    def _take_subscribe(
        self, handle: Handle, session: Session, packet: Subscribe, now: float
    ) -> None:
        protocol = handle.protocol
        reasons: list[ReasonCode] = []
        fresh: list[tuple[Subscription, bool]] = []
        for request in packet.subscriptions:
            reason = self._refusal(session, request)
            if reason is not None:
                reasons.append(reason if protocol.version >= 5 else REFUSED_3_1_1)
                continue
            is_new = request.topic_filter not in session.subscriptions
            subscription = Subscription(
                session, request, packet.properties.subscription_id
            )
            self._file(subscription)
            fresh.append((subscription, is_new))
            reasons.append(ReasonCode(request.qos))
        suback = Suback(packet_id=packet.packet_id, reasons=tuple(reasons))
        protocol.out += encode(suback, protocol.version)
        for subscription, is_new in fresh:
            handling = subscription.request.retain_handling
            if handling == 0 or (handling == 1 and is_new):
                self.send_retained(subscription, now)
        handle.wake()

    def _refusal(
        self, session: Session, request: SubscriptionRequest
    ) -> ReasonCode | None:
        name = request.topic_filter
        if name.count("/") >= self.limits.topic_levels:
            return ReasonCode.TOPIC_FILTER_INVALID
        if not self.permissions.may_subscribe(
            session.username, session.client_id, name
        ):
            return ReasonCode.NOT_AUTHORIZED
        if (
            name not in session.subscriptions
            and len(session.subscriptions) >= self.limits.subscriptions
        ):
            return ReasonCode.QUOTA_EXCEEDED
        return None

    def _file(self, subscription: Subscription) -> None:
        session, name = subscription.session, subscription.request.topic_filter
        old = session.subscriptions.get(name)
        if old is not None:
            self._unfile(old)
        session.subscriptions[name] = subscription
        group, inner = parse_shared(name)
        if group is None:
            self.tree.add(inner, subscription)
        else:
            shared = self.shared.get(name)
            if shared is None:
                shared = self.shared[name] = SharedGroup()
                self.tree.add(inner, shared)
            shared.members.append(subscription)

    def _unfile(self, subscription: Subscription) -> None:
        session, name = subscription.session, subscription.request.topic_filter
        del session.subscriptions[name]
        group, inner = parse_shared(name)
        if group is None:
            self.tree.remove(inner, subscription)
            return
        shared = self.shared[name]
        shared.members.remove(subscription)
        if not shared.members:
            del self.shared[name]
            self.tree.remove(inner, shared)

    def _take_unsubscribe(
        self, handle: Handle, session: Session, packet: Unsubscribe
    ) -> None:
        reasons: list[ReasonCode] = []
        for name in packet.topic_filters:
            subscription = session.subscriptions.get(name)
            if subscription is None:
                reasons.append(ReasonCode.NO_SUBSCRIPTION_EXISTED)
            else:
                self._unfile(subscription)
                reasons.append(ReasonCode.SUCCESS)
        version = handle.protocol.version
        unsuback = Unsuback(
            packet_id=packet.packet_id, reasons=tuple(reasons) if version >= 5 else ()
        )
        handle.protocol.out += encode(unsuback, version)
        handle.wake()

    # -- leaving -------------------------------------------------------------------

    def left(self, handle: Handle, now: float) -> None:
        """A connection is gone, whatever the reason; idempotent."""
        session = handle.session
        handle.session = None
        if session is None or session.handle is not handle:
            return
        session.handle = None
        session.outgoing.pause()
        session.incoming.pause()
        if session.will is not None:
            delay_s = session.will.properties.will_delay_s or 0
            session.will_at = now + min(delay_s, session.expiry_s)
        if session.expiry_s >= FOR_EVER_S:
            session.expires_at = None
        else:
            session.expires_at = now + session.expiry_s
        if session.expiry_s == 0:
            self._end_session(session, now)
        elif session.will_at is not None and session.will_at <= now:
            self._publish_will(session, now)
        self._bound_sessions(now)

    def _bound_sessions(self, now: float) -> None:
        if len(self.sessions) <= self.limits.sessions:
            return
        for session in self.sessions.values():
            if session.handle is None:
                # The oldest that is away goes first; dicts keep the order of arrival.
                _log.warning("too many sessions: %s is forgotten", session.client_id)
                self._end_session(session, now)
                return

    def _end_session(self, session: Session, now: float) -> None:
        if session.will is not None and session.will_at is not None:
            self._publish_will(session, now)
        for subscription in list(session.subscriptions.values()):
            self._unfile(subscription)
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]

    def _publish_will(self, session: Session, now: float) -> None:
        will, session.will, session.will_at = session.will, None, None
        if will is None:
            return
        wire = will.properties
        message = Message(will.topic, will.payload, qos=will.qos, retain=will.retain)
        message.properties = self.will_properties(wire)
        self.publish(message, now, origin=session)

    def tick(self, now: float) -> None:
        """Do what is due: wills, ends of sessions, clients that are silent or stuck."""
        for session in list(self.sessions.values()):
            handle = session.handle
            if handle is None:
                if session.will_at is not None and session.will_at <= now:
                    self._publish_will(session, now)
                if session.expires_at is not None and session.expires_at <= now:
                    self._end_session(session, now)
                continue
            self.refresh(session, now)
            silent_s = now - handle.protocol.last_received_at
            if handle.keep_alive_s and silent_s > handle.keep_alive_s * 1.5:
                handle.protocol.disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT)
                self.left(handle, now)
                handle.end()
            elif (
                handle.stalled_since is not None
                and now - handle.stalled_since > self.limits.stall_s
            ):
                _log.warning("%s takes nothing, cut off", handle.peer)
                self.left(handle, now)
                handle.end()
