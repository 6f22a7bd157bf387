"""The broker's logic: sessions, subscriptions, retained messages, wills. No I/O.

The shell calls `Broker` with what clients send; everything is written into the
protocols' `out` at once, and `flush` has those connections written that have something
to write. Time enters as an argument. Where the standard leaves a choice: overlapping
subscriptions get one copy at the highest QoS with all identifiers; names that begin
with `$` cannot be published by clients; the quality of service is never raised; a
session belongs to the user that has begun it.
"""

from __future__ import annotations

from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.delivering import NO_ROOM
from structiot.mqtt.broker.core.joining import Joining
from structiot.mqtt.broker.core.ledger import LITTLE_BYTES
from structiot.mqtt.broker.core.sessions import Session
from structiot.mqtt.broker.core.work import LIGHT, PACKET, PAIR, PORTION, Job, whole
from structiot.mqtt.wire.messages import (
    QOS_BITS,
    RETAIN,
    Auth,
    Connect,
    Disconnect,
    Message,
    Packet,
    Subscribe,
    Unsubscribe,
)
from structiot.mqtt.wire.reasons import SUCCESS, ReasonCode
from structiot.mqtt.wire.server_state import OPEN

__all__ = ["Broker"]

QOS_2 = 0x04
MAYBE_KEPT = RETAIN | QOS_2
# Connections that are written at once, before others have their turn; one more counts
# for each so many bytes.
FLUSHED_AT_ONCE = 500
FLUSHED_BYTES = 8_192


class Broker(Joining):
    """All clients and all messages of one broker; the outermost of its layers."""

    # How much work is done when the present portion is used up.
    _end = 0

    # -- what the shell calls ------------------------------------------------------

    def receive(
        self, client: ConnectedClient, data: bytes, now: float, most: int = LIGHT
    ) -> Connect | None:
        """Deal with what a client has sent, about so many units of work at a time.

        If there was more, `client.is_behind` says so: call again with no data.

        Returns:
            A CONNECT that the shell has to answer by `accept` or `refuse`; then call
            again with no data, for the client may have sent more.
        """
        self.clock.now = now
        work, protocol, journal = self.work, client.protocol, self.journal
        changes = 0 if journal is None else journal.changes
        self._end = end = work.done + most
        packets = protocol.receive(data, now)
        work.done += protocol.decoded * PACKET
        client.is_behind = False
        if (job := client.job) is not None:
            client.job = None
            client.is_behind = not self._start(client, job)
        if not client.is_behind:
            for packet in packets:
                if type(packet) is Message:
                    self._take_message(client, packet)
                elif isinstance(packet, Connect):
                    return packet
                else:
                    self._take(client, packet)
                if work.done >= end:
                    client.is_behind = True
                    break
            else:
                client.is_behind = protocol.state is OPEN and protocol.decoder.has_rest
        session, ledger = client.session, self.ledger
        # Most reads leave nothing behind that was to be charged.
        is_even = protocol.is_even and ledger.held_bytes < ledger.crowded_bytes
        if (
            session is None
            or (not is_even and ledger.settle(session))
            or session.backlog is not None
            or client.is_slow
            or protocol.violation is not None
        ):
            self._conclude(client, session)
        if journal is not None and journal.changes != changes:
            journal.bind(client)
        if protocol.out or protocol.kept:
            self.wake(client)
        return None

    def _conclude(self, client: ConnectedClient, session: Session | None) -> None:
        """Do after a read what most reads do not need."""
        protocol = client.protocol
        if session is None:
            self.settle_newcomer(client)
        elif self.ledger.is_crowded:
            self._bound_client(client, session)
        if protocol.violation is not None and not client.is_behind:
            protocol.end_if_violated()
            self.notes.say(
                "%s broke the protocol: %s",
                client.peer,
                protocol.violation,
                about=client.peer,
            )
            self.left(client, self.clock.now)
            client.end()
        elif client.is_slow or (session is not None and session.backlog is not None):
            self.refill(client)

    def _start(self, client: ConnectedClient, job: Job) -> bool:
        """Work at what a client asks for until the portion is used up; True if done."""
        if self.work.go_on(job, self._end):
            return True
        client.job = job
        return False

    def work_off(self, now: float, *, most: int = PORTION) -> None:
        """Do some of what is left to do in `work`."""
        self.clock.now = now
        self.work.work_off(most)
        self.bound_sessions()

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
        if number is None:
            number = whole(self.distributing(message))
        self.bound_sessions()
        return max(0, number)

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
        """Have connections written that have something to write: some at a time."""
        written = 0
        while dirty := self.dirty:
            self.dirty: list[ConnectedClient] = []
            for index, client in enumerate(dirty):
                if written >= FLUSHED_AT_ONCE:
                    self.dirty = dirty[index:] + self.dirty
                    self.work.on_added()
                    return
                out = client.protocol.out
                written += 1 + (len(out) + out.large_bytes) // FLUSHED_BYTES
                client.is_dirty = False
                client.flush()

    # -- packets -------------------------------------------------------------------

    def _take(self, client: ConnectedClient, packet: Packet) -> None:
        session = client.session
        if isinstance(packet, Auth):
            client.take_auth(packet)
        elif session is None:
            return
        elif isinstance(packet, Subscribe):
            self._start(client, self.subscribing(client, session, packet))
        elif isinstance(packet, Unsubscribe):
            self._start(client, self.unsubscribing(client, session, packet))
        elif isinstance(packet, Disconnect):
            self._take_disconnect(client, session, packet)

    def _take_message(self, client: ConnectedClient, message: Message) -> None:
        session = client.session
        if session is None:
            return
        self.received += 1
        properties = message.properties
        pairs = () if properties is None else properties.user_properties
        self.work.done += len(pairs) * PAIR
        if message.flags & self.refused_flags:
            self._cut_for_flags(client, session, message)
            return
        reason = self.refusal_to_publish(
            session.username, session.client_id, message.topic
        )
        number = 0
        if reason is None and len(message.payload) > self.limits.payload_bytes:
            reason = self._refuse_payload(session, message)
        if (
            reason is None
            and message.flags & MAYBE_KEPT
            and (message.flags & RETAIN or self.ledger.is_crowded)
            and not self._has_room_for(client, session, message)
        ):
            reason = ReasonCode.QUOTA_EXCEEDED
        if reason is not None:
            pass
        elif self.onlooker is not None and not self.onlooker.lets_pass(
            session.client_id, session.username, message
        ):
            number = 1
        else:
            found = self.distribute(message, session)
            if found is None:
                self._start(client, self._publishing(client, session, message))
                return
            number = found
        if message.flags & 6:
            if reason is None:
                reason = SUCCESS if number > 0 else _reason_of(message, number)
            client.protocol.acknowledge(message, reason)

    def _cut_for_flags(
        self, client: ConnectedClient, session: Session, message: Message
    ) -> None:
        """End the connection of who sends what the broker has said not to take.

        Sections 3.2.2.3.4 and 3.2.2.3.5 of 5.0; 3.1.1 has nothing but the end.
        """
        reason = self.refusal_of_flags(message) or ReasonCode.PROTOCOL_ERROR
        # When it comes again it is a new one.
        session.received.discard(message.packet_id)
        name, user = session.client_id, session.username
        self.say_refused("publish to", user, name, message.topic, reason)
        self.cut(client, reason, self.clock.now)

    def _refuse_payload(self, session: Session, message: Message) -> ReasonCode:
        reason, size = ReasonCode.QUOTA_EXCEEDED, len(message.payload)
        why = (
            f"has {size} bytes, the limit payload_bytes is {self.limits.payload_bytes}"
        )
        name, user = session.client_id, session.username
        self.say_refused("publish to", user, name, message.topic, reason, why=why)
        return reason

    def _publishing(
        self, client: ConnectedClient, session: Session, message: Message
    ) -> Job:
        """Distribute a message in portions, then acknowledge it."""
        ids = frozenset((message.packet_id,) if message.flags & QOS_2 else ())
        session.distributing_ids |= ids
        number = yield from self.distributing(message, origin=session)
        session.distributing_ids -= ids
        if ids and self.journal is not None:
            self.journal.given_out(session, message.packet_id)
        if message.flags & 6:
            client.protocol.acknowledge(message, _reason_of(message, number))
            self.wake(client)

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
        return not must_keep or self.can_retain(
            message, session.account, session.publisher
        )

    def _take_disconnect(
        self, client: ConnectedClient, session: Session, packet: Disconnect
    ) -> None:
        expiry_s = packet.properties.session_expiry_s
        if expiry_s is not None:
            session.expiry_s = min(expiry_s, self.limits.session_expiry_max_s)
        if packet.reason == ReasonCode.NORMAL_DISCONNECTION:
            session.take_will(None)
        self.left(client, self.clock.now)


def _reason_of(message: Message, number: int) -> ReasonCode:
    """Tell a publisher what has become of a message, by whom it was given to."""
    if number == NO_ROOM:
        # Who subscribes to what was retained has it.
        return SUCCESS if message.flags & RETAIN else ReasonCode.QUOTA_EXCEEDED
    return SUCCESS if number else ReasonCode.NO_MATCHING_SUBSCRIBERS
