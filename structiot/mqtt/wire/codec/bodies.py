"""Reads the bodies of all packets but PUBLISH, which the decoder reads itself.

Every parser gets a reader on exactly one packet body and the protocol version, and
reads the body to its last byte. `FIRST_BYTES` says which first bytes a role may
receive in a version, and which parser reads what follows: a wrong flag nibble, a
reserved packet type and a packet that the other side may not send are all missing
from that table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from structiot.mqtt.wire.codec.fields import Reader, refuse
from structiot.mqtt.wire.codec.property_blocks import read_properties
from structiot.mqtt.wire.messages import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
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
from structiot.mqtt.wire.reasons import (
    ALLOWED_REASONS,
    SUBACK_CODES_3_1_1,
    ConnectReturnCode,
    ReasonCode,
)
from structiot.mqtt.wire.topics import filter_fault, is_shared, name_fault

__all__ = ["FIRST_BYTES", "Parser"]

MALFORMED = ReasonCode.MALFORMED_PACKET
PROTOCOL_ERROR = ReasonCode.PROTOCOL_ERROR


def _connect(reader: Reader, version: int) -> Connect:
    version = _level(reader)
    flags = reader.byte()
    _check_connect_flags(flags, version, reader.at - 1)
    keep_alive_s = reader.uint16()
    properties = NO_CONNECT_PROPERTIES
    if version == 5:
        begin = reader.at
        properties = read_properties(reader, ConnectProperties)
        _check_method(properties, begin)
    packet = Connect(
        client_id=reader.string(),
        will=_will(reader, flags, version) if flags & 0x04 else None,
        username=reader.string() if flags & 0x80 else None,
        password=reader.binary() if flags & 0x40 else None,
        clean_start=flags & 0x02 != 0,
        keep_alive_s=keep_alive_s,
        version=version,
        properties=properties,
    )
    reader.finish()
    return packet


def _level(reader: Reader) -> int:
    begin = reader.at
    name = reader.binary()
    if name not in {b"MQTT", b"MQIsdp"}:
        refuse(MALFORMED, "CONNECT does not name the protocol MQTT", begin)
    level = reader.byte()
    if name == b"MQIsdp" and level == 3:
        # 3.1, which devices still speak: 3.1.1 asks for nothing that it forbids.
        return 4
    if name != b"MQTT" or level not in {4, 5}:
        text = f"protocol level {level} is not spoken here, only 3, 4 and 5"
        refuse(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, text, reader.at - 1)
    return level


def _check_connect_flags(flags: int, version: int, offset: int) -> None:
    if flags & 0x01:
        refuse(MALFORMED, "reserved connect flag is set", offset)
    if not flags & 0x04 and flags & 0x38:
        refuse(MALFORMED, "will QoS or will retain without a will", offset)
    if flags & 0x18 == 0x18:
        refuse(MALFORMED, "will QoS 3", offset)
    if version == 4 and flags & 0xC0 == 0x40:
        refuse(MALFORMED, "password without a user name in MQTT 3.1.1", offset)


def _check_method(
    properties: ConnectProperties | ConnackProperties | AuthProperties, offset: int
) -> None:
    has_data = properties.authentication_data is not None
    if has_data and properties.authentication_method is None:
        refuse(PROTOCOL_ERROR, "authentication data without a method", offset)


def _will(reader: Reader, flags: int, version: int) -> Will:
    properties = NO_WILL_PROPERTIES
    if version == 5:
        properties = read_properties(reader, WillProperties)
    begin = reader.at + 2
    topic = reader.string()
    fault = name_fault(topic)
    if fault is not None:
        refuse(ReasonCode.TOPIC_NAME_INVALID, f"will topic {fault}", begin)
    return Will(
        topic=topic,
        payload=reader.binary(),
        qos=flags >> 3 & 3,
        retain=flags & 0x20 != 0,
        properties=properties,
    )


def _connack(reader: Reader, version: int) -> Connack:
    flags = reader.byte()
    if flags & 0xFE:
        refuse(MALFORMED, "reserved CONNACK flag is set", reader.at - 1)
    code = reader.byte()
    properties = NO_CONNACK_PROPERTIES
    reason: ReasonCode | ConnectReturnCode
    if version == 4 or (reader.at == reader.stop and 1 <= code <= 5):
        # In 5.0 a body of two bytes is too short, and none of the numbers 1 to 5 is
        # a reason code: so answers a server that has never heard of 5.0.
        if code > 5:
            refuse(PROTOCOL_ERROR, f"return code {code} is reserved", reader.at - 1)
        reason = ConnectReturnCode(code)
    else:
        reason = _reason(PacketType.CONNACK, code, reader.at - 1)
        begin = reader.at
        properties = read_properties(reader, ConnackProperties)
        _check_method(properties, begin)
    if flags and reason:
        text = "session present although the connection is refused"
        refuse(PROTOCOL_ERROR, text, reader.at - 2)
    reader.finish()
    return Connack(session_present=flags == 1, reason=reason, properties=properties)


def _reason(kind: PacketType, code: int, offset: int) -> ReasonCode:
    reason = ALLOWED_REASONS[kind].get(code)
    if reason is None:
        text = f"reason code {code:#04x} is not allowed in {kind.name}"
        refuse(PROTOCOL_ERROR, text, offset)
    return reason


def _ack_parser(kind: PacketType, cls: type[Ack]) -> Parser:
    def parse(reader: Reader, version: int) -> Ack:
        packet_id = reader.packet_id()
        reason, properties = ReasonCode.SUCCESS, NO_ACK_PROPERTIES
        if version == 5 and reader.at < reader.stop:
            reason = _reason(kind, reader.byte(), reader.at - 1)
            if reader.at < reader.stop:
                properties = read_properties(reader, AckProperties)
        reader.finish()
        return cls(packet_id=packet_id, reason=reason, properties=properties)

    return parse


def _subscribe(reader: Reader, version: int) -> Subscribe:
    packet_id = reader.packet_id()
    properties = NO_SUBSCRIBE_PROPERTIES
    if version == 5:
        properties = read_properties(reader, SubscribeProperties)
    requests: list[SubscriptionRequest] = []
    while reader.at < reader.stop:
        _check_number(len(requests), reader, "SUBSCRIBE")
        topic_filter = _topic_filter(reader)
        requests.append(_request(reader, topic_filter, version))
    if not requests:
        refuse(PROTOCOL_ERROR, "SUBSCRIBE without a topic filter", reader.at)
    return Subscribe(
        packet_id=packet_id, subscriptions=tuple(requests), properties=properties
    )


def _check_number(number: int, reader: Reader, what: str) -> None:
    most = reader.limits.filters
    if number >= most:
        text = f"{what} with more than {most} topic filters"
        refuse(ReasonCode.QUOTA_EXCEEDED, text, reader.at)


def _topic_filter(reader: Reader) -> str:
    begin = reader.at + 2
    topic_filter = reader.string()
    fault = filter_fault(topic_filter)
    if fault is not None:
        refuse(ReasonCode.TOPIC_FILTER_INVALID, f"topic filter {fault}", begin)
    return topic_filter


def _request(reader: Reader, topic_filter: str, version: int) -> SubscriptionRequest:
    options = reader.byte()
    offset = reader.at - 1
    if options & (0xFC if version == 4 else 0xC0):
        refuse(MALFORMED, "reserved bits in the subscription options", offset)
    if options & 0x03 == 0x03:
        code = MALFORMED if version == 4 else PROTOCOL_ERROR
        refuse(code, "subscription with QoS 3", offset)
    if options & 0x30 == 0x30:
        refuse(PROTOCOL_ERROR, "subscription with retain handling 3", offset)
    if options & 0x04 and is_shared(topic_filter):
        refuse(PROTOCOL_ERROR, "no local with a shared subscription", offset)
    return SubscriptionRequest(
        topic_filter=topic_filter,
        qos=options & 3,
        no_local=options & 0x04 != 0,
        retain_as_published=options & 0x08 != 0,
        retain_handling=options >> 4,
    )


def _suback(reader: Reader, version: int) -> Suback:
    packet_id = reader.packet_id()
    properties, allowed = NO_ACK_PROPERTIES, SUBACK_CODES_3_1_1
    if version == 5:
        properties = read_properties(reader, AckProperties)
        allowed = ALLOWED_REASONS[PacketType.SUBACK]
    reasons = _reasons(reader, allowed, "SUBACK")
    return Suback(packet_id=packet_id, reasons=reasons, properties=properties)


def _reasons(
    reader: Reader, allowed: dict[int, ReasonCode], what: str
) -> tuple[ReasonCode, ...]:
    begin = reader.at
    codes = reader.rest()
    if not codes:
        refuse(PROTOCOL_ERROR, f"{what} without a code", begin)
    for index, code in enumerate(codes):
        if code not in allowed:
            text = f"code {code:#04x} is not allowed in {what}"
            refuse(PROTOCOL_ERROR, text, begin + index)
    return tuple([allowed[code] for code in codes])


def _unsubscribe(reader: Reader, version: int) -> Unsubscribe:
    packet_id = reader.packet_id()
    properties = NO_UNSUBSCRIBE_PROPERTIES
    if version == 5:
        properties = read_properties(reader, UnsubscribeProperties)
    filters: list[str] = []
    while reader.at < reader.stop:
        _check_number(len(filters), reader, "UNSUBSCRIBE")
        filters.append(_topic_filter(reader))
    if not filters:
        refuse(PROTOCOL_ERROR, "UNSUBSCRIBE without a topic filter", reader.at)
    return Unsubscribe(
        packet_id=packet_id, topic_filters=tuple(filters), properties=properties
    )


def _unsuback(reader: Reader, version: int) -> Unsuback:
    packet_id = reader.packet_id()
    if version == 4:
        reader.finish()
        return Unsuback(packet_id=packet_id)
    properties = read_properties(reader, AckProperties)
    reasons = _reasons(reader, ALLOWED_REASONS[PacketType.UNSUBACK], "UNSUBACK")
    return Unsuback(packet_id=packet_id, reasons=reasons, properties=properties)


def _pingreq(reader: Reader, version: int) -> Pingreq:  # noqa: ARG001 - one signature
    reader.finish()
    return Pingreq()


def _pingresp(reader: Reader, version: int) -> Pingresp:  # noqa: ARG001 - as above
    reader.finish()
    return Pingresp()


def _disconnect(reader: Reader, version: int) -> Disconnect:
    reason, properties = ReasonCode.NORMAL_DISCONNECTION, NO_DISCONNECT_PROPERTIES
    if version == 5 and reader.at < reader.stop:
        reason = _reason(PacketType.DISCONNECT, reader.byte(), reader.at - 1)
        if reader.at < reader.stop:
            properties = read_properties(reader, DisconnectProperties)
    reader.finish()
    return Disconnect(reason=reason, properties=properties)


def _disconnect_of_server(reader: Reader, version: int) -> Disconnect:
    begin = reader.at
    packet = _disconnect(reader, version)
    if packet.properties.session_expiry_s is not None:
        refuse(PROTOCOL_ERROR, "session expiry in a server's DISCONNECT", begin)
    return packet


def _auth(reader: Reader, version: int) -> Auth:  # noqa: ARG001 - one signature
    reason, properties = ReasonCode.SUCCESS, NO_AUTH_PROPERTIES
    if reader.at < reader.stop:
        reason = _reason(PacketType.AUTH, reader.byte(), reader.at - 1)
        if reader.at < reader.stop:
            begin = reader.at
            properties = read_properties(reader, AuthProperties)
            _check_method(properties, begin)
    reader.finish()
    return Auth(reason=reason, properties=properties)


Parser: TypeAlias = Callable[[Reader, int], Packet]

_BOTH_WAYS: dict[int, Parser] = {
    0x40: _ack_parser(PacketType.PUBACK, Puback),
    0x50: _ack_parser(PacketType.PUBREC, Pubrec),
    0x62: _ack_parser(PacketType.PUBREL, Pubrel),
    0x70: _ack_parser(PacketType.PUBCOMP, Pubcomp),
}
_TO_SERVER: dict[int, Parser] = {
    **_BOTH_WAYS,
    0x10: _connect,
    0x82: _subscribe,
    0xA2: _unsubscribe,
    0xC0: _pingreq,
    0xE0: _disconnect,
}
_TO_CLIENT: dict[int, Parser] = {
    **_BOTH_WAYS,
    0x20: _connack,
    0x90: _suback,
    0xB0: _unsuback,
    0xD0: _pingresp,
}
FIRST_BYTES: dict[tuple[str, int], dict[int, Parser]] = {
    ("server", 4): _TO_SERVER,
    ("server", 5): {**_TO_SERVER, 0xF0: _auth},
    ("client", 4): _TO_CLIENT,
    ("client", 5): {**_TO_CLIENT, 0xE0: _disconnect_of_server, 0xF0: _auth},
}
"""Our role and the version to the parsers by first byte; PUBLISH is not among them."""
