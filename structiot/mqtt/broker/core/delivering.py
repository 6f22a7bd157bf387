"""From one published message to all who get it."""

from __future__ import annotations

from dataclasses import replace

from structiot.errors import StructiotError
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.retaining import Retaining
from structiot.mqtt.broker.core.sessions import (
    Delivery,
    Session,
    SharedGroup,
    Subscription,
    with_expiry,
)
from structiot.mqtt.broker.core.slow_consumers import SlowConsumers
from structiot.mqtt.broker.memory_accounting import message_bytes
from structiot.mqtt.wire.codec import encode_publish_into
from structiot.mqtt.wire.messages import RETAIN, Message
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.topics import TopicTree

__all__ = ["Delivering"]

MAX_CACHED_TOPICS = 4096
MAX_CACHED_TOPIC_CHARS = 256
# For all topics together; one costs about a hundred bytes.
MAX_CACHED_TARGETS = 200_000

_Found = tuple[Subscription | SharedGroup, ...]
# One subscriber of a message: its session, the highest QoS granted, whether RETAIN is
# shown as published, and the identifiers of all its subscriptions that match.
Target = tuple[Session, int, bool, tuple[int, ...]]


class Delivering(Retaining):
    """Matches messages with subscriptions and writes them; a base of `Broker`.

    Attributes:
        tree: Subscriptions and shared groups by filter.
        shared: Shared groups by their whole filter.
        dirty: Connections with something to write.
        slow_consumers: Connections with so much to write that publishers should pause.
        received: Messages published by clients and wills.
        sent: Messages handed to connections or queues.
        dropped: Messages of QoS 0 lost because a client was away or slow.
    """

    def __init__(self, limits: BrokerLimits) -> None:
        super().__init__(limits)
        self.tree: TopicTree[Subscription | SharedGroup] = TopicTree()
        self.shared: dict[str, SharedGroup] = {}
        self.dirty: list[ConnectedClient] = []
        self.slow_consumers: SlowConsumers = SlowConsumers()
        self.received = 0
        self.sent: int = 0
        self.dropped: int = 0
        self._slow_bytes = limits.write_bytes // 4
        # By topic: what the tree has found, and what was made of it.
        self._targets: dict[str, tuple[_Found, list[Target]]] = {}
        self._target_count = 0

    # -- publishing ----------------------------------------------------------------

    def distribute(self, message: Message, *, origin: Session | None = None) -> int:
        """Hand a message to everybody it is for; give their number."""
        expires_at = None
        if message.properties is not None:
            expires_at = _without_hop(message, self.clock.now)
        if message.flags & RETAIN:
            self.retain(message, expires_at)
        found = self.tree.match(message.topic)
        if not found:
            return 0
        if message.flags == 0 and message.properties is None:
            return self._distribute_plain(message, found, origin)
        targets = self._targets_of(message.topic, found, origin)
        published_qos = message.flags >> 1 & 3
        size = message_bytes(message.topic, message.payload, message.properties)
        for session, granted, shows_retain, ids in targets:
            retain = message.flags & RETAIN if shows_retain else 0
            flags = (min(published_qos, granted)) << 1 | retain
            self._send(session, message, flags, ids, expires_at, size)
        return len(targets)

    def _distribute_plain(
        self, message: Message, found: _Found, origin: Session | None
    ) -> int:
        # Encoded once for each version; the bytes go to everybody.
        encoded: dict[int, bytes] = {}
        targets = self._targets_of(message.topic, found, origin)
        for session, _, _, ids in targets:
            self._send_plain(session, message, ids, encoded)
        return len(targets)

    def _targets_of(
        self, topic: str, found: _Found, origin: Session | None
    ) -> list[Target]:
        """Make one target of each session: highest QoS, all identifiers."""
        known = self._targets.get(topic)
        if known is not None and known[0] is found:
            return known[1]
        by_session: dict[Session, Target] = {}
        shared: list[Target] = []
        is_lasting = True
        for entry in found:
            if isinstance(entry, SharedGroup):
                is_lasting = False
                shared.append(_target(entry.choose()))
                continue
            session, request = entry.session, entry.request
            if request.no_local:
                is_lasting = False
                if session is origin:
                    continue
            target = by_session.get(session)
            if target is None:
                by_session[session] = _target(entry)
            else:
                _, qos, shows_retain, ids = target
                by_session[session] = (
                    session,
                    max(qos, request.qos),
                    shows_retain or request.retain_as_published,
                    ids + entry.ids,
                )
        targets = [*by_session.values(), *shared]
        if is_lasting:
            self._target_count += len(targets)
            if (
                len(self._targets) >= MAX_CACHED_TOPICS
                or self._target_count > MAX_CACHED_TARGETS
            ):
                self._targets.clear()
                self._target_count = len(targets)
            if len(topic) <= MAX_CACHED_TOPIC_CHARS:
                self._targets[topic] = (found, targets)
        return targets

    def _send_plain(
        self,
        session: Session,
        message: Message,
        ids: tuple[int, ...],
        encoded: dict[int, bytes],
    ) -> None:
        client = session.client
        if client is None or ids:
            size = message_bytes(message.topic, message.payload, None)
            self._send(session, message, 0, ids, None, size)
            return
        protocol = client.protocol
        if protocol.write_publish is not encode_publish_into:
            self._write(session, client, message, 0, None)
            return
        out = protocol.out
        if len(out) > self._slow_bytes and not self._has_buffer(session, client):
            return
        version = protocol.version
        data = encoded.get(version)
        if data is None:
            made = bytearray()
            encode_publish_into(made, message.topic, message.payload, 0, 0, version)
            data = encoded[version] = bytes(made)
        out += data
        self.sent += 1
        if not client.is_dirty:
            client.is_dirty = True
            self.dirty.append(client)

    def _send(  # noqa: PLR0917 - called for each delivery
        self,
        session: Session,
        message: Message,
        flags: int,
        ids: tuple[int, ...],
        expires_at: float | None,
        size: int,
    ) -> None:
        client = session.client
        properties = message.properties
        if ids:
            properties = replace(
                properties or PublishProperties(), subscription_ids=ids
            )
        if flags >= 2 or (client is None and self.limits.queues_qos_0):
            flow = Delivery(
                message.topic,
                message.payload,
                flags,
                properties,
                expires_at,
                content_bytes=size,
            )
            self._queue(session, flow)
        elif client is None:
            self._lose(session)
        else:
            if client.protocol.version < 5:
                properties = None
            self._write(session, client, message, flags, properties)

    def _write(
        self,
        session: Session,
        client: ConnectedClient,
        message: Message,
        flags: int,
        properties: PublishProperties | None,
    ) -> None:
        protocol = client.protocol
        out = protocol.out
        if len(out) > self._slow_bytes and not self._has_buffer(session, client):
            return
        try:
            protocol.write_publish(
                out,
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
        self.wake(client)

    def _queue(self, session: Session, flow: Delivery) -> None:
        outgoing = session.outgoing
        if not self.ledger.has_room(session):
            self.warnings.say(
                "clients hold %d bytes of %d: those that hold much get no more",
                self.ledger.held_bytes,
                self.ledger.most_bytes,
            )
            self._lose(session)
            return
        if not self._has_room(session, flow.size):
            self._lose(session)
            return
        self.sent += 1
        client = session.client
        if flow.expires_at is not None:
            self.deadlines.add(session, flow.expires_at)
        if client is None:
            outgoing.submit(flow, bytearray(), 5)
            self.ledger.settle_deliveries(session)
            return
        protocol = client.protocol
        outgoing.submit(flow, protocol.kept, protocol.version)
        self.ledger.settle_deliveries(session)
        if len(protocol.kept) >= self._slow_bytes:
            self.note_slow(client)
        if not client.is_dirty:
            client.is_dirty = True
            self.dirty.append(client)

    def forget_targets(self) -> None:
        """Subscriptions have changed."""
        self._targets.clear()

    # -- bounds --------------------------------------------------------------------

    def _has_buffer(self, session: Session, client: ConnectedClient) -> bool:
        self.note_slow(client)
        self.ledger.settle(session)
        if len(client.protocol.out) <= self.limits.write_bytes and self.ledger.has_room(
            session
        ):
            return True
        self._lose(session)
        return False

    def _has_room(self, session: Session, size: int) -> bool:
        if self._is_light(session, size):
            return True
        outgoing = session.outgoing
        limits = self.limits
        if session.client is not None:
            self.note_slow(session.client)
        while (
            len(outgoing.waiting) >= limits.queued
            or outgoing.held_bytes + size > limits.queued_bytes
        ):
            if limits.queue_policy == "drop_newest" or not outgoing.waiting:
                return len(outgoing) == 0
            outgoing.drop_first()
        return True

    def _is_light(self, session: Session, size: int = 0) -> bool:
        outgoing, limits = session.outgoing, self.limits
        return (
            len(outgoing.waiting) * 2 <= limits.queued
            and (outgoing.held_bytes + size) * 2 <= limits.queued_bytes
        )

    def _lose(self, session: Session) -> None:
        self.dropped += 1
        session.dropped += 1

    def note_slow(self, client: ConnectedClient) -> None:
        """Have publishers wait for a client, for as long as they are patient."""
        self.slow_consumers.add(client, self.clock.now)

    def wake(self, client: ConnectedClient) -> None:
        """Have a connection's `flush` called."""
        if not client.is_dirty:
            client.is_dirty = True
            self.dirty.append(client)

    def drained(self, client: ConnectedClient) -> None:
        """A connection has taken everything: give it what has waited for that."""
        if client.has_more:
            self.refill(client)

    def refill(self, client: ConnectedClient) -> None:
        """Write what has waited for room in a connection's buffer or window."""
        session, protocol = client.session, client.protocol
        if session is None:
            return
        session.outgoing.pump(protocol.kept, protocol.version)
        if session.backlog is not None:
            self._send_retained(session, client)
        self.ledger.settle(session)
        if max(len(protocol.out), len(protocol.kept)) >= self._slow_bytes:
            self.note_slow(client)
        elif self._is_light(session):
            self.slow_consumers.remove(client, self.clock.now)
        if protocol.out or protocol.kept:
            self.wake(client)

    # -- retained messages ---------------------------------------------------------

    def _send_retained(self, session: Session, client: ConnectedClient) -> None:
        """Go on telling new subscriptions what is retained, while there is room."""
        protocol, backlog = client.protocol, session.backlog
        if not client.is_answered:
            return
        while backlog is not None and not session.outgoing.waiting:
            if max(len(protocol.out), len(protocol.kept)) > self._slow_bytes:
                return
            found = backlog.take(self.retained)
            if found is None:
                session.backlog = None
                return
            subscription, topic = found
            name = subscription.request.topic_filter
            if session.subscriptions.get(name) is subscription:
                self._send_item(subscription, topic)

    def _send_item(self, subscription: Subscription, topic: str) -> None:
        item = self.retained.get(topic)
        if item is None:
            return
        now = self.clock.now
        message = Message(item.topic, item.payload, properties=item.properties)
        if item.expires_at is not None:
            if item.expires_at <= now:
                self.expire_retained(topic)
                return
            message.properties = with_expiry(item.properties, item.expires_at - now)
        flags = min(item.qos, subscription.request.qos) << 1 | RETAIN
        session = subscription.session
        ids, size = subscription.ids, item.content_bytes
        self._send(session, message, flags, ids, item.expires_at, size)


def _target(subscription: Subscription) -> Target:
    request = subscription.request
    return (
        subscription.session,
        request.qos,
        request.retain_as_published,
        subscription.ids,
    )


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
