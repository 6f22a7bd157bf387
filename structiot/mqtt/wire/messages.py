"""What travels in MQTT 3.1.1 and 5.0: one class per packet.

`Message` is the PUBLISH packet and, unchanged, the object that a subscriber holds.
It is a plain slotted class because the decoder makes a million of them a second;
all other packets are frozen values. A packet of 3.1.1 is the same class with its
properties empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

from structiot.errors import UsageError
from structiot.mqtt.wire.properties import (
    NO_ACK_PROPERTIES,
    NO_AUTH_PROPERTIES,
    NO_CONNACK_PROPERTIES,
    NO_CONNECT_PROPERTIES,
    NO_DISCONNECT_PROPERTIES,
    NO_SUBSCRIBE_PROPERTIES,
    NO_UNSUBSCRIBE_PROPERTIES,
    NO_WILL_PROPERTIES,
    AckProperties,
    AuthProperties,
    ConnackProperties,
    ConnectProperties,
    DisconnectProperties,
    PublishProperties,
    SubscribeProperties,
    UnsubscribeProperties,
    WillProperties,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode

__all__ = [
    "DUP",
    "PUBLISH_FLAGS",
    "RETAIN",
    "Ack",
    "Auth",
    "Connack",
    "Connect",
    "Disconnect",
    "Message",
    "Packet",
    "PacketType",
    "Pingreq",
    "Pingresp",
    "Puback",
    "Pubcomp",
    "Pubrec",
    "Pubrel",
    "Suback",
    "Subscribe",
    "SubscriptionRequest",
    "Unsuback",
    "Unsubscribe",
    "Will",
]

RETAIN = 0x01
QOS_BITS = 0x06
DUP = 0x08
REPR_PAYLOAD_BYTES = 32

PUBLISH_FLAGS = frozenset({0, 1, 2, 3, 4, 5, 10, 11, 12, 13})
"""Flags a PUBLISH may have: no QoS 3, and no repetition of QoS 0."""


class PacketType(IntEnum):
    """The packet types, as in the high nibble of a packet's first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


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

    def __repr__(self) -> str:
        payload = self.payload
        head = repr(payload[:REPR_PAYLOAD_BYTES])
        if len(payload) > REPR_PAYLOAD_BYTES:
            head += f"... ({len(payload)} bytes)"
        parts = [repr(self.topic), head, f"qos={self.qos}"]
        parts += [name for name in ("retain", "dup") if getattr(self, name)]
        if self.packet_id:
            parts.append(f"packet_id={self.packet_id}")
        if self.properties is not None:
            parts.append(f"properties={self.properties!r}")
        return f"Message({', '.join(parts)})"

    def _key(self) -> tuple[object, ...]:
        return self.topic, self.payload, self.flags, self.packet_id, self.properties

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # mutable: see the docstring

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """The message that the server publishes when the client vanishes."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    properties: WillProperties = NO_WILL_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """CONNECT, client to server; the first packet of every connection."""

    client_id: str = ""
    clean_start: bool = True
    keep_alive_s: int = 0
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None
    version: int = 4
    properties: ConnectProperties = NO_CONNECT_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """CONNACK, server to client.

    The decoder gives a `ConnectReturnCode` in 3.1.1 and a `ReasonCode` in 5.0; both
    have `is_failure` and `text`. The encoder takes either and translates. A server
    that knows only 3.1.1 answers a 5.0 CONNECT in its own way: that answer is
    decoded too, and recognised by its `ConnectReturnCode`.
    """

    session_present: bool = False
    reason: ReasonCode | ConnectReturnCode = ReasonCode.SUCCESS
    properties: ConnackProperties = NO_CONNACK_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Puback:
    """PUBACK: a QoS 1 message has arrived."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: AckProperties = NO_ACK_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrec:
    """PUBREC: a QoS 2 message has arrived."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: AckProperties = NO_ACK_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrel:
    """PUBREL: a QoS 2 message may be released."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: AckProperties = NO_ACK_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubcomp:
    """PUBCOMP: a QoS 2 message is complete."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: AckProperties = NO_ACK_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """One filter of a SUBSCRIBE with its options.

    `retain_handling`: 0 sends retained messages, 1 only if the subscription is new,
    2 never. The three last fields exist in MQTT 5.0 only.
    """

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """SUBSCRIBE, client to server; at least one filter."""

    packet_id: int
    subscriptions: tuple[SubscriptionRequest, ...]
    properties: SubscribeProperties = NO_SUBSCRIBE_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Suback:
    """SUBACK: one code for each filter, in order."""

    packet_id: int
    reasons: tuple[ReasonCode, ...]
    properties: AckProperties = NO_ACK_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """UNSUBSCRIBE, client to server; at least one filter."""

    packet_id: int
    topic_filters: tuple[str, ...]
    properties: UnsubscribeProperties = NO_UNSUBSCRIBE_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuback:
    """UNSUBACK: one code for each filter in 5.0, none in 3.1.1."""

    packet_id: int
    reasons: tuple[ReasonCode, ...] = ()
    properties: AckProperties = NO_ACK_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingreq:
    """PINGREQ, client to server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingresp:
    """PINGRESP, server to client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """DISCONNECT; from the client in both versions, from the server in 5.0."""

    reason: ReasonCode = ReasonCode.NORMAL_DISCONNECTION
    properties: DisconnectProperties = NO_DISCONNECT_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """AUTH: one step of an enhanced authentication; MQTT 5.0 only."""

    reason: ReasonCode = ReasonCode.SUCCESS
    properties: AuthProperties = NO_AUTH_PROPERTIES


Ack: TypeAlias = Puback | Pubrec | Pubrel | Pubcomp

Packet: TypeAlias = (
    Message
    | Ack
    | Connect
    | Connack
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
