"""Encodes every packet, in its shortest form, for either version.

What our own side must not send is a `UsageError`, raised before there is a byte. What
exists in MQTT 5.0 only is refused in 3.1.1, not dropped; three packets are translated
instead, so that a server may answer both kinds of client alike: the reason of a
CONNACK becomes the nearest return code (and back), any refusal in a SUBACK becomes
0x80, and an UNSUBACK loses its codes, for which 3.1.1 has no place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from structiot.errors import UsageError
from structiot.mqtt.wire.codec.fast_path import PINGREQ, PINGRESP, encode_publish_into
from structiot.mqtt.wire.codec.fields import (
    write_binary,
    write_counted,
    write_packet_id,
    write_string,
    write_uint,
)
from structiot.mqtt.wire.codec.property_blocks import write_properties
from structiot.mqtt.wire.messages import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from structiot.mqtt.wire.properties import (
    AckProperties,
    AuthProperties,
    ConnackProperties,
    ConnectProperties,
    DisconnectProperties,
    SubscribeProperties,
    UnsubscribeProperties,
    WillProperties,
)
from structiot.mqtt.wire.reasons import (
    ALLOWED_REASONS,
    ConnectReturnCode,
    ReasonCode,
    reason_of_return_code,
    return_code_of_reason,
)
from structiot.mqtt.wire.topics import filter_fault, is_shared, name_fault

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["encode"]

_PROTOCOL_NAME = b"\x00\x04MQTT"


def encode(packet: Packet, version: int) -> bytes:
    """Encode one packet.

    Args:
        packet: Any packet; a `Message` becomes a PUBLISH.
        version: The version of the connection, 4 or 5.

    Raises:
        UsageError: The standard does not let us send this.
    """
    if version not in {4, 5}:
        raise UsageError(f"MQTT has the levels 4 and 5, not {version!r}")
    write = _WRITERS.get(type(packet))
    if write is None:
        raise UsageError(f"{type(packet).__name__} is not an MQTT packet")
    return write(packet, version)


def _frame(first: int, *parts: bytes) -> bytes:
    return write_counted(bytes((first,)), parts, PacketType(first >> 4).name)


def _block(properties: object, cls: type, version: int) -> bytes:
    block = write_properties(properties, cls)
    if version == 5:
        return block
    if block != b"\x00":
        raise UsageError(f"{cls.__name__} exist in MQTT 5.0 only")
    return b""


def _require_method(properties: Any) -> None:  # noqa: ANN401 - three classes have it
    has_data = properties.authentication_data is not None
    if has_data and properties.authentication_method is None:
        raise UsageError("authentication data without an authentication method")


def _message(packet: Message, version: int) -> bytes:
    out = bytearray()
    encode_publish_into(
        out,
        packet.topic,
        packet.payload,
        packet.flags,
        packet.packet_id,
        version,
        packet.properties,
    )
    return bytes(out)


def _connect(packet: Connect, version: int) -> bytes:
    if packet.version != version:
        text = f"CONNECT of level {packet.version} on a connection of level {version}"
        raise UsageError(text)
    if version == 4 and packet.password is not None and packet.username is None:
        raise UsageError("MQTT 3.1.1 has no password without a user name")
    if version == 4 and not packet.client_id and not packet.clean_start:
        raise UsageError("MQTT 3.1.1 has no lasting session without a client id")
    flags = 0x02 if packet.clean_start else 0
    parts = [
        _PROTOCOL_NAME,
        bytes((version,)),
        b"",
        write_uint(packet.keep_alive_s, 2, "keep alive"),
        _block(packet.properties, ConnectProperties, version),
        write_string(packet.client_id, "client id"),
    ]
    _require_method(packet.properties)
    if packet.will is not None:
        parts.append(_will(packet.will, version))
        flags |= 0x04 | packet.will.qos << 3 | (0x20 if packet.will.retain else 0)
    if packet.username is not None:
        parts.append(write_string(packet.username, "user name"))
        flags |= 0x80
    if packet.password is not None:
        parts.append(write_binary(packet.password, "password"))
        flags |= 0x40
    parts[2] = bytes((flags,))
    return _frame(0x10, *parts)


def _will(will: Will, version: int) -> bytes:
    _check_range(will.qos, 2, "will QoS")
    topic = write_string(will.topic, "will topic")
    fault = name_fault(will.topic)
    if fault is not None:
        raise UsageError(f"will topic {fault}")
    block = _block(will.properties, WillProperties, version)
    return block + topic + write_binary(will.payload, "will payload")


def _check_range(value: object, most: int, what: str) -> None:
    if not isinstance(value, int) or not 0 <= value <= most:
        raise UsageError(f"{what} is {value!r}; it must be 0 to {most}")


def _connack(packet: Connack, version: int) -> bytes:
    reason = packet.reason
    if packet.session_present and reason:
        raise UsageError("session present although the connection is refused")
    block = _block(packet.properties, ConnackProperties, version)
    _require_method(packet.properties)
    if isinstance(reason, ConnectReturnCode):
        reason = reason_of_return_code(reason)
    code = _code(reason, PacketType.CONNACK)
    if version == 4:
        code = bytes((return_code_of_reason(reason),))
    return _frame(0x20, b"\x01" if packet.session_present else b"\x00", code, block)


def _code(reason: ReasonCode, kind: PacketType) -> bytes:
    if reason not in ALLOWED_REASONS[kind]:
        text = f"reason code {reason!r} is not allowed in {kind.name}"
        raise UsageError(text)
    return bytes((reason,))


def _reason_and_block(
    packet: Ack | Disconnect | Auth, kind: PacketType, cls: type, version: int
) -> bytes:
    """Write the common ending that is left out as far as it says nothing."""
    code = _code(packet.reason, kind)
    block = _block(packet.properties, cls, version)
    if version == 4 and packet.reason:
        raise UsageError(f"{kind.name} has a reason code in MQTT 5.0 only")
    if len(block) > 1:
        return code + block
    return code if packet.reason else b""


def _ack(kind: PacketType, flags: int) -> Callable[[Any, int], bytes]:
    def write(packet: Ack, version: int) -> bytes:
        packet_id = write_packet_id(packet.packet_id)
        ending = _reason_and_block(packet, kind, AckProperties, version)
        return _frame(kind << 4 | flags, packet_id, ending)

    return write


def _subscribe(packet: Subscribe, version: int) -> bytes:
    if not packet.subscriptions:
        raise UsageError("SUBSCRIBE without a topic filter")
    return _frame(
        0x82,
        write_packet_id(packet.packet_id),
        _block(packet.properties, SubscribeProperties, version),
        *[_request(request, version) for request in packet.subscriptions],
    )


def _topic_filter(topic_filter: str) -> bytes:
    field = write_string(topic_filter, "topic filter")
    fault = filter_fault(topic_filter)
    if fault is not None:
        raise UsageError(f"topic filter {topic_filter!r} {fault}")
    return field


def _request(request: SubscriptionRequest, version: int) -> bytes:
    field = _topic_filter(request.topic_filter)
    _check_range(request.qos, 2, "QoS of a subscription")
    _check_range(request.retain_handling, 2, "retain handling")
    if request.no_local and is_shared(request.topic_filter):
        raise UsageError("no local with a shared subscription")
    options = (
        request.qos
        | (0x04 if request.no_local else 0)
        | (0x08 if request.retain_as_published else 0)
        | request.retain_handling << 4
    )
    if version == 4 and options > 2:
        raise UsageError("subscription options exist in MQTT 5.0 only")
    return field + bytes((options,))


def _suback(packet: Suback, version: int) -> bytes:
    if not packet.reasons:
        raise UsageError("SUBACK without a code")
    codes = b"".join([_code(reason, PacketType.SUBACK) for reason in packet.reasons])
    if version == 4:
        codes = bytes([min(code, 0x80) for code in codes])
    block = _block(packet.properties, AckProperties, version)
    return _frame(0x90, write_packet_id(packet.packet_id), block, codes)


def _unsubscribe(packet: Unsubscribe, version: int) -> bytes:
    if not packet.topic_filters:
        raise UsageError("UNSUBSCRIBE without a topic filter")
    return _frame(
        0xA2,
        write_packet_id(packet.packet_id),
        _block(packet.properties, UnsubscribeProperties, version),
        *[_topic_filter(topic_filter) for topic_filter in packet.topic_filters],
    )


def _unsuback(packet: Unsuback, version: int) -> bytes:
    packet_id = write_packet_id(packet.packet_id)
    block = _block(packet.properties, AckProperties, version)
    codes = b"".join([_code(reason, PacketType.UNSUBACK) for reason in packet.reasons])
    if version == 4:
        return _frame(0xB0, packet_id)
    if not codes:
        raise UsageError("UNSUBACK without a code")
    return _frame(0xB0, packet_id, block, codes)


def _pingreq(packet: Pingreq, version: int) -> bytes:  # noqa: ARG001 - one signature
    return PINGREQ


def _pingresp(packet: Pingresp, version: int) -> bytes:  # noqa: ARG001 - as above
    return PINGRESP


def _disconnect(packet: Disconnect, version: int) -> bytes:
    kind = PacketType.DISCONNECT
    return _frame(0xE0, _reason_and_block(packet, kind, DisconnectProperties, version))


def _auth(packet: Auth, version: int) -> bytes:
    if version == 4:
        raise UsageError("AUTH exists in MQTT 5.0 only")
    _require_method(packet.properties)
    return _frame(
        0xF0, _reason_and_block(packet, PacketType.AUTH, AuthProperties, version)
    )


_Writer: TypeAlias = "Callable[[Any, int], bytes]"

_WRITERS: dict[type, _Writer] = {
    Message: _message,
    Connect: _connect,
    Connack: _connack,
    Puback: _ack(PacketType.PUBACK, 0),
    Pubrec: _ack(PacketType.PUBREC, 0),
    Pubrel: _ack(PacketType.PUBREL, 2),
    Pubcomp: _ack(PacketType.PUBCOMP, 0),
    Subscribe: _subscribe,
    Suback: _suback,
    Unsubscribe: _unsubscribe,
    Unsuback: _unsuback,
    Pingreq: _pingreq,
    Pingresp: _pingresp,
    Disconnect: _disconnect,
    Auth: _auth,
}
