"""The data types of the MQTT wire: integers, strings, binary data; both directions.

What a peer sent wrongly is a `ProtocolViolation` whose offset counts from the start
of the data given to the reader; what our own side wants to send and must not is a
`UsageError`. Nothing here raises anything else.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from structiot.errors import ProtocolViolation, UsageError
from structiot.mqtt.wire.reasons import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAX_VARINT",
    "PacketLimits",
    "Reader",
    "refuse",
    "write_binary",
    "write_counted",
    "write_packet_id",
    "write_string",
    "write_uint",
    "write_varint",
]

MAX_VARINT = 268_435_455
MAX_FIELD_BYTES = 65_535

_BYTES_LIKE = (bytes, bytearray, memoryview)
_pack_size = Struct(">H").pack


def refuse(code: int, text: str, offset: int) -> NoReturn:
    """Raise the violation of a peer."""
    raise ProtocolViolation(text, code=code, offset=offset)


class PacketLimits(NamedTuple):
    """What is counted in a packet, beside its bytes: each costs time to read.

    Attributes:
        filters: Topic filters of a SUBSCRIBE or UNSUBSCRIBE.
        properties: Properties of one block, each user property and subscription
            identifier by itself.
    """

    filters: int = 10_000
    properties: int = 10_000


USUAL_LIMITS = PacketLimits()


class Reader:
    """Reads the fields of one packet, or of one property block, never beyond it."""

    __slots__ = ("at", "data", "limits", "stop")

    def __init__(
        self, data: bytes, at: int, stop: int, limits: PacketLimits = USUAL_LIMITS
    ) -> None:
        self.data: bytes = data
        self.at: int = at
        self.stop: int = stop
        self.limits: PacketLimits = limits

    def take(self, size: int) -> bytes:
        """Take the next bytes, exactly as many as asked for."""
        at = self.at
        end = at + size
        if end > self.stop:
            refuse(ReasonCode.MALFORMED_PACKET, "packet ends inside a field", at)
        self.at = end
        return self.data[at:end]

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(self.stop - self.at)

    def byte(self) -> int:
        """Take a one-byte integer."""
        return self.take(1)[0]

    def uint16(self) -> int:
        """Take a two-byte integer."""
        return int.from_bytes(self.take(2), "big")

    def uint32(self) -> int:
        """Take a four-byte integer."""
        return int.from_bytes(self.take(4), "big")

    def varint(self) -> int:
        """Take a variable byte integer, refused unless written in its shortest form."""
        begin = self.at
        if begin < self.stop and (value := self.data[begin]) < 0x80:
            self.at = begin + 1
            return value
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    text = "variable byte integer is not in its shortest form"
                    refuse(ReasonCode.MALFORMED_PACKET, text, begin)
                return value
        text = "variable byte integer has more than four bytes"
        refuse(ReasonCode.MALFORMED_PACKET, text, begin)

    def binary(self) -> bytes:
        """Take binary data with its two-byte length."""
        data, begin, stop = self.data, self.at + 2, self.stop
        if begin <= stop:
            end = begin + (data[begin - 2] << 8 | data[begin - 1])
            if end <= stop:
                self.at = end
                return data[begin:end]
        refuse(ReasonCode.MALFORMED_PACKET, "packet ends inside a field", begin - 2)

    def string(self) -> str:
        """Take a UTF-8 string with its two-byte length."""
        begin = self.at + 2
        raw = self.binary()
        try:
            text = raw.decode()
        except UnicodeDecodeError as exc:
            offset = begin + exc.start
            refuse(ReasonCode.MALFORMED_PACKET, "string is not UTF-8", offset)
        if "\0" in text:
            refuse(ReasonCode.MALFORMED_PACKET, "string holds U+0000", begin)
        return text

    def packet_id(self) -> int:
        """Take a packet identifier, which is never 0."""
        number = self.uint16()
        if not number:
            refuse(ReasonCode.PROTOCOL_ERROR, "packet identifier is 0", self.at - 2)
        return number

    def finish(self) -> None:
        """Refuse bytes behind the last field."""
        extra = self.stop - self.at
        if extra:
            text = f"packet has {extra} bytes behind its last field"
            refuse(ReasonCode.MALFORMED_PACKET, text, self.at)


def write_uint(value: object, size: int, what: str, least: int = 0) -> bytes:
    """Write an integer of a fixed number of bytes."""
    most = (1 << 8 * size) - 1
    if not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{what} is {value!r}; it must be {least} to {most}")
    return value.to_bytes(size, "big")


def write_packet_id(value: object) -> bytes:
    """Write a packet identifier, which is never 0."""
    return write_uint(value, 2, "packet identifier", least=1)


def write_varint(value: int) -> bytes:
    """Write a variable byte integer of 0 to 268,435,455 in its shortest form."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_counted(head: bytes, parts: Sequence[bytes], what: str) -> bytes:
    """Write a head, the size of all parts together, and the parts."""
    size = sum(map(len, parts))
    if size > MAX_VARINT:
        raise UsageError(f"{what} of {size} bytes; MQTT ends at {MAX_VARINT}")
    return b"".join((head, write_varint(size), *parts))


def write_binary(value: object, what: str) -> bytes:
    """Write binary data with its two-byte length."""
    if not isinstance(value, _BYTES_LIKE):
        raise UsageError(f"{what} must be bytes, not {type(value).__name__}")
    return _with_length(bytes(value), what)


def write_string(value: object, what: str) -> bytes:
    """Write a string as UTF-8 with its two-byte length."""
    if not isinstance(value, str):
        raise UsageError(f"{what} must be a string, not {type(value).__name__}")
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        text = f"{what} holds a surrogate, which UTF-8 cannot carry"
        raise UsageError(text) from None
    if b"\0" in raw:
        raise UsageError(f"{what} holds U+0000, which MQTT does not allow")
    return _with_length(raw, what)


def _with_length(raw: bytes, what: str) -> bytes:
    size = len(raw)
    if size > MAX_FIELD_BYTES:
        raise UsageError(f"{what} has {size} bytes; the limit is {MAX_FIELD_BYTES}")
    return _pack_size(size) + raw
