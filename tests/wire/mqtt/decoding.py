"""Codes and small helpers that the tests of the decoder share."""

from __future__ import annotations

from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.codec.decoder import Role

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82
TOO_LARGE, BAD_FILTER, BAD_TOPIC, BAD_VERSION = 0x95, 0x8F, 0x90, 0x84

CONNECT_4 = bytes.fromhex("100d 00044d515454 04 02 003c 000161")
CONNECT_5 = bytes.fromhex("100e 00044d515454 05 02 003c 00 000161")


def refusal(digits: str, *, role: Role = "client", version: int = 4) -> int | None:
    """Feed one packet; give the code it is refused with, None if it is accepted."""
    decoder = Decoder(role=role, version=version)
    packets = decoder.feed(bytes.fromhex(digits))
    assert (decoder.violation is None) == (len(packets) == 1)
    return decoder.violation.code if decoder.violation else None


def publish(size: int, version: int = 4) -> bytes:
    """A PUBLISH of QoS 0 whose remaining length is `size`."""
    head = b"\x00\x01a" + (b"\x00" if version == 5 else b"")
    length = bytearray()
    rest = size
    while True:
        length.append(rest % 128 | (128 if rest > 127 else 0))
        rest //= 128
        if not rest:
            break
    return b"\x30" + bytes(length) + head + b"x" * (size - len(head))
