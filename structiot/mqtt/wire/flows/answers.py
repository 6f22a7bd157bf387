"""What a server answers to PUBLISH and PUBREL, by the client's version."""

from __future__ import annotations

from structiot.mqtt.wire.codec import encode, pubcomp_bytes
from structiot.mqtt.wire.messages import Message, Puback, Pubrec
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["answer_to_unknown_pubrel", "answer_with_reason"]

QOS_2 = 0x04
# Who floods us with PUBRELs is answered without any detour.
UNKNOWN_PUBCOMP = b"\x70\x03"
NOT_FOUND = bytes([ReasonCode.PACKET_IDENTIFIER_NOT_FOUND])


def answer_with_reason(message: Message, reason: ReasonCode) -> bytes:
    """Make the PUBACK or PUBREC of 5.0 that says more of a message than that it came."""
    cls = Pubrec if message.flags & QOS_2 else Puback
    return encode(cls(packet_id=message.packet_id, reason=reason), 5)


def answer_to_unknown_pubrel(packet_id: int, version: int) -> bytes:
    """Make the PUBCOMP of a packet id that no message is open under."""
    if version < 5:
        return pubcomp_bytes(packet_id)
    return UNKNOWN_PUBCOMP + packet_id.to_bytes(2, "big") + NOT_FOUND
