"""The PUBLISH packet and, unchanged, the object that a subscriber holds.

`Message` is a plain slotted class because the decoder makes a million of them a
second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from structiot.errors import UsageError
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["DUP", "PUBLISH_FLAGS", "QOS_BITS", "RETAIN", "Message", "PublishPacket"]

RETAIN = 0x01
QOS_BITS = 0x06
DUP = 0x08
REPR_PAYLOAD_BYTES = 32
REPR_CHARACTERS = 300

PUBLISH_FLAGS = frozenset({0, 1, 2, 3, 4, 5, 10, 11, 12, 13})
"""Flags a PUBLISH may have: no QoS 3, and no repetition of QoS 0."""


class Message:
    """One published message: the PUBLISH packet as it travels and as it is received.

    Two messages are equal when topic, payload, flags, packet id and properties are;
    what a codec made of the payload does not count. Messages are mutable and
    therefore not hashable.

    Attributes:
        topic: Topic name; empty only while a topic alias stands for it.
        payload: The bytes as on the wire.
        data: What the subscriber's codec made of the payload; the payload itself
            before a codec has run.
        flags: Low nibble of the packet's first byte: retain 1, QoS 6, dup 8.
        packet_id: 1 to 65535 for QoS 1 and 2, 0 for QoS 0.
        properties: The properties of MQTT 5.0, None when there are none.
        receipt: For the link's acknowledgement; not part of the message.
    """

    __slots__ = (
        "data",
        "flags",
        "packet_id",
        "payload",
        "properties",
        "receipt",
        "topic",
    )

    topic: str
    payload: bytes
    data: Any  # whatever the codec of the subscription yields
    flags: int
    packet_id: int
    properties: PublishProperties | None
    receipt: Any  # belongs to the link, which knows its type

    def __init__(
        self,
        topic: str,
        payload: bytes = b"",
        *,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 0,
        properties: PublishProperties | None = None,
    ) -> None:
        if qos not in {0, 1, 2}:
            raise UsageError(f"QoS {qos!r} does not exist; it is 0, 1 or 2")
        self.topic = topic
        self.payload = self.data = payload
        self.flags = (DUP if dup else 0) | qos << 1 | (RETAIN if retain else 0)
        self.packet_id = packet_id
        self.properties = properties
        self.receipt = None

    @property
    def qos(self) -> int:
        """The quality of service: 0, 1 or 2."""
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        """Whether the retain flag is set."""
        return self.flags & RETAIN != 0

    @property
    def dup(self) -> bool:
        """Whether the packet is marked as a repetition."""
        return self.flags & DUP != 0

    @property
    def publish_packet(self) -> PublishPacket:
        """The same under the names of distmqtt's packets, for programs that use them."""
        return PublishPacket(self)

    def __repr__(self) -> str:
        payload = self.payload
        head = repr(payload[:REPR_PAYLOAD_BYTES])
        if len(payload) > REPR_PAYLOAD_BYTES:
            head += f"... ({len(payload)} bytes)"
        topic = repr(self.topic[:REPR_CHARACTERS])
        if len(self.topic) > REPR_CHARACTERS:
            topic += f"... ({len(self.topic)} characters)"
        parts = [topic, head, f"qos={self.qos}"]
        parts += [name for name in ("retain", "dup") if getattr(self, name)]
        if self.packet_id:
            parts.append(f"packet_id={self.packet_id}")
        if self.properties is not None:
            shown = repr(self.properties)
            if len(shown) > REPR_CHARACTERS:
                shown = f"{shown[:REPR_CHARACTERS]}... ({len(shown)} characters)"
            parts.append(f"properties={shown}")
        return f"Message({', '.join(parts)})"

    def _key(self) -> tuple[object, ...]:
        return self.topic, self.payload, self.flags, self.packet_id, self.properties

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._key() == other._key()

    __hash__: ClassVar[None]  # type: ignore[assignment]  # mutable: see the docstring

    def __copy__(self) -> Message:
        """Give another subscriber its own view; the payload is shared."""
        twin = Message.__new__(Message)
        twin.topic = self.topic
        twin.payload = self.payload
        twin.data = self.data
        twin.flags = self.flags
        twin.packet_id = self.packet_id
        twin.properties = self.properties
        twin.receipt = self.receipt
        return twin

    def __getstate__(self) -> tuple[object, ...]:
        # The receipt belongs to a live connection and does not travel.
        return (*self._key(), self.data)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.topic, self.payload, self.flags, self.packet_id = state[:4]
        self.properties, self.data = state[4:]
        self.receipt = None


@dataclass(frozen=True, slots=True)
class PublishPacket:
    """A message as distmqtt shows its PUBLISH packet."""

    message: Message

    @property
    def variable_header(self) -> PublishPacket:
        """What has `topic_name` and `packet_id`."""
        return self

    @property
    def payload(self) -> PublishPacket:
        """What has `data`."""
        return self

    @property
    def topic_name(self) -> str:
        """The topic name."""
        return self.message.topic

    @property
    def data(self) -> bytes:
        """The payload as it came."""
        return self.message.payload

    @property
    def packet_id(self) -> int | None:
        """The packet id; None for QoS 0."""
        return self.message.packet_id or None

    @property
    def qos(self) -> int:
        """The quality of service."""
        return self.message.qos

    @property
    def retain_flag(self) -> bool:
        """Whether the retain flag is set."""
        return self.message.retain

    @property
    def dup_flag(self) -> bool:
        """Whether it is marked as a repetition."""
        return self.message.dup
