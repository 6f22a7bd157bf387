"""The encoders that run once a message: PUBLISH, the four plain acknowledgements.

What they refuse they refuse before a byte is written. Topic names are checked and
encoded once and then remembered, in a bounded table.
"""

from __future__ import annotations

from struct import Struct
from typing import NoReturn

from structiot._kit.out_buffer import LARGE_BYTES, OutBuffer
from structiot.errors import UsageError
from structiot.mqtt.wire.codec.fields import (
    MAX_VARINT,
    write_packet_id,
    write_string,
    write_varint,
)
from structiot.mqtt.wire.codec.property_blocks import write_properties
from structiot.mqtt.wire.messages import PUBLISH_FLAGS, RETAIN
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import name_fault

__all__ = [
    "PINGREQ",
    "PINGRESP",
    "encode_publish_into",
    "puback_bytes",
    "pubcomp_bytes",
    "pubrec_bytes",
    "pubrel_bytes",
]

PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"

MAX_CACHED_TOPICS = 16_384
MAX_CACHED_TOPIC_CHARS = 256
NO_PROPERTIES = b"\x00"

_NOT_FOUND = bytes([ReasonCode.PACKET_IDENTIFIER_NOT_FOUND])
_FLAGS_WITH_ID = PUBLISH_FLAGS - {0, RETAIN}
_pack_ack = Struct(">BBH").pack
_pack_id = Struct(">H").pack
_topic_fields: dict[str, bytes] = {}
_find_topic = _topic_fields.get

# First byte and remaining length of every PUBLISH below 128 bytes, by flags and size.
_SHORT_HEADERS = tuple(
    tuple(bytes((0x30 | flags, size)) for size in range(128)) for flags in range(16)
)


def puback_bytes(packet_id: int) -> bytes:
    """Encode a PUBACK with reason 0, in either version."""
    if not 0 < packet_id < 65_536:
        write_packet_id(packet_id)
    return _pack_ack(0x40, 2, packet_id)


def pubrec_bytes(packet_id: int) -> bytes:
    """Encode a PUBREC with reason 0, in either version."""
    if not 0 < packet_id < 65_536:
        write_packet_id(packet_id)
    return _pack_ack(0x50, 2, packet_id)


def pubrel_bytes(packet_id: int) -> bytes:
    """Encode a PUBREL with reason 0, in either version."""
    if not 0 < packet_id < 65_536:
        write_packet_id(packet_id)
    return _pack_ack(0x62, 2, packet_id)


def pubcomp_bytes(packet_id: int, *, is_known: bool = True) -> bytes:
    """Encode a PUBCOMP with reason 0, in either version.

    Not known is an id of 5.0 that nothing is open under: who floods us with PUBRELs is
    answered without any detour.
    """
    if not 0 < packet_id < 65_536:
        write_packet_id(packet_id)
    data = _pack_ack(0x70, 2, packet_id)
    return data if is_known else b"\x70\x03" + data[2:] + _NOT_FOUND


def encode_publish_into(  # noqa: PLR0917 - keywords would cost a tenth of the rate
    out: bytearray,
    topic: str,
    payload: bytes,
    flags: int,
    packet_id: int,
    version: int,
    properties: PublishProperties | None = None,
) -> None:
    """Append one PUBLISH to a buffer.

    Args:
        out: Where to append; unchanged if anything is refused. An `OutBuffer` refers
            to a large payload instead of copying it.
        topic: Topic name; empty only together with a topic alias.
        payload: The bytes of the message.
        flags: Low nibble of the first byte: retain 1, QoS 6, dup 8.
        packet_id: 1 to 65535 for QoS 1 and 2, 0 for QoS 0.
        version: 4 or 5.
        properties: For MQTT 5.0 only.

    Raises:
        UsageError: The standard does not let us send this.
    """
    name = _find_topic(topic)
    if name is None:
        name = _topic_field(topic, properties)
    if type(payload) is not bytes:
        payload = _payload_bytes(payload)
    if packet_id or flags & ~RETAIN:
        if flags not in _FLAGS_WITH_ID or not 0 < packet_id < 65_536:
            _refuse_identifier(flags, packet_id)
        name += _pack_id(packet_id)
    if version != 4 or properties is not None:
        name += _block(properties, version)
    size = len(name) + len(payload)
    if size < 128:
        out += _SHORT_HEADERS[flags][size] + name + payload
        return
    if size > MAX_VARINT:
        raise UsageError(f"PUBLISH of {size} bytes; MQTT ends at {MAX_VARINT}")
    out.append(0x30 | flags)
    out += write_varint(size)
    out += name
    if len(payload) >= LARGE_BYTES and type(out) is OutBuffer:
        out.add_large(payload)
    else:
        out += payload


def _topic_field(topic: str, properties: PublishProperties | None) -> bytes:
    field = write_string(topic, "topic name")
    if not topic and properties is not None and properties.topic_alias is not None:
        return field
    fault = name_fault(topic)
    if fault is not None:
        raise UsageError(f"topic name {fault}")
    if len(topic) <= MAX_CACHED_TOPIC_CHARS:
        if len(_topic_fields) >= MAX_CACHED_TOPICS:
            _topic_fields.clear()
        _topic_fields[topic] = field
    return field


def _payload_bytes(payload: object) -> bytes:
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise UsageError(f"payload must be bytes, not {type(payload).__name__}")
    return bytes(payload)


def _refuse_identifier(flags: int, packet_id: int) -> NoReturn:
    if flags in _FLAGS_WITH_ID:
        text = f"packet identifier is {packet_id!r}; it must be 1 to 65535"
        raise UsageError(text)
    if flags in PUBLISH_FLAGS:
        raise UsageError("PUBLISH of QoS 0 with a packet identifier")
    raise UsageError(f"PUBLISH with the flags {flags!r}, which do not exist")


def _block(properties: PublishProperties | None, version: int) -> bytes:
    if version == 5:
        if properties is None:
            return NO_PROPERTIES
        return write_properties(properties, PublishProperties)
    if version != 4:
        raise UsageError(f"MQTT has the levels 4 and 5, not {version!r}")
    if properties != PublishProperties():
        raise UsageError("properties of a message exist in MQTT 5.0 only")
    return b""
