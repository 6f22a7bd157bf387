"""The property blocks of MQTT 5.0: one table, one loop to read, one to write.

`PROPERTY_FIELDS` says which property may stand in which packet and what its value may
be. On receipt an unknown identifier is malformed (0x81); one that does not belong into
the packet, comes twice or has a value out of range is a protocol error (0x82, and more
precisely 0x94 for a topic alias of 0, 0x90 for a response topic that is no topic name).
A block of more properties than the limit is refused (0x97) when that many were read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from structiot.errors import UsageError
from structiot.mqtt.wire.codec.fields import (
    MAX_VARINT,
    Reader,
    refuse,
    write_binary,
    write_counted,
    write_string,
    write_uint,
    write_varint,
)
from structiot.mqtt.wire.message_size import FEW_PAIRS
from structiot.mqtt.wire.properties import (
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
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import name_fault

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROPERTY_FIELDS", "Property", "read_properties", "write_properties"]

USER_PROPERTY = 0x26


class _Kind(NamedTuple):
    """How one sort of property value is read and written."""

    read: Callable[[Reader], Any]
    write: Callable[[object, str], bytes]
    may_repeat: bool = False


class Property(NamedTuple):
    """One property as it stands in one kind of packet."""

    number: int
    name: str
    kind: _Kind


def _read_bit(reader: Reader) -> int:
    value = reader.byte()
    if value > 1:
        text = f"property value is {value}; it must be 0 or 1"
        refuse(ReasonCode.PROTOCOL_ERROR, text, reader.at - 1)
    return value


def _read_flag(reader: Reader) -> bool:
    return _read_bit(reader) == 1


def _write_bit(value: object, what: str) -> bytes:
    if not isinstance(value, int) or not 0 <= value <= 1:
        raise UsageError(f"{what} is {value!r}; it must be 0 or 1")
    return b"\x01" if value else b"\x00"


def _not_zero(value: int, reader: Reader, code: int = ReasonCode.PROTOCOL_ERROR) -> int:
    if not value:
        refuse(code, "property value is 0, which it must not be", reader.at - 1)
    return value


def _read_topic(reader: Reader) -> str:
    begin = reader.at + 2
    topic = reader.string()
    fault = name_fault(topic)
    if fault is not None:
        refuse(ReasonCode.TOPIC_NAME_INVALID, f"response topic {fault}", begin)
    return topic


def _write_topic(value: object, what: str) -> bytes:
    raw = write_string(value, what)
    fault = name_fault(str(value))
    if fault is not None:
        raise UsageError(f"{what} {fault}")
    return raw


def _write_varint_not_zero(value: object, what: str) -> bytes:
    if not isinstance(value, int) or not 0 < value <= MAX_VARINT:
        raise UsageError(f"{what} is {value!r}; it must be 1 to {MAX_VARINT}")
    return write_varint(value)


def _read_pair(reader: Reader) -> tuple[str, str]:
    return reader.string(), reader.string()


_PAIR_LIKE = (tuple, list)


def _write_pair(value: object, what: str) -> bytes:
    if not isinstance(value, _PAIR_LIKE) or len(value) != 2:
        raise UsageError(f"{what} must hold pairs of strings, not {value!r}")
    return write_string(value[0], what) + write_string(value[1], what)


_BIT = _Kind(_read_bit, _write_bit)
_FLAG = _Kind(_read_flag, _write_bit)
_UINT16 = _Kind(Reader.uint16, lambda value, what: write_uint(value, 2, what))
_UINT32 = _Kind(Reader.uint32, lambda value, what: write_uint(value, 4, what))
_COUNT16 = _Kind(
    lambda reader: _not_zero(reader.uint16(), reader),
    lambda value, what: write_uint(value, 2, what, least=1),
)
_COUNT32 = _Kind(
    lambda reader: _not_zero(reader.uint32(), reader),
    lambda value, what: write_uint(value, 4, what, least=1),
)
_ALIAS = _Kind(
    lambda reader: _not_zero(reader.uint16(), reader, ReasonCode.TOPIC_ALIAS_INVALID),
    _COUNT16.write,
)
_ID = _Kind(lambda reader: _not_zero(reader.varint(), reader), _write_varint_not_zero)
_IDS = _Kind(_ID.read, _ID.write, may_repeat=True)
_TEXT = _Kind(Reader.string, write_string)
_TOPIC = _Kind(_read_topic, _write_topic)
_DATA = _Kind(Reader.binary, write_binary)
_PAIRS = _Kind(_read_pair, _write_pair, may_repeat=True)

_ALL = (
    Property(0x01, "payload_format", _BIT),
    Property(0x02, "message_expiry_s", _UINT32),
    Property(0x03, "content_type", _TEXT),
    Property(0x08, "response_topic", _TOPIC),
    Property(0x09, "correlation_data", _DATA),
    Property(0x0B, "subscription_id", _ID),
    Property(0x0B, "subscription_ids", _IDS),
    Property(0x11, "session_expiry_s", _UINT32),
    Property(0x12, "assigned_client_id", _TEXT),
    Property(0x13, "server_keep_alive_s", _UINT16),
    Property(0x15, "authentication_method", _TEXT),
    Property(0x16, "authentication_data", _DATA),
    Property(0x17, "request_problem_information", _FLAG),
    Property(0x18, "will_delay_s", _UINT32),
    Property(0x19, "request_response_information", _FLAG),
    Property(0x1A, "response_information", _TEXT),
    Property(0x1C, "server_reference", _TEXT),
    Property(0x1F, "reason_string", _TEXT),
    Property(0x21, "receive_maximum", _COUNT16),
    Property(0x22, "topic_alias_maximum", _UINT16),
    Property(0x23, "topic_alias", _ALIAS),
    Property(0x24, "maximum_qos", _BIT),
    Property(0x25, "retain_available", _FLAG),
    Property(0x26, "user_properties", _PAIRS),
    Property(0x27, "maximum_packet_bytes", _COUNT32),
    Property(0x28, "wildcard_subscription_available", _FLAG),
    Property(0x29, "subscription_ids_available", _FLAG),
    Property(0x2A, "shared_subscription_available", _FLAG),
)
_KNOWN = frozenset(field.number for field in _ALL)

PROPERTY_FIELDS: dict[type, dict[int, Property]] = {
    cls: {
        field.number: field for field in _ALL if field.name in cls.__dataclass_fields__
    }
    for cls in (
        ConnectProperties,
        WillProperties,
        ConnackProperties,
        PublishProperties,
        AckProperties,
        SubscribeProperties,
        UnsubscribeProperties,
        DisconnectProperties,
        AuthProperties,
    )
}
"""Class of properties to the properties it has, by identifier."""

_WRITERS = {
    cls: [
        (bytes((field.number,)), field.name, field.kind.write, field.kind.may_repeat)
        for field in fields.values()
    ]
    for cls, fields in PROPERTY_FIELDS.items()
}

P = TypeVar("P")


def read_properties(reader: Reader, cls: type[P]) -> P:
    """Read a property block, its length included.

    Raises:
        ProtocolViolation: The block is not one that this kind of packet may have.
    """
    size = reader.varint()
    packet_stop, end = reader.stop, reader.at + size
    if end > packet_stop:
        text = "property length reaches beyond the packet"
        refuse(ReasonCode.MALFORMED_PACKET, text, reader.at)
    fields = PROPERTY_FIELDS[cls]
    values: dict[str, Any] = {}
    spans: list[int] = []
    room = reader.limits.properties
    reader.stop = end
    while (begin := reader.at) < end:
        if not room:
            text = f"more than {reader.limits.properties} properties in a packet"
            refuse(ReasonCode.QUOTA_EXCEEDED, text, begin)
        room -= 1
        number = reader.data[begin]
        field = fields.get(number)
        if field is None:
            _refuse_property(number, cls, begin)
        reader.at = begin + 1
        _, name, (read, _, may_repeat) = field
        value = read(reader)
        if may_repeat:
            values.setdefault(name, []).append(value)
            if number == USER_PROPERTY:
                _extend(spans, begin, reader.at)
        elif name in values:
            text = f"property {number:#04x} ({name}) comes twice"
            refuse(ReasonCode.PROTOCOL_ERROR, text, begin)
        else:
            values[name] = value
    reader.stop = packet_stop
    return _made(cls, values, reader.data, spans)


def _made(cls: type[P], values: dict[str, Any], data: bytes, spans: list[int]) -> P:
    """Make the properties; many user properties are kept as they came, too."""
    for name in ("user_properties", "subscription_ids"):
        if name in values:
            values[name] = tuple(values[name])
    made = cls(**values)
    if spans and len(values["user_properties"]) > FEW_PAIRS:
        pieces = zip(spans[::2], spans[1::2], strict=True)
        block = b"".join(data[begin:end] for begin, end in pieces)
        object.__setattr__(made, "pairs_block", block)
    return made


def _extend(spans: list[int], begin: int, end: int) -> None:
    """Add a stretch of bytes to others, or to the last one if it goes on from there."""
    if spans and spans[-1] == begin:
        spans[-1] = end
    else:
        spans += begin, end


def _refuse_property(number: int, cls: type, offset: int) -> NoReturn:
    if number in _KNOWN:
        text = f"property {number:#04x} does not belong to {cls.__name__}"
        refuse(ReasonCode.PROTOCOL_ERROR, text, offset)
    refuse(ReasonCode.MALFORMED_PACKET, f"unknown property {number:#04x}", offset)


def write_properties(properties: object, cls: type) -> bytes:
    """Write a property block, its length included.

    Raises:
        UsageError: A value, or the class of the properties, is not allowed.
    """
    if type(properties) is not cls:
        given = type(properties).__name__
        raise UsageError(f"this packet takes {cls.__name__}, not {given}")
    parts: list[bytes] = []
    pairs_block: bytes | None = getattr(properties, "pairs_block", None)
    for head, name, write, may_repeat in _WRITERS[cls]:
        value = getattr(properties, name)
        if value is None:
            continue
        if pairs_block is not None and name == "user_properties":
            parts.append(pairs_block)
            continue
        if may_repeat and not isinstance(value, _PAIR_LIKE):
            raise UsageError(f"{name} must be a tuple or a list, not {value!r}")
        for item in value if may_repeat else (value,):
            parts += (head, write(item, name))
    return write_counted(b"", parts, "property block")
