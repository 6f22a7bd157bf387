"""What is wrong with the first byte of a packet."""

from __future__ import annotations

from collections.abc import Iterable

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.messages import PacketType
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["first_byte_fault"]

# The type of the record in which a client of TLS says hello (RFC 8446, 5.1).
TLS_HANDSHAKE = 0x16


def first_byte_fault(
    first: int, offset: int, *, role: str, version: int, known: Iterable[int]
) -> ProtocolViolation:
    """Make the violation of a peer whose packet begins with a byte that none may."""
    kind, flags = first >> 4, first & 15
    code = ReasonCode.MALFORMED_PACKET
    if kind == 0 or (kind == PacketType.AUTH and version == 4):
        text = f"packet type {kind} is reserved"
    elif kind == PacketType.PUBLISH:
        fault = "QoS 3" if flags & 6 == 6 else "QoS 0 marked as a repetition"
        text = f"PUBLISH with {fault}"
    elif any(byte >> 4 == kind for byte in known):
        text = f"{PacketType(kind).name} with the flags {flags:#x}"
        if first == TLS_HANDSHAKE and role == "server":
            text += ", as a TLS handshake begins; this port wants none"
    else:
        code = ReasonCode.PROTOCOL_ERROR
        sender = "server" if role == "client" else "client"
        text = f"{PacketType(kind).name} is not for a {sender} to send"
    return ProtocolViolation(text, code=code, offset=offset)
