"""MQTT packets to bytes and back: pure, for both versions and both roles.

`Decoder` turns a byte stream into packets and never raises on what a peer sends;
`encode` and its quick relatives turn packets into bytes and refuse, before anything is
written, what the standard does not let us send.
"""

from __future__ import annotations

from structiot.mqtt.wire.codec.decoder import SMALLEST_FIRST_BYTES, Decoder
from structiot.mqtt.wire.codec.encoder import encode
from structiot.mqtt.wire.codec.fast_path import (
    PINGREQ,
    PINGRESP,
    encode_publish_into,
    puback_bytes,
    pubcomp_bytes,
    pubrec_bytes,
    pubrel_bytes,
)

__all__ = [
    "PINGREQ",
    "PINGRESP",
    "SMALLEST_FIRST_BYTES",
    "Decoder",
    "encode",
    "encode_publish_into",
    "puback_bytes",
    "pubcomp_bytes",
    "pubrec_bytes",
    "pubrel_bytes",
]
