"""The decoder: a byte stream in, packets out, any split of the stream alike.

One loop walks over a whole buffer. PUBLISH is read in that loop, with every lookup in
a local name, because a subscriber's rate is this loop's rate; all other packets go to
the parsers of `bodies`. A buffer that begins and ends between packets is decoded in
place; of any other only the unfinished packet at its end is kept, and never more of
that than has arrived.

The declared size of a packet is compared with `max_packet_bytes` as soon as its header
is complete; what is no PUBLISH may be held to less, and filters and properties are
counted, since many small ones take long to read. Non-minimal remaining lengths are
refused in 5.0, which forbids them, and accepted in 3.1.1, which does not (and before
CONNECT has told the version).
"""

from __future__ import annotations

from structiot.errors import DATA_HEAD_BYTES, ProtocolViolation, UsageError
from structiot.mqtt.wire.codec.bodies import FIRST_BYTES
from structiot.mqtt.wire.codec.fields import (
    USUAL_LIMITS,
    PacketLimits,
    Reader,
    refuse,
)
from structiot.mqtt.wire.codec.framing import PUBLISH, Framing, Role
from structiot.mqtt.wire.codec.long_publish import BEGUN_BYTES, LongPublishes
from structiot.mqtt.wire.codec.property_blocks import read_properties
from structiot.mqtt.wire.codec.remembered import KnownTopics, Remembered
from structiot.mqtt.wire.codec.short_acks import SHORT_ACKS, lone_ack
from structiot.mqtt.wire.message_size import (
    FEW_PAIRS,
    PROPERTIES_BYTES,
    properties_bytes,
)
from structiot.mqtt.wire.messages import (
    PUBLISH_FLAGS,
    Connack,
    Connect,
    Message,
    Packet,
)
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import name_fault

__all__ = ["LARGEST_PACKET_BYTES", "SMALLEST_FIRST_BYTES", "Decoder", "Role"]

LARGEST_PACKET_BYTES = 268_435_460
# What properties take in memory, at most, for a byte on the wire (two short texts).
RICH = 24
# The loop below decides on its way by a limit that is as large as this, or does not
# change.
SMALLEST_FIRST_BYTES = 16_386

MALFORMED = ReasonCode.MALFORMED_PACKET


class Decoder(Framing, LongPublishes):
    """Decodes what one connection receives.

    Attributes:
        violation: What the peer did wrong; None while it did nothing wrong. Its
            `code` is the reason code to answer with, its `data` the head of the
            packet at fault and its `offset` a place in that packet.
        peer_level: The protocol level of a CONNECT refused with 0x84, if it was read.
        max_packet_bytes: Largest packet accepted at present, its header included.
        remembered: Topics and properties that it knows again.
        unfinished: What has come of a packet that is not complete, unless it is a long
            PUBLISH.
        usual_bytes: How long the last packets have been, in the middle.
        extra_bytes: How much more than their bytes on the wire, at most, what was
            decoded takes in memory; whoever looks sets it to 0.

    Args:
        role: Whose packets are received.
        version: The protocol level.
        max_packet_bytes: Largest packet accepted.
        max_first_bytes: Largest one before a CONNECT without an authentication method,
            or a CONNACK, has come; at least `SMALLEST_FIRST_BYTES`.
        max_other_bytes: Largest one that is no PUBLISH; at least
            `SMALLEST_FIRST_BYTES`.
        limits: What is counted in a packet.
        common_topics: Topics that several decoders know.
    """

    def __init__(
        self,
        *,
        role: Role,
        version: int = 4,
        max_packet_bytes: int = LARGEST_PACKET_BYTES,
        max_first_bytes: int = LARGEST_PACKET_BYTES,
        max_other_bytes: int = LARGEST_PACKET_BYTES,
        limits: PacketLimits = USUAL_LIMITS,
        common_topics: KnownTopics | None = None,
    ) -> None:
        super().__init__()
        self._role = role
        self.version = version
        self.max_packet_bytes: int = min(max_packet_bytes, max_first_bytes)
        self._max_packet_bytes = max_packet_bytes
        self._max_other_bytes = max_other_bytes
        self._limits = limits
        self.remembered: Remembered = Remembered(role, common_topics)
        self.violation: ProtocolViolation | None = None
        self.peer_level: int | None = None
        self.usual_bytes: int = 0
        self.extra_bytes: int = 0
        self.unfinished: bytearray = bytearray()
        # Data of which a portion was decoded, and where it goes on.
        self._rest: tuple[bytes, int] | None = None
        self._needed = 0  # size of the unfinished packet; 0 while its header is cut

    @property
    def version(self) -> int:
        """The protocol level, 4 or 5; a server's decoder learns it from CONNECT."""
        return self._version

    @version.setter
    def version(self, version: int) -> None:
        if (self._role, version) not in FIRST_BYTES:
            raise UsageError(f"no MQTT level {version!r} for the role {self._role!r}")
        self._version = version
        self._parsers = FIRST_BYTES[self._role, version]

    @property
    def held_bytes(self) -> int:
        """What an unfinished packet takes in memory while it waits for the rest."""
        if self.long is not None:
            return self.long.held_bytes + self.long.rich_bytes
        return len(self.unfinished)

    @property
    def missing_bytes(self) -> int:
        """How much of an unfinished packet is known to come; 0 for a long PUBLISH."""
        return max(0, self._needed - len(self.unfinished)) if self.unfinished else 0

    @property
    def has_rest(self) -> bool:
        """Whether data is left of which a portion was decoded."""
        return self._rest is not None

    @property
    def is_amid(self) -> bool:
        """Whether it holds something that was not decoded."""
        return bool(self.unfinished or self.long or self._rest)

    @property
    def rest_bytes(self) -> int:
        """What that takes in memory."""
        return 0 if self._rest is None else len(self._rest[0])

    def feed(
        self,
        data: bytes | bytearray | memoryview,
        *,
        portion_bytes: int = LARGEST_PACKET_BYTES,
    ) -> list[Packet]:
        """Decode what has arrived; give the packets that are complete.

        Never raises on bad input: the packets before the fault are returned, `violation`
        is set, and then nothing is decoded any more.

        After `portion_bytes` no further packet is begun; `feed` nothing to go on. What
        a PUBLISH without properties has beyond 127 bytes is no part of them: it is no
        work.
        """
        packets: list[Packet] = []
        if self.violation is not None:
            return packets
        if type(data) is not bytes:
            data = bytes(data)
        if len(data) == 4 and (ack := self._lone_ack(data)) is not None:
            packets.append(ack)
            return packets
        data, at = self._gone_on(data, packets)
        if (begun := at) == len(data):
            return packets
        known = len(packets)
        at, last = self._decode(data, at, packets, at + portion_bytes)
        if count := len(packets) - known:
            self.usual_bytes = (at - begun) // count
        if last <= at < len(data) - 1 and self.violation is None:
            self._rest = data, at
        elif at < len(data) and self.violation is None:
            self._hold(data, at)
        return packets

    def _lone_ack(self, data: bytes) -> Packet | None:
        """Decode the answer to one message: to get ready for many would cost more."""
        ack = lone_ack(data)
        if ack is None or self.is_amid or self.max_packet_bytes < len(data):
            return None
        self.expects_long: bool = False
        return ack

    def _gone_on(self, data: bytes, packets: list[Packet]) -> tuple[bytes, int]:
        """Complete what was begun before; give what is to be decoded, and from where."""
        if self._rest is not None:
            (rest, at), self._rest = self._rest, None
            return (rest[at:] + data, 0) if data else (rest, at)
        if self.long is not None:
            return data, self._go_on(data, packets)
        if self.unfinished:
            return data, self._refill(data, packets)
        if self.expects_long and data:
            self.expects_long = False
        return data, 0

    def forget_unfinished(self) -> None:
        """Let go of what has come of a packet: nobody wants the rest."""
        self.unfinished, self._rest, self._needed = bytearray(), None, 0
        self.forget_long()

    def _hold(self, data: bytes, at: int) -> None:
        """Keep an unfinished packet, unless its first bytes are wrong already."""
        try:
            header, self._needed = self._measure(data, at)
        except ProtocolViolation as exc:
            self._fail(exc, data, at)
            return
        if not self._begin(data, at, header, self._needed):
            self.unfinished += memoryview(data)[at:]

    def _refill(self, data: bytes, packets: list[Packet]) -> int:
        """Complete the held packet and decode it; give where the data goes on."""
        held, at = self.unfinished, 0
        while not self._needed and at < len(data):
            held.append(data[at])
            at += 1
            try:
                _, self._needed = self._measure(held, 0)
            except ProtocolViolation as exc:
                self._fail(exc, held, 0)
                return len(data)
        if not self._needed:
            return at
        end = at + self._needed - len(held)
        if len(held) < BEGUN_BYTES <= len(held) + len(data) - at and end > len(data):
            # Enough is there to know what it will be.
            begun, self.unfinished = bytes(held) + data[at:], bytearray()
            self._hold(begun, 0)
            return len(data)
        if end > len(data):
            held += memoryview(data)[at:]
        else:
            packet = b"".join((held, memoryview(data)[at:end]))
            # A long packet lies here no more often than need be.
            del held
            self.unfinished, self._needed = bytearray(), 0
            self.usual_bytes = len(packet)
            self._decode(packet, 0, packets, len(packet))
            if self.violation is None:
                return end
        return len(data)

    def _decode(  # noqa: C901, PLR0912, PLR0915 - one loop, no calls: see the module
        self, data: bytes, pos: int, packets: list[Packet], until: int
    ) -> tuple[int, int]:
        """Decode packets that begin before `until`, or so much later by long ones.

        Give where the next one begins, and from where on none was to.
        """
        flags, stop, end = 0, pos, len(data)
        last, short = min(end - 1, until), min(127, self.max_packet_bytes - 2)
        is_roomy = self.max_packet_bytes >= SMALLEST_FIRST_BYTES  # any of two bytes
        is_v5 = self._version == 5
        find_topic, find_ack = self.remembered.topics.get, SHORT_ACKS.get
        append, new, cls = packets.append, Message.__new__, Message
        try:
            while pos < last:
                flags = data[pos] ^ PUBLISH
                size = data[pos + 1]
                start = pos + 2
                if size > short:
                    if is_roomy and start < end and 0 < data[start] < 128:
                        size += (data[start] - 1) << 7
                        start += 1
                    else:
                        header, size = self._measure(data, pos)
                        if not header:
                            break
                        start = pos + header
                        size -= header
                    last = min(end - 1, last + max(0, size - short))
                stop = start + size
                if stop > end:
                    break
                if flags > 15:
                    make = find_ack(data[pos]) if size == 2 else None
                    if make and (number := data[start] << 8 | data[start + 1]):
                        append(make(number))
                    else:
                        last = min(last, until)
                        append(self._other(data, pos, start, stop))
                        is_v5 = self._version == 5
                    pos = stop
                    continue
                at = start + 2
                name_end = at + (data[start] << 8 | data[start + 1])
                topic, at, packet_id = find_topic(data[at:name_end]), name_end, 0
                if flags > 1:
                    packet_id = data[at] << 8 | data[at + 1]
                    at += 2
                    if not packet_id or flags not in PUBLISH_FLAGS:
                        raise self._publish_fault(flags, pos, at, stop)
                properties = None
                if is_v5:
                    if at < stop and data[at]:
                        last = min(last, until)
                        properties, at = self._properties(data, at, stop)
                    else:
                        at += 1
                if at > stop:
                    refuse(MALFORMED, "PUBLISH ends inside a field", stop)
                if topic is None:
                    topic = self._topic(data, start + 2, name_end, properties)
                message = new(cls)
                message.topic = topic
                message.payload = message.data = data[at:stop]
                message.flags, message.packet_id = flags, packet_id
                message.properties, message.receipt = properties, None
                append(message)
                pos = stop
        except IndexError:
            self._fail(self._publish_fault(flags, pos, end + 1, stop), data, pos)
        except ProtocolViolation as exc:
            self._fail(exc, data, pos)
        return pos, last

    def _other(self, data: bytes, pos: int, start: int, stop: int) -> Packet:
        first = data[pos]
        parse = self._parsers.get(first)
        if parse is None:
            raise self._first_byte_fault(first, pos)
        packet = parse(Reader(data, start, stop, self._limits), self._version)
        if type(packet) is Connect:
            self.version = packet.version
            if packet.properties.authentication_method is None:
                self.connected()
        elif type(packet) is Connack:
            self.connected()
        self.extra_bytes += (stop - start) * RICH
        return packet

    def connected(self) -> None:
        """The peer may send longer packets than the first now."""
        self.max_packet_bytes = self._max_packet_bytes

    def _topic(
        self, data: bytes, at: int, end: int, properties: PublishProperties | None
    ) -> str:
        raw = data[at:end]
        if not raw:
            if properties is None or properties.topic_alias is None:
                text = "PUBLISH with neither a topic name nor a topic alias"
                refuse(ReasonCode.PROTOCOL_ERROR, text, at)
            return ""
        topic = Reader(data, at - 2, end).string()
        fault = name_fault(topic)
        if fault is not None:
            refuse(ReasonCode.TOPIC_NAME_INVALID, f"topic name {fault}", at)
        if not self.remembered.add_topic(raw, topic):
            # One character beyond the first plane makes all of them as long.
            self.extra_bytes += 3 * len(raw)
        return topic

    def _properties(
        self, data: bytes, at: int, stop: int
    ) -> tuple[PublishProperties, int]:
        """Read a block that is not empty; equal blocks share one frozen value."""
        size = data[at]
        end = at + 1 + size
        block = data[at:end]
        if (known := self.remembered.blocks.get(block)) is not None and end <= stop:
            return known, end
        reader = Reader(data, at, stop, self._limits)
        properties = read_properties(reader, PublishProperties)
        if len(properties.user_properties) > FEW_PAIRS:
            # Counted now, in this packet's portion, and not when a ledger is full.
            self.extra_bytes += properties_bytes(properties)
        else:
            self.extra_bytes += PROPERTIES_BYTES + (reader.at - at) * RICH
        if properties.subscription_ids and self._role == "server":
            text = "subscription identifier in a client's PUBLISH"
            refuse(ReasonCode.PROTOCOL_ERROR, text, at)
        self.remembered.add_block(block, properties)
        return properties, reader.at

    def _fail(
        self, fault: ProtocolViolation, data: bytes | bytearray, pos: int
    ) -> None:
        fault.data = bytes(data[pos : pos + DATA_HEAD_BYTES])
        fault.offset = offset = (fault.offset or 0) - pos
        if fault.code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            self.peer_level = fault.data[offset]
        self.violation = fault
        self.forget_unfinished()
        self.remembered.forget()
