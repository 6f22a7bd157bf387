"""From one published message to all who get it."""

from __future__ import annotations

import sys
from collections.abc import Generator

from structiot._kit.out_buffer import OutBuffer, size_of
from structiot.errors import StructiotError
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.matching import Matching, Target
from structiot.mqtt.broker.core.sessions import Delivery, Session
from structiot.mqtt.broker.core.slow_consumers import SlowConsumers
from structiot.mqtt.broker.core.work import DELIVERY, WIDE, counted, whole
from structiot.mqtt.broker.memory_accounting import delivery_bytes
from structiot.mqtt.broker.permissions import Permissions
from structiot.mqtt.wire.codec import encode_publish_into
from structiot.mqtt.wire.messages import RETAIN, Message
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["NO_ROOM", "Delivering"]

# Targets of a message, and bytes for them, between which others may have their turn.
STEP = 64
STEP_BYTES = 1_048_576
# A longer message is work by its size as well, a unit for so many bytes.
LONG_BYTES = 16_384
BYTES_A_UNIT = 512
# More filters of permissions to compare with are no small matter.
MANY_RULES = 5_000
# Instead of a number of subscribers: there are some, and none could be given it.
NO_ROOM = -1


class Delivering(Matching):
    """Matches messages with subscriptions and writes them; a base of `Broker`.

    Attributes:
        dirty: Connections with something to write.
        slow_consumers: Connections with so much to write that publishers should pause.
        slow_bytes: How much that is.
        received: Messages published by clients and wills.
        sent: Messages handed to connections or queues.
        dropped: Messages lost because a client was away or slow, or held too much.
        refused: Those of QoS 1 and 2 among them that the ledger had no room for.
    """

    def __init__(self, limits: BrokerLimits, permissions: Permissions) -> None:
        super().__init__(limits, permissions)
        self.dirty: list[ConnectedClient] = []
        self.slow_consumers: SlowConsumers = SlowConsumers()
        self.received = 0
        self.sent: int = 0
        self.dropped: int = 0
        self.refused: int = 0
        self.slow_bytes: int = limits.write_bytes // 4

    # -- publishing ----------------------------------------------------------------

    def distribute(self, message: Message, origin: Session | None = None) -> int | None:
        """Hand a message to everybody it is for; give the number of those who get it.

        Returns:
            None if that is no small matter: nothing has happened yet, and
            `distributing` is the way. NO_ROOM if nobody gets it for want of room.
        """
        topic = message.topic
        found = self.tree.known(topic)
        if found is None:
            found = self._find(topic)
        if found is None or len(found) > WIDE:
            return None
        if len(message.payload) > LONG_BYTES and len(found) > 1:
            return None
        known = self._targets.get(topic)
        is_known = known is not None and known[0] is found
        if not is_known and len(found) * self.permissions.most_rules > MANY_RULES:
            return None
        expires_at = None
        if message.properties is not None or message.flags & RETAIN:
            expires_at = self._enter(message, origin)
        if not found:
            return 0
        if known is not None and is_known:
            targets = known[1]
        else:
            targets = whole(self._merge(topic, found, origin, sys.maxsize))
        before = self.refused
        self._hand_out(message, targets, expires_at, {})
        if self.refused != before:
            return _given(len(targets), self.refused - before)
        return len(targets)

    def distributing(
        self, message: Message, *, origin: Session | None = None
    ) -> Generator[None, None, int]:
        """Do as `distribute` in portions, whatever it takes."""
        topic = message.topic
        # Who subscribes from now on is told what is retained.
        newest = self.retained.number + 1 if message.flags & RETAIN else sys.maxsize
        expires_at = self._enter(message, origin)
        found = yield from counted(self.tree.searching(topic), self.work)
        targets = yield from self._merge(topic, found, origin, newest)
        encoded: dict[int, OutBuffer] = {}
        size = len(message.payload)
        step = max(1, min(STEP, STEP_BYTES // (size + 1)))
        refused = 0
        for start in range(0, len(targets), step):
            some = [one for one in targets[start : start + step] if not one[0].is_over]
            before = self.refused
            self._hand_out(message, some, expires_at, encoded)
            refused += self.refused - before
            self.work.done += len(some) * size // BYTES_A_UNIT
            yield
        return _given(len(targets), refused)

    def _enter(self, message: Message, origin: Session | None) -> float | None:
        """Take a message in, and keep it if it is to be retained; give its end."""
        expires_at = None
        if message.properties is not None:
            expires_at = _without_hop(message, self.clock.now)
        if message.flags & RETAIN:
            account = None if origin is None else origin.account
            publisher = None if origin is None else origin.publisher
            self.retain(message, expires_at, account, publisher)
        return expires_at

    def _hand_out(
        self,
        message: Message,
        targets: list[Target],
        expires_at: float | None,
        encoded: dict[int, OutBuffer],
    ) -> None:
        if message.flags == 0 and message.properties is None:
            self._hand_out_plain(message, targets, encoded)
            return
        self.work.done += DELIVERY * len(targets)
        published_qos = message.flags >> 1 & 3
        size = delivery_bytes(message.topic, message.payload, message.properties)
        for session, granted, shows_retain, ids, share in targets:
            retain = message.flags & RETAIN if shows_retain else 0
            flags = (min(published_qos, granted)) << 1 | retain
            self._send(session, message, flags, ids, expires_at, size, share)

    def _hand_out_plain(
        self,
        message: Message,
        targets: list[Target],
        encoded: dict[int, OutBuffer],
    ) -> None:
        """Encode it once for each version; all share the bytes, and a large payload."""
        topic, payload, dirty = message.topic, message.payload, self.dirty
        size, is_alone = len(payload), len(targets) == 1
        most = self.slow_bytes - size
        count = 0
        for session, _, _, ids, share in targets:
            client = session.client
            if client is None or ids:
                held_bytes = delivery_bytes(topic, payload, None)
                self._send(session, message, 0, ids, None, held_bytes, share)
                continue
            protocol = client.protocol
            if protocol.write_publish is not encode_publish_into:
                self._write(session, client, message, 0, None)
                continue
            out = protocol.out
            is_much = len(out) + out.large_bytes > most
            if is_much and not self._has_buffer(session, client, size):
                continue
            version = protocol.version
            if is_alone:
                encode_publish_into(out, topic, payload, 0, 0, version)
            else:
                if (made := encoded.get(version)) is None:
                    made = encoded[version] = OutBuffer()
                    encode_publish_into(made, topic, payload, 0, 0, version)
                out += made
                if made.large_bytes:
                    out.add_large(payload)
            count += 1
            if not client.is_dirty:
                client.is_dirty = True
                dirty.append(client)
        self.work.done += len(targets)
        self.sent += count

    def _send(  # noqa: PLR0917 - called for each delivery
        self,
        session: Session,
        message: Message,
        flags: int,
        ids: tuple[int, ...],
        expires_at: float | None,
        size: int,
        share: str | None = None,
    ) -> None:
        client = session.client
        properties = message.properties
        if ids:
            properties = properties or PublishProperties()
            properties = properties.changed(subscription_ids=ids)
        if flags >= 2 or (client is None and self.limits.queues_qos_0):
            flow = Delivery(
                message.topic,
                message.payload,
                flags,
                properties,
                expires_at,
                size,
                share,
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
        out, size = protocol.out, len(message.payload)
        if out.size + size > self.slow_bytes and not self._has_buffer(
            session, client, size
        ):
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
        outgoing, ledger = session.outgoing, self.ledger
        if ledger.held_bytes >= ledger.crowded_bytes and not ledger.has_room(session):
            self.warnings.say(
                "clients hold %d bytes of %d: those that hold much get no more",
                ledger.held_bytes,
                ledger.most_bytes,
            )
            self.refused += 1
            self._lose(session)
            return
        size, limits = flow.size, self.limits
        is_light = (
            not outgoing.waiting
            and (outgoing.held_bytes + size) * 2 <= limits.queued_bytes
        ) or self._is_light(session, size)
        if not is_light and not self._has_room(session, size):
            self._lose(session)
            return
        self.sent += 1
        client = session.client
        if flow.expires_at is not None:
            self.deadlines.add(session, flow.expires_at)
        if client is None:
            outgoing.submit(flow, bytearray(), 5)
            ledger.settle_deliveries(session)
            return
        protocol = client.protocol
        # This one alone does not make it slow: most likely it is taken at once.
        is_much = self._has_much(client, protocol.kept)
        outgoing.submit(flow, protocol.kept, protocol.version)
        ledger.settle_deliveries(session)
        if is_much:
            self.note_slow(client)
        if not client.is_dirty:
            client.is_dirty = True
            self.dirty.append(client)

    # -- bounds --------------------------------------------------------------------

    def _has_buffer(self, session: Session, client: ConnectedClient, size: int) -> bool:
        """Tell whether a connection may be written so much more of QoS 0."""
        if self._has_much(client, client.protocol.out):
            self.note_slow(client)
        waiting_bytes = client.protocol.out.size
        self.ledger.settle(session)
        if waiting_bytes <= self.limits.write_bytes and self.ledger.has_room(session):
            # What comes at once for many is charged as it is written.
            self.ledger.charge_session(session, size)
            return True
        self._lose(session)
        return False

    def _has_much(self, client: ConnectedClient, out: bytearray) -> bool:
        """Tell whether a client is slow: much waits for it that is not taken at once."""
        if size_of(out) < self.slow_bytes:
            return False
        # What waits for a store may not leave yet.
        if client.protocol.kept is client.protocol.out:
            client.flush()
        return size_of(out) >= self.slow_bytes

    def _has_room(self, session: Session, size: int) -> bool:
        """Make room in a queue that is not light any more, if its policy allows that."""
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


def _given(targets: int, refused: int) -> int:
    return NO_ROOM if 0 < targets <= refused else targets - refused


def _without_hop(message: Message, now: float) -> float | None:
    """Take from a message what belongs to the publisher's connection alone."""
    properties = message.properties
    if properties is None:
        return None
    if properties.topic_alias is not None:
        properties = properties.changed(topic_alias=None)
        message.properties = None if properties == PublishProperties() else properties
    if properties.message_expiry_s is None:
        return None
    return now + properties.message_expiry_s
