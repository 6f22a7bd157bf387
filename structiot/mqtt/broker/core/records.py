"""What of a broker is written down: rows of plain values, and how objects become bytes.

Instants are seconds of the store's clock: since 1970 as the machine believed when the
store was made, and from then on what the broker has counted while it ran, and what the
machine's clock has moved on while it did not. So a clock that is set, forwards or
backwards, while the broker runs, makes nothing live longer or shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.codec.fields import Reader
from structiot.mqtt.wire.codec.property_blocks import read_properties, write_properties
from structiot.mqtt.wire.messages import Connect, Will
from structiot.mqtt.wire.properties import PublishProperties

__all__ = [
    "Batch",
    "ClockRow",
    "DeliveryRow",
    "MessageRow",
    "ReceivedRow",
    "RetainedRow",
    "SessionRow",
    "Snapshot",
    "SubscriptionRow",
    "properties_from",
    "properties_to",
    "will_from",
    "will_to",
]


class SessionRow(NamedTuple):
    """A session; its number stands in the rows that belong to it."""

    number: int
    client_id: str
    username: str | None
    expiry_s: int
    expires_at_s: float | None
    will: bytes | None
    will_at_s: float | None


class SubscriptionRow(NamedTuple):
    """One filter of a session."""

    session: int
    topic_filter: str
    qos: int
    no_local: bool
    retain_as_published: bool
    retain_handling: int
    identifier: int | None


class MessageRow(NamedTuple):
    """Topic and payload, once for all sessions that the message waits for."""

    number: int
    topic: str
    payload: bytes


class DeliveryRow(NamedTuple):
    """A message on its way to one client, in the order of positions."""

    position: int
    session: int
    packet_id: int
    stage: int
    flags: int
    message: int | None
    properties: bytes | None
    expires_at_s: float | None
    share: str | None


class ReceivedRow(NamedTuple):
    """A QoS 2 message that a client has not released."""

    session: int
    packet_id: int


class RetainedRow(NamedTuple):
    """The retained message of a topic."""

    topic: str
    payload: bytes
    qos: int
    properties: bytes | None
    expires_at_s: float | None
    client_id: str | None
    username: str | None


class ClockRow(NamedTuple):
    """What the store's clock and the machine's showed when something was written."""

    store_s: float
    utc_s: float


@dataclass(slots=True)
class Batch:
    """What is to be written down in one transaction: first the ends, then the rest."""

    clock: ClockRow | None = None

    ended_sessions: list[int] = field(default_factory=list)
    ended_subscriptions: list[tuple[int, str]] = field(default_factory=list)
    ended_deliveries: list[int] = field(default_factory=list)
    ended_messages: list[int] = field(default_factory=list)
    released: list[ReceivedRow] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    subscriptions: list[SubscriptionRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)
    received: list[ReceivedRow] = field(default_factory=list)
    retained: list[RetainedRow] = field(default_factory=list)


@dataclass(slots=True)
class Snapshot:
    """Everything that was written down.

    Attributes:
        clock: None in a new store.
    """

    sessions: list[SessionRow]
    subscriptions: list[SubscriptionRow]
    messages: list[MessageRow]
    deliveries: list[DeliveryRow]
    received: list[ReceivedRow]
    retained: list[RetainedRow]
    clock: ClockRow | None = None


def properties_to(properties: PublishProperties | None) -> bytes | None:
    """Write the properties of a message as they stand in a PUBLISH."""
    if properties is None:
        return None
    return write_properties(properties, PublishProperties)


def properties_from(data: bytes | None) -> PublishProperties | None:
    """Read what `properties_to` has written."""
    if data is None:
        return None
    return read_properties(Reader(data, 0, len(data)), PublishProperties)


def will_to(will: Will | None) -> bytes | None:
    """Write a will as the CONNECT that would carry it."""
    if will is None:
        return None
    return encode(Connect(client_id="w", will=will, version=5), 5)


def will_from(data: bytes | None) -> Will | None:
    """Read what `will_to` has written."""
    if data is None:
        return None
    packets = Decoder(role="server").feed(data)
    return packets[0].will if packets and isinstance(packets[0], Connect) else None
