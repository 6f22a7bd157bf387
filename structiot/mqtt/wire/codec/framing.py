"""Where a packet ends, and whether it may begin as it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec.bodies import Parser
from structiot.mqtt.wire.codec.faults import first_byte_fault
from structiot.mqtt.wire.codec.fields import refuse
from structiot.mqtt.wire.messages import PUBLISH_FLAGS, PacketType
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["PUBLISH", "Framing", "Role"]

Role: TypeAlias = Literal["client", "server"]

PUBLISH = 0x30

MALFORMED = ReasonCode.MALFORMED_PACKET


class Framing:
    """The part of a decoder that reads fixed headers.

    Attributes:
        max_packet_bytes: Largest packet accepted at present, its header included.
    """

    max_packet_bytes: int
    _role: Role
    _version: int
    _max_other_bytes: int
    _parsers: Mapping[int, Parser]

    def _measure(self, data: bytes | bytearray, at: int) -> tuple[int, int]:
        """Give header size and packet size; 0 and 0 while the header is cut."""
        first = data[at]
        if first not in self._parsers and first ^ PUBLISH not in PUBLISH_FLAGS:
            raise self._first_byte_fault(first, at)
        size = shift = 0
        for index in range(at + 1, at + 5):
            if index >= len(data):
                return 0, 0
            byte = data[index]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            refuse(MALFORMED, "remaining length has more than four bytes", at + 1)
        if shift > 7 and not byte and self._version == 5:
            text = "remaining length is not in its shortest form"
            refuse(MALFORMED, text, at + 1)
        header = index + 1 - at
        if header + size > self.max_packet_bytes:
            text = (
                f"packet of {header + size} bytes; the limit is {self.max_packet_bytes}"
            )
            refuse(ReasonCode.PACKET_TOO_LARGE, text, at + 1)
        if first >> 4 != PacketType.PUBLISH and header + size > self._max_other_bytes:
            text = (
                f"{PacketType(first >> 4).name} of {header + size} bytes; "
                f"the limit for it is {self._max_other_bytes}"
            )
            refuse(ReasonCode.QUOTA_EXCEEDED, text, at + 1)
        return header, header + size

    def _first_byte_fault(self, first: int, pos: int) -> ProtocolViolation:
        return first_byte_fault(
            first, pos, role=self._role, version=self._version, known=self._parsers
        )

    def _publish_fault(
        self, flags: int, pos: int, at: int, stop: int
    ) -> ProtocolViolation:
        if flags not in PUBLISH_FLAGS:
            return self._first_byte_fault(flags ^ PUBLISH, pos)
        if at > stop:
            text = "PUBLISH ends inside a field"
            return ProtocolViolation(text, code=MALFORMED, offset=stop)
        code = ReasonCode.PROTOCOL_ERROR
        return ProtocolViolation("packet identifier is 0", code=code, offset=at - 2)
