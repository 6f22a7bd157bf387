"""From one published message to all who get it."""

from __future__ import annotations

from dataclasses import replace

from structiot.errors import StructiotError
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.handle import Handle
from structiot.mqtt.broker.retained import RetainedStore
from structiot.mqtt.broker.sessions import Delivery, Session, SharedGroup, Subscription
from structiot.mqtt.wire.codec import encode_publish_into
from structiot.mqtt.wire.messages import RETAIN, Message
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from structiot.mqtt.wire.sending import Flow
from structiot.mqtt.wire.topics import TopicTree, parse_shared

__all__ = ["Delivering"]


class Delivering:
    """Matches messages with subscriptions and writes them; a base of `Broker`.

    Attributes:
        limits: What clients may have.
        tree: Subscriptions and shared groups by filter.
        shared: Shared groups by their whole filter.
        retained: The last retained message of each topic.
        received: Messages published, by clients and wills.
        sent: Messages handed to connections or queues.
        dropped: Messages lost because a client was away or slow.
        crowded: Connections with so much to write that publishers should pause.
    """

    def __init__(self, limits: BrokerLimits) -> None:
        self.limits = limits
        self.tree: TopicTree[Subscription | SharedGroup] = TopicTree()
        self.shared: dict[str, SharedGroup] = {}
        self.retained = RetainedStore(
            max_items=limits.retained, max_bytes=limits.retained_bytes
        )
        self.received = 0
        self.sent = 0
        self.dropped = 0
        self.crowded: set[Handle] = set()
        self._crowd_bytes = limits.write_bytes // 4

    def publish(
        self, message: Message, now: float, *, origin: Session | None = None
    ) -> int:
        """Hand a message to everybody it is for; give their number."""
        self.received += 1
        expires_at = _without_hop(message, now)
        if message.flags & RETAIN:
            self.retained.put(message, expires_at)
        found = self.tree.match(message.topic)
        if not found:
            return 0
        if len(found) == 1 and type(found[0]) is Subscription:
            targets = [(found[0], found[0].request.qos, _ids(found[0]))]
        else:
            targets = self._merged(found)
        # Plain QoS 0 is encoded once and its bytes go to everybody of a version.
        encoded: dict[int, bytes] = {}
        published_qos = message.flags >> 1 & 3
        for subscription, granted, ids in targets:
            session = subscription.session
            request = subscription.request
            if session is origin and request.no_local:
                continue
            retain = message.flags & RETAIN if request.retain_as_published else 0
            flags = (min(published_qos, granted)) << 1 | retain
            if flags or ids or message.properties is not None:
                self._send(session, message, flags, ids, expires_at)
            else:
                self._send_plain(session, message, encoded)
        return len(targets)

    def _merged(
        self, found: tuple[Subscription | SharedGroup, ...]
    ) -> list[tuple[Subscription, int, tuple[int, ...]]]:
        """Make one target of each session: highest QoS, all identifiers."""
        by_session: dict[Session, tuple[Subscription, int, tuple[int, ...]]] = {}
        shared = []
        for entry in found:
            if isinstance(entry, SharedGroup):
                chosen = entry.choose()
                shared.append((chosen, chosen.request.qos, _ids(chosen)))
                continue
            known = by_session.get(entry.session)
            if known is None:
                by_session[entry.session] = (entry, entry.request.qos, _ids(entry))
                continue
            first, qos, ids = known
            # No local holds only if no other subscription wants the message.
            kept = entry if first.request.no_local else first
            best = max(qos, entry.request.qos)
            by_session[entry.session] = (kept, best, ids + _ids(entry))
        return [*by_session.values(), *shared]

    def _send_plain(
        self, session: Session, message: Message, encoded: dict[int, bytes]
    ) -> None:
        handle = session.handle
        if handle is None:
            self._lose(session)
            return
        protocol = handle.protocol
        out = protocol.out
        if len(out) > self._crowd_bytes:
            self.crowded.add(handle)
            if len(out) > self.limits.write_bytes:
                self._lose(session)
                return
        if protocol.write_publish is not encode_publish_into:
            self._write(session, handle, message, 0, None)
            return
        version = protocol.version
        data = encoded.get(version)
        if data is None:
            made = bytearray()
            encode_publish_into(made, message.topic, message.payload, 0, 0, version)
            data = encoded[version] = bytes(made)
        was_empty = not out
        out += data
        self.sent += 1
        if was_empty:
            handle.wake()

    def _write(
        self,
        session: Session,
        handle: Handle,
        message: Message,
        flags: int,
        properties: PublishProperties | None,
    ) -> None:
        protocol = handle.protocol
        try:
            protocol.write_publish(
                protocol.out,
                message.topic,
                message.payload,
                flags,
                0,
                protocol.version,
                properties,
            )
        except StructiotError:
            # Too large for this client: as if it had been delivered.
            self._lose(session)
            return
        self.sent += 1
        handle.wake()

    def _send(
        self,
        session: Session,
        message: Message,
        flags: int,
        ids: tuple[int, ...],
        expires_at: float | None,
    ) -> None:
        handle = session.handle
        properties = message.properties
        if handle is not None and handle.protocol.version < 5:
            properties = None
        elif ids:
            properties = replace(
                properties or PublishProperties(), subscription_ids=ids
            )
        if flags < 2:
            if handle is None:
                self._lose(session)
            elif len(handle.protocol.out) > self.limits.write_bytes:
                self.crowded.add(handle)
                self._lose(session)
            else:
                self._write(session, handle, message, flags, properties)
            return
        if not self._has_room(session, len(message.payload)):
            self._lose(session)
            return
        flow = Delivery(message.topic, message.payload, flags, properties, expires_at)
        self.sent += 1
        if handle is None:
            session.outgoing.submit(flow, bytearray(), 4)
            return
        protocol = handle.protocol
        session.outgoing.submit(flow, protocol.out, protocol.version)
        if len(protocol.out) > self._crowd_bytes:
            self.crowded.add(handle)
        handle.wake()

    def refresh(self, session: Session, now: float) -> None:
        """Drop what has expired in a queue, and say of the rest how long it still has."""
        outgoing = session.outgoing
        if not outgoing.waiting:
            return
        kept: list[Flow] = []
        for flow in outgoing.waiting:
            expires_at = flow.expires_at if isinstance(flow, Delivery) else None
            if expires_at is None:
                kept.append(flow)
            elif expires_at > now:
                left_s = max(1, round(expires_at - now))
                if flow.properties is not None:
                    flow.properties = replace(flow.properties, message_expiry_s=left_s)
                kept.append(flow)
            else:
                outgoing.held_bytes -= len(flow.payload)
                self._lose(session)
        outgoing.waiting.clear()
        outgoing.waiting.extend(kept)

    def _has_room(self, session: Session, size: int) -> bool:
        outgoing = session.outgoing
        limits = self.limits
        while outgoing.waiting and (
            len(outgoing.waiting) >= limits.queued
            or outgoing.held_bytes + size > limits.queued_bytes
        ):
            if limits.queue_policy == "drop_newest":
                return False
            outgoing.held_bytes -= len(outgoing.waiting.popleft().payload)
            self._lose(session)
        return True

    def _lose(self, session: Session) -> None:
        self.dropped += 1
        session.dropped += 1

    def send_retained(self, subscription: Subscription, now: float) -> None:
        """Send a new subscription what is retained; never to a shared one."""
        group, inner = parse_shared(subscription.request.topic_filter)
        if group is not None:
            return
        ids = _ids(subscription)
        for item in self.retained.matching(inner, now):
            message = Message(item.topic, item.payload, properties=item.properties)
            if item.expires_at is not None:
                left_s = max(1, round(item.expires_at - now))
                message.properties = replace(
                    item.properties or PublishProperties(), message_expiry_s=left_s
                )
            flags = min(item.qos, subscription.request.qos) << 1 | RETAIN
            self._send(subscription.session, message, flags, ids, item.expires_at)

    def will_properties(self, will: WillProperties) -> PublishProperties | None:
        """Give the properties that a will's message is published with."""
        properties = PublishProperties(
            payload_format=will.payload_format,
            message_expiry_s=will.message_expiry_s,
            content_type=will.content_type,
            response_topic=will.response_topic,
            correlation_data=will.correlation_data,
            user_properties=will.user_properties,
        )
        return None if properties == PublishProperties() else properties


def _ids(subscription: Subscription) -> tuple[int, ...]:
    number = subscription.subscription_id
    return () if number is None else (number,)


def _without_hop(message: Message, now: float) -> float | None:
    """Take from a message what belongs to the publisher's connection alone."""
    properties = message.properties
    if properties is None:
        return None
    if properties.topic_alias is not None:
        properties = replace(properties, topic_alias=None)
        message.properties = None if properties == PublishProperties() else properties
    if properties.message_expiry_s is None:
        return None
    return now + properties.message_expiry_s
