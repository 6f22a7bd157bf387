from __future__ import annotations

import pytest

from structiot.mqtt.wire.codec import (
    PINGREQ,
    PINGRESP,
    encode,
    puback_bytes,
    pubcomp_bytes,
    pubrec_bytes,
    pubrel_bytes,
)
from structiot.mqtt.wire.messages import Message, PacketType, Pingreq, Pingresp
from tests.wire.mqtt.vectors import VECTORS, Vector

NAMED = [pytest.param(vector, id=vector.what) for vector in VECTORS]


def kind_of(raw: bytes) -> PacketType:
    return PacketType(raw[0] >> 4)


@pytest.mark.parametrize("vector", NAMED)
def test_a_golden_packet_is_decoded(vector: Vector):
    decoder = vector.decoder()

    packets = decoder.feed(vector.raw)

    assert decoder.violation is None
    assert packets == [vector.packet]
    assert type(packets[0]) is type(vector.packet)
    assert repr(packets[0]) == repr(vector.packet)
    assert decoder.held_bytes == 0


@pytest.mark.parametrize("vector", NAMED)
def test_a_golden_packet_is_encoded(vector: Vector):
    raw = encode(vector.packet, vector.version)

    if vector.is_shortest:
        assert raw == vector.raw
    else:
        assert raw != vector.raw
        assert len(raw) <= len(vector.raw) + 3  # the translated CONNACK has a block
        assert kind_of(raw) == kind_of(vector.raw)


def test_every_packet_of_both_versions_is_among_the_golden_ones():
    seen = {(vector.version, kind_of(vector.raw)) for vector in VECTORS}

    assert seen >= {(4, kind) for kind in PacketType if kind != PacketType.AUTH}
    assert seen >= {(5, kind) for kind in PacketType if kind != PacketType.PINGREQ}


def test_a_connection_full_of_golden_packets_is_decoded_in_order():
    for version in (4, 5):
        for role in ("client", "server"):
            vectors = [
                vector
                for vector in VECTORS
                if (vector.version, vector.receiver) == (version, role)
            ]
            decoder = vectors[0].decoder()

            packets = decoder.feed(b"".join(vector.raw for vector in vectors))

            assert decoder.violation is None
            assert packets == [vector.packet for vector in vectors]


def test_plain_acknowledgements_and_pings_have_their_four_and_two_bytes():
    assert puback_bytes(10) == bytes.fromhex("4002000a")
    assert pubrec_bytes(10) == bytes.fromhex("5002000a")
    assert pubrel_bytes(10) == bytes.fromhex("6202000a")
    assert pubcomp_bytes(65_535) == bytes.fromhex("7002ffff")
    assert encode(Pingreq(), 4) == encode(Pingreq(), 5) == PINGREQ == b"\xc0\x00"
    assert encode(Pingresp(), 4) == encode(Pingresp(), 5) == PINGRESP == b"\xd0\x00"


def test_data_of_a_decoded_message_is_its_payload():
    vector = next(v for v in VECTORS if isinstance(v.packet, Message))

    [message] = vector.decoder().feed(vector.raw)

    assert isinstance(message, Message)
    assert message.data is message.payload
    assert message.receipt is None
