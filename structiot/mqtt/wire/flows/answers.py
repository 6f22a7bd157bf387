"""What a server answers to PUBLISH and PUBREL, by the client's version."""

from __future__ import annotations

from structiot.mqtt.wire.codec import encode, puback_bytes, pubcomp_bytes, pubrec_bytes
from structiot.mqtt.wire.messages import Message, Puback, Pubcomp, Pubrec
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["answer_to_publish", "answer_to_pubrel"]

QOS_2 = 0x04


def answer_to_publish(message: Message, reason: ReasonCode, version: int) -> bytes:
    """Make the PUBACK or PUBREC of a message; 3.1.1 knows no reasons."""
    packet_id, is_qos_2 = message.packet_id, message.flags & QOS_2
    if not reason and not is_qos_2:
        return puback_bytes(packet_id)
    if reason and version >= 5:
        cls = Pubrec if is_qos_2 else Puback
        return encode(cls(packet_id=packet_id, reason=reason), version)
    return pubrec_bytes(packet_id) if is_qos_2 else puback_bytes(packet_id)


def answer_to_pubrel(packet_id: int, version: int, *, is_known: bool) -> bytes:
    """Make the PUBCOMP of a packet id."""
    if is_known or version < 5:
        return pubcomp_bytes(packet_id)
    reason = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    return encode(Pubcomp(packet_id=packet_id, reason=reason), version)
