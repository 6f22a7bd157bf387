"""What a server answers to a CONNECT that it cannot accept as it stands."""

from __future__ import annotations

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connack
from structiot.mqtt.wire.properties import ConnackProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["answer_to_broken_connect"]

CONNECT = b"\x10"
NAME_AND_LEVEL_5 = b"\x00\x04MQTT\x05"
# They stand behind the first byte and one to four bytes of length.
PLACE = slice(2, 12)


def answer_to_broken_connect(fault: ProtocolViolation, peer_level: int | None) -> bytes:
    """Give the CONNACK that tells a client what is wrong; empty if none can.

    Args:
        fault: What the decoder has found.
        peer_level: The protocol level, if that is what is wrong.
    """
    reason = ReasonCode(fault.code or ReasonCode.MALFORMED_PACKET)
    if reason is ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
        # Whoever speaks more than 5.0 understands 5.0's answer, others 3.1.1's; bridges
        # of some brokers set the highest bit first, and do without it when refused.
        version = 5 if (peer_level or 0) & 0x7F > 5 else 4
        return encode(Connack(reason=reason), version)
    head = fault.data
    if head[:1] != CONNECT or NAME_AND_LEVEL_5 not in head[PLACE]:
        # 3.1.1 has no code for it, and who is no MQTT client is not told anything.
        return b""
    properties = ConnackProperties(reason_string=str(fault))
    return encode(Connack(reason=reason, properties=properties), 5)
