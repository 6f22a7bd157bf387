"""What travels in MQTT 3.1.1 and 5.0: one class per packet.

PUBLISH is `Message`, in a module of its own; all other packets are frozen values. A packet of 3.1.1 is the same class with its
properties empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

from structiot.mqtt.wire.message import DUP, PUBLISH_FLAGS, QOS_BITS, RETAIN, Message
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
    SubscribeProperties,
    UnsubscribeProperties,
    WillProperties,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode

__all__ = [
    "ACKS",
    "DUP",
    "PUBLISH_FLAGS",
    "QOS_BITS",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """The message that the server publishes when the client vanishes.

    Attributes:
        topic: Topic name.
        payload: The bytes as they travel.
        qos: Quality of service: 0, 1 or 2.
        retain: Whether the server keeps it for later subscribers.
        properties: Of MQTT 5.0, its delay among them.
    """

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
ACKS: Final = (Puback, Pubrec, Pubrel, Pubcomp)
"""The same for `isinstance`, which is several times quicker with a tuple."""

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
