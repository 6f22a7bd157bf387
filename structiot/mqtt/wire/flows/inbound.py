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
from structiot.mqtt.wire.message_size import MESSAGE_BYTES, SHORT_TOPIC, message_bytes
from structiot.mqtt.wire.messages import Message, Puback, Pubrec
from structiot.mqtt.wire.reasons import SUCCESS, ReasonCode

__all__ = ["Ack", "Incoming"]


class Ack:
    """The acknowledgement that one delivery is owed.

    Attributes:
        packet_id: Id of the delivery.
        qos: 1 or 2.
        takers: How many subscribers have not taken the message yet.
        is_settled: Whether it may be acknowledged.
        is_queued: Whether the present connection has brought it and waits for it.
        reason: What the acknowledgement will say.
        size: What the delivery takes in memory until it is settled.
        message: The delivery, to recognise its repetition; None when it was taken and
            cannot be acknowledged yet: then its digest is enough.
    """

    __slots__ = (
        "_digest",
        "is_queued",
        "is_settled",
        "message",
        "packet_id",
        "qos",
        "reason",
        "size",
        "takers",
    )

    def __init__(self, message: Message, packet_id: int, qos: int, size: int) -> None:
        self.packet_id: int = packet_id
        self.qos: int = qos
        self.takers: int = 1
        self.is_settled: bool = False
        self.is_queued: bool = True
        self.reason: ReasonCode = SUCCESS
        self.size: int = size
        self.message: Message | None = message

    def is_of(self, message: Message) -> bool:
        """Whether this is the delivery that a message repeats."""
        known = self.message
        if known is None:
            return self._digest == hash((message.topic, message.payload))
        return known.payload == message.payload and known.topic == message.topic

    def let_go(self) -> None:
        """Keep no more of the message than it takes to recognise it."""
        if self.message is not None:
            self._digest = hash((self.message.topic, self.message.payload))
            self.message = None


class Incoming:
    """Deliveries of one session that are not finished.

    Attributes:
        window: Deliveries the peer was told it may have open; more is an error, once.
        held_bytes: What the deliveries take in memory that were not settled.
        repeated: Deliveries that were recognised as repetitions and dropped.
        journal: Notes what changes, when a store is in use.
    """

    def __init__(self, *, window: int = MAX_PACKET_ID) -> None:
        self.window = window
        self.held_bytes: int = 0
        self.repeated: int = 0
        self.journal: Journal | None = None
        # Everything taken from the peer and not acknowledged, by id: across
        # connections, since the peer will send it again.
        self._open: dict[int, Ack] = {}
        # QoS 2 ids between our PUBREC and the peer's PUBREL.
        self._received: set[int] = set()
        # Those of them that came by an earlier connection: the peer's window counts anew
        # with each (5.0 section 4.9).
        self._carried: set[int] = set()
        # Some brokers repeat more than the window after a reconnect, and would do so each
        # time: after a first connection that ended over it, more is taken.
        self._was_overrun = False
        self._is_lenient = False
        # Those that an earlier process has taken and not acknowledged.
        self._taken: set[int] = set()
        # What this connection has seen, in order of arrival.
        self._queue: deque[Ack] = deque()

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
            ProtocolViolation: The peer exceeds the window, and no earlier connection
                has ended over that, or uses an open id for another message.
        """
        packet_id = message.packet_id
        qos = message.flags >> 1 & 3
        if qos == 2:
            if self._taken:
                self._recall(message)
            if packet_id in self._received:
                self.repeated += 1
                out += pubrec_bytes(packet_id)
                return False
        if packet_id in self._open and self._is_repetition(message, qos, out):
            return False
        queue = self._queue
        if len(queue) + len(self._received) >= self.window:
            self._check_window()
        size = MESSAGE_BYTES + len(message.payload)
        if message.properties is not None or len(message.topic) > SHORT_TOPIC:
            size = message_bytes(message)
        self.held_bytes += size
        message.receipt = ack = Ack(message, packet_id, qos, size)
        self._open[packet_id] = ack
        queue.append(ack)
        return True

    def _is_repetition(self, message: Message, qos: int, out: bytearray) -> bool:
        """Deal with a delivery whose id is open, if it is the same once more."""
        packet_id = message.packet_id
        known = self._open[packet_id]
        if known.qos == qos and (message.dup or qos == 2) and known.is_of(message):
            # After a reconnect, or by a broker that repeats on a timer.
            self.repeated += 1
            if not known.is_queued:
                self._enqueue(known, out)
            return True
        if known.is_queued:
            text = f"packet id {packet_id} is in use for another message"
            raise ProtocolViolation(text, code=ReasonCode.PROTOCOL_ERROR)
        del self._open[packet_id]
        return False

    def _check_window(self) -> None:
        unreleased = len(self._received) - len(self._carried)
        if len(self._queue) + unreleased >= self.window and not self._is_lenient:
            self._was_overrun = True
            text = f"more than {self.window} deliveries are open"
            raise ProtocolViolation(text, code=ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)

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
        ack.is_queued = True
        if ack.is_settled:
            self._flush(out)

    def settle(self, ack: Ack, out: bytearray) -> bool:
        """Mark a delivery as taken; write what may be acknowledged now, in order.

        Returns:
            Whether anything was written.
        """
        # Whoever forgets the delivery meanwhile, it is held until it is taken.
        self.held_bytes -= ack.size
        ack.is_settled = True
        queue = self._queue
        if not queue or queue[0] is not ack:
            self._note(ack)
            ack.let_go()
            return False
        self._flush(out)
        return True

    def settle_away(self, ack: Ack) -> None:
        """Mark a delivery as taken while there is nobody to be told."""
        self.held_bytes -= ack.size
        ack.is_settled = True
        self._note(ack)
        ack.let_go()

    def _note(self, ack: Ack) -> None:
        is_known = self._open.get(ack.packet_id) is ack
        if self.journal is not None and is_known and ack.qos == 2 and ack.reason < 0x80:
            self.journal.taken(ack.packet_id)

    def abandon(self, ack: Ack, out: bytearray) -> None:
        """Leave a delivery unacknowledged, without holding back those behind it.

        The peer delivers it again on the next connection.
        """
        self.held_bytes -= ack.size
        ack.size = 0
        # Its place behind others may last, and it is not charged any more.
        ack.message = None
        if self._open.get(ack.packet_id) is ack:
            del self._open[ack.packet_id]
        if ack.is_queued:
            # Its place goes when it is the first: there may be thousands.
            ack.is_queued = False
            self._flush(out)

    def _flush(self, out: bytearray) -> None:
        queue = self._queue
        while queue and ((ack := queue[0]).is_settled or not ack.is_queued):
            queue.popleft()
            if not ack.is_queued:
                continue
            packet_id = ack.packet_id
            del self._open[packet_id]
            if ack.reason:
                # Only MQTT 5.0 has reasons; the shell lets nobody set one before.
                cls = Puback if ack.qos == 1 else Pubrec
                out += encode(cls(packet_id=packet_id, reason=ack.reason), 5)
            elif ack.qos == 1:
                out += puback_bytes(packet_id)
                continue
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
            self._carried.discard(packet_id)
            if self.journal is not None:
                self.journal.released(packet_id)
            out += pubcomp_bytes(packet_id)
        else:
            out += pubcomp_bytes(packet_id, is_known=False)

    def pause(self) -> None:
        """The connection is gone; the peer will repeat what it was not told about."""
        for ack in self._queue:
            ack.is_queued = False
        self._queue.clear()
        self._carried = set(self._received)
        self._is_lenient = self._was_overrun

    def forget(self) -> None:
        """The peer's session is gone; nothing of it will be repeated."""
        self.pause()
        self._open.clear()
        self._received.clear()
        self._carried.clear()
        self._taken.clear()
        if self.journal is not None:
            self.journal.forget_received()

    def restore(self, packet_ids: Mapping[int, bool]) -> None:
        """Put back the QoS 2 ids that a store has kept: whether each is acknowledged."""
        for packet_id, is_acknowledged in packet_ids.items():
            (self._received if is_acknowledged else self._taken).add(packet_id)
        self._carried = set(self._received)
