"""The receiver's half of QoS 1 and 2, the same for client and server.

Each delivery of QoS 1 or 2 gets an `Ack`. Whoever takes the message settles it; the
acknowledgements leave in the order in which the messages arrived, whatever the order
of settling. A QoS 2 id is known from the PUBREC to the PUBREL, across connections. With a
journal it is known from the settling on: what was taken and waits for its turn is not
handed out again by the next process, if it comes as a repetition.

Source of the rules: MQTT 5.0 sections 4.3, 4.6 and 4.9 (3.1.1: 4.3, 4.6).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec import encode, puback_bytes, pubcomp_bytes, pubrec_bytes
from structiot.mqtt.wire.flows.journal import Journal
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID
from structiot.mqtt.wire.messages import Message, Puback, Pubcomp, Pubrec
from structiot.mqtt.wire.reasons import SUCCESS, ReasonCode

__all__ = ["Ack", "Incoming"]


class Ack:
    """The acknowledgement that one delivery is owed.

    Attributes:
        packet_id: Id of the delivery.
        qos: 1 or 2.
        takers: How many subscribers have not taken the message yet.
        is_settled: Whether it may be acknowledged.
        reason: What the acknowledgement will say.
        message: The delivery, to recognise its repetition.
    """

    __slots__ = ("is_settled", "message", "packet_id", "qos", "reason", "takers")

    def __init__(self, message: Message, qos: int) -> None:
        self.packet_id: int = message.packet_id
        self.qos: int = qos
        self.takers: int = 1
        self.is_settled: bool = False
        self.reason: ReasonCode = SUCCESS
        self.message: Message = message


class Incoming:
    """Deliveries of one session that are not finished.

    Attributes:
        window: Deliveries the peer was told it may have open; more is an error.
        repeated: Deliveries that were recognised as repetitions and dropped.
        journal: Notes what changes, when a store is in use.
    """

    def __init__(self, *, window: int = MAX_PACKET_ID) -> None:
        self.window = window
        self.repeated: int = 0
        self.journal: Journal | None = None
        # Everything taken from the peer and not acknowledged, by id: across
        # connections, since the peer will send it again.
        self._open: dict[int, Ack] = {}
        # QoS 2 ids between our PUBREC and the peer's PUBREL.
        self._received: set[int] = set()
        # Those that an earlier process has taken and not acknowledged.
        self._taken: set[int] = set()
        # What this connection has seen, in order of arrival.
        self._queue: deque[Ack] = deque()
        self._queued_ids: set[int] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def unreleased(self) -> frozenset[int]:
        """QoS 2 ids that the peer has not released yet."""
        return frozenset(self._received)

    def arrive(self, message: Message, out: bytearray) -> bool:
        """Register a delivery.

        Returns:
            True to hand the message on, False for a repetition that is dealt with.

        Raises:
            ProtocolViolation: The peer exceeds the window, or uses an open id for
                another message.
        """
        packet_id = message.packet_id
        qos = message.flags >> 1 & 3
        if self._taken and qos == 2:
            self._recall(message)
        if qos == 2 and packet_id in self._received:
            self.repeated += 1
            out += pubrec_bytes(packet_id)
            return False
        known = self._open.get(packet_id)
        if known is not None:
            is_repetition = (
                known.qos == qos
                and (message.dup or qos == 2)
                and known.message.payload == message.payload
                and known.message.topic == message.topic
            )
            if is_repetition:
                # After a reconnect, or by a broker that repeats on a timer.
                self.repeated += 1
                if packet_id not in self._queued_ids:
                    self._enqueue(known, out)
                return False
            if packet_id in self._queued_ids:
                text = f"packet id {packet_id} is in use for another message"
                raise ProtocolViolation(text, code=ReasonCode.PROTOCOL_ERROR)
            del self._open[packet_id]
        if len(self._queue) + len(self._received) >= self.window:
            text = f"more than {self.window} deliveries are open"
            raise ProtocolViolation(text, code=ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
        ack = Ack(message, qos)
        message.receipt = ack
        self._open[packet_id] = ack
        self._queue.append(ack)
        self._queued_ids.add(packet_id)
        return True

    def _recall(self, message: Message) -> None:
        """Take what an earlier process has taken as received, unless it is another."""
        packet_id = message.packet_id
        if packet_id in self._taken:
            self._taken.discard(packet_id)
            if message.dup:
                self._received.add(packet_id)
            if self.journal is not None:
                note = self.journal.received if message.dup else self.journal.released
                note(packet_id)

    @property
    def holding_up(self) -> Ack | None:
        """The delivery behind which others wait that were taken already, if there is one."""
        queue = self._queue
        # The first one is never settled, or it would have been acknowledged.
        if any(ack.is_settled for ack in queue):
            return queue[0]
        return None

    def _enqueue(self, ack: Ack, out: bytearray) -> None:
        self._queue.append(ack)
        self._queued_ids.add(ack.packet_id)
        if ack.is_settled:
            self._flush(out)

    def settle(self, ack: Ack, out: bytearray) -> bool:
        """Mark a delivery as taken; write what may be acknowledged now, in order.

        Returns:
            Whether anything was written.
        """
        ack.is_settled = True
        queue = self._queue
        if not queue or queue[0] is not ack:
            self._note(ack)
            return False
        self._flush(out)
        return True

    def settle_away(self, ack: Ack) -> None:
        """Mark a delivery as taken while there is nobody to be told."""
        ack.is_settled = True
        self._note(ack)

    def _note(self, ack: Ack) -> None:
        is_known = self._open.get(ack.packet_id) is ack
        if self.journal is not None and is_known and ack.qos == 2 and ack.reason < 0x80:
            self.journal.taken(ack.packet_id)

    def abandon(self, ack: Ack, out: bytearray) -> None:
        """Leave a delivery unacknowledged, without holding back those behind it.

        The peer delivers it again on the next connection.
        """
        if self._open.get(ack.packet_id) is ack:
            del self._open[ack.packet_id]
        if ack in self._queue:
            self._queue.remove(ack)
            self._queued_ids.discard(ack.packet_id)
            self._flush(out)

    def _flush(self, out: bytearray) -> None:
        queue = self._queue
        while queue and queue[0].is_settled:
            ack = queue.popleft()
            packet_id = ack.packet_id
            self._queued_ids.discard(packet_id)
            del self._open[packet_id]
            if ack.reason:
                # Only MQTT 5.0 has reasons; the shell lets nobody set one before.
                cls = Puback if ack.qos == 1 else Pubrec
                out += encode(cls(packet_id=packet_id, reason=ack.reason), 5)
            elif ack.qos == 1:
                out += puback_bytes(packet_id)
            else:
                out += pubrec_bytes(packet_id)
            if ack.qos == 2 and ack.reason < 0x80:
                self._received.add(packet_id)
                if self.journal is not None:
                    self.journal.received(packet_id)

    def on_pubrel(self, packet_id: int, out: bytearray, version: int) -> None:
        """Answer a PUBREL, always."""
        if packet_id in self._received or version < 5:
            self._received.discard(packet_id)
            if self.journal is not None:
                self.journal.released(packet_id)
            out += pubcomp_bytes(packet_id)
        else:
            reason = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
            out += encode(Pubcomp(packet_id=packet_id, reason=reason), version)

    def pause(self) -> None:
        """The connection is gone; the peer will repeat what it was not told about."""
        self._queue.clear()
        self._queued_ids.clear()

    def forget(self) -> None:
        """The peer's session is gone; nothing of it will be repeated."""
        self.pause()
        self._open.clear()
        self._received.clear()
        self._taken.clear()
        if self.journal is not None:
            self.journal.forget_received()

    def restore(self, packet_ids: Mapping[int, bool]) -> None:
        """Put back the QoS 2 ids that a store has kept: whether each is acknowledged."""
        for packet_id, is_acknowledged in packet_ids.items():
            (self._received if is_acknowledged else self._taken).add(packet_id)
