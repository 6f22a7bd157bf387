"""What comes from a server, decoded in portions, and what it costs.

Two bytes may be a packet: whoever has read a lot handles it in portions and lets others
run between them.
"""

from __future__ import annotations

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.codec.fields import PacketLimits
from structiot.mqtt.wire.message_size import MESSAGE_BYTES
from structiot.mqtt.wire.messages import Packet

__all__ = ["PORTION_BYTES", "Portions"]

PORTION_BYTES = 16_384
# A small property takes as long as a small packet, and its value so much memory.
WORK_BYTES = 64
# Each takes time to read; a message of more than some is none that anybody wants.
LIMITS = PacketLimits(properties=2000)
# The longest packet before a CONNACK and the longest CONNACK.
FIRST_BYTES = 524_288


class Portions:
    """The packets of one connection.

    Args:
        version: The protocol level.
        max_packet_bytes: Longest packet accepted.

    Attributes:
        count: How many packets the last portion had.
        work: The same, and how many more it would be by the time it took to read them.
        decoder: Has what is not complete.
        rich_bytes: How much more than their bytes on the wire, at most, these take in
            memory.
    """

    def __init__(self, version: int, max_packet_bytes: int) -> None:
        self.count: int = 0
        self.work: int = 0
        self.rich_bytes: int = 0
        self.decoder: Decoder = Decoder(
            role="client",
            version=version,
            max_packet_bytes=max_packet_bytes,
            max_first_bytes=FIRST_BYTES,
            limits=LIMITS,
        )

    def feed(self, data: bytes) -> list[Packet]:
        """Decode a portion of what has come; given nothing, of what is left of it."""
        decoder = self.decoder
        packets = decoder.feed(data, portion_bytes=PORTION_BYTES)
        self.work = len(packets) + decoder.extra_bytes // WORK_BYTES
        self.count = len(packets)
        self.rich_bytes = len(packets) * MESSAGE_BYTES + decoder.extra_bytes
        decoder.extra_bytes = 0
        return packets

    @property
    def has_rest(self) -> bool:
        """Whether something is left of what has come."""
        return self.decoder.has_rest

    @property
    def held_bytes(self) -> int:
        """How much of an unfinished packet is waiting for the rest."""
        return self.decoder.held_bytes

    @property
    def violation(self) -> ProtocolViolation | None:
        """What the server did wrong."""
        return self.decoder.violation
