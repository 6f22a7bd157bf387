"""Whole streams: round trips, arbitrary cuts, truncation, damaged bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structiot.errors import UsageError
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.codec.decoder import Role
from structiot.mqtt.wire.codec.fields import write_varint
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Message,
    Packet,
    Pingreq,
    Pingresp,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode
from tests.wire.mqtt.strategies import connects, packets_for_client, packets_for_server
from tests.wire.mqtt.vectors import VECTORS, Vector

LINKS = [("client", 4), ("client", 5), ("server", 4), ("server", 5)]
FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def packets_for(role: Role, version: int) -> st.SearchStrategy[Packet]:
    if role == "client":
        return packets_for_client(version)
    return packets_for_server(version)


def body_of(raw: bytes) -> bytes:
    at = 1
    while raw[at] & 0x80:
        at += 1
    return raw[at + 1 :]


def framed(first: int, body: bytes) -> bytes:
    return bytes((first,)) + write_varint(len(body)) + body


@pytest.mark.parametrize(("role", "version"), LINKS)
@FEW
@given(data=st.data())
def test_what_is_encoded_is_decoded_again(
    role: Role, version: int, data: st.DataObject
):
    packets = data.draw(st.lists(packets_for(role, version), max_size=4))
    decoder = Decoder(role=role, version=version)

    again = decoder.feed(b"".join(encode(packet, version) for packet in packets))

    assert decoder.violation is None
    assert again == packets


@pytest.mark.parametrize("version", [4, 5])
@FEW
@given(data=st.data())
def test_a_connect_is_decoded_again(version: int, data: st.DataObject):
    packet = data.draw(connects(version))
    decoder = Decoder(role="server")

    assert decoder.feed(encode(packet, version)) == [packet]
    assert decoder.version == version


@pytest.mark.parametrize(("role", "version"), LINKS)
@FEW
@given(data=st.data())
def test_any_cut_of_a_stream_gives_the_same_packets(
    role: Role, version: int, data: st.DataObject
):
    packets = data.draw(st.lists(packets_for(role, version), min_size=1, max_size=5))
    raw = b"".join(encode(packet, version) for packet in packets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    decoder = Decoder(role=role, version=version)

    again: list[Packet] = []
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        again += decoder.feed(raw[begin:end])

    assert decoder.violation is None
    assert again == packets
    assert decoder.held_bytes == 0


@pytest.mark.parametrize(("role", "version"), LINKS)
def test_golden_packets_byte_by_byte_are_the_same_packets(role: Role, version: int):
    vectors = [v for v in VECTORS if (v.receiver, v.version) == (role, version)]
    decoder = Decoder(role=role, version=version)

    packets: list[Packet] = []
    for byte in b"".join(vector.raw for vector in vectors):
        packets += decoder.feed(bytes((byte,)))

    assert packets == [vector.packet for vector in vectors]


def faults(role: Role, version: int, pieces: list[bytes]) -> tuple[Any, ...]:
    decoder = Decoder(role=role, version=version)
    packets: list[Packet] = []
    for piece in pieces:
        packets += decoder.feed(piece)
    fault = decoder.violation
    return packets, fault and (fault.code, fault.offset, str(fault))


@given(
    link=st.sampled_from(LINKS),
    start=st.sampled_from(VECTORS),
    noise=st.binary(max_size=30),
    place=st.integers(0, 60),
    cut=st.integers(0, 90),
)
def test_a_fault_is_the_same_wherever_the_stream_was_cut(
    link: tuple[Role, int], start: Vector, noise: bytes, place: int, cut: int
):
    raw = start.raw[:place] + noise + start.raw[place:]

    assert faults(*link, [raw[:cut], raw[cut:]]) == faults(*link, [raw])


def test_a_stream_that_ends_inside_a_packet_waits_for_the_rest():
    for vector in VECTORS:
        for size in range(len(vector.raw)):
            decoder = vector.decoder()
            assert decoder.feed(vector.raw[:size]) == [], vector.what
            assert decoder.violation is None, vector.what
            assert decoder.held_bytes == size, vector.what


def may_be_shorter(packet: Packet, version: int) -> bool:
    """Whether fewer fields of the packet can make a packet, too."""
    if isinstance(packet, Message):
        return True
    fixed = (Connect, Connack, Pingreq, Pingresp)
    return not isinstance(packet, fixed) and (
        version == 5
        or hasattr(packet, "subscriptions")
        or hasattr(packet, "reasons")
        or hasattr(packet, "topic_filters")
    )


def test_a_body_shorter_than_its_fields_is_refused():
    for vector in VECTORS:
        body = body_of(vector.raw)
        for size in range(len(body)):
            raw = framed(vector.raw[0], body[:size])
            decoder = vector.decoder()

            packets = decoder.feed(raw)

            if packets:  # what is left is a packet of its own, never the same one
                assert may_be_shorter(vector.packet, vector.version), vector.what
                assert packets[0] != vector.packet or not vector.is_shortest
                assert len(encode(packets[0], vector.version)) <= len(raw)
            else:
                assert decoder.violation is not None, vector.what
                assert decoder.violation.code in {0x81, 0x82, 0x8F}, vector.what


def test_a_body_longer_than_its_fields_is_refused():
    for vector in VECTORS:
        decoder = vector.decoder()

        packets = decoder.feed(framed(vector.raw[0], body_of(vector.raw) + b"\xff"))

        if isinstance(vector.packet, Message):
            [packet] = packets
            assert isinstance(packet, Message)
            assert packet.payload == vector.packet.payload + b"\xff", vector.what
        else:
            assert packets == [], vector.what
            assert decoder.violation is not None, vector.what
            assert decoder.violation.code in {0x81, 0x82}, vector.what


def has_unsendable_form(packet: Packet, version: int) -> bool:
    """Packets that are decoded and yet never sent by us."""
    if isinstance(packet, Connect):
        return version == 4 and not packet.clean_start and not packet.client_id
    if isinstance(packet, Connack):
        return version == 5 and isinstance(packet.reason, ConnectReturnCode)
    return False


@pytest.mark.parametrize("source", ["handwritten", "mosquitto", "paho"])
def test_every_flipped_bit_gives_a_packet_or_a_violation(source: str):
    """And what is taken for a packet is one that we could have sent ourselves."""
    for vector in VECTORS:
        if not vector.what.startswith(source):
            continue
        raw = vector.raw
        for bit in range(8 * min(len(raw), 60)):
            damaged = bytearray(raw)
            damaged[bit // 8] ^= 1 << bit % 8
            decoder = vector.decoder()
            packets = decoder.feed(damaged)
            assert decoder.held_bytes <= len(raw)
            assert packets or decoder.violation or decoder.held_bytes
            for packet in packets:
                version = decoder.version
                if has_unsendable_form(packet, version):
                    continue
                again = Decoder(role=vector.receiver, version=version)
                assert again.feed(encode(packet, version)) == [packet]


@given(st.sampled_from(LINKS), st.binary(max_size=200))
def test_garbage_gives_packets_or_a_violation_and_never_an_exception(
    link: tuple[Role, int], garbage: bytes
):
    role, version = link
    decoder = Decoder(role=role, version=version)

    packets = decoder.feed(garbage)

    if decoder.violation is not None:
        assert decoder.violation.code is not None
        assert 0x80 <= decoder.violation.code <= 0xA2
        assert decoder.violation.offset is not None
        assert 0 <= decoder.violation.offset <= len(garbage)
        assert decoder.held_bytes == 0
    for packet in packets:
        try:
            encode(packet, decoder.version)
        except UsageError:
            assert has_unsendable_form(packet, decoder.version)
