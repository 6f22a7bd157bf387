"""Long messages are received where they stay, whatever the pieces they come in."""

from __future__ import annotations

import tracemalloc

import pytest

from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.message_size import properties_bytes
from structiot.mqtt.wire.messages import DUP, Message, Packet
from structiot.mqtt.wire.properties import PublishProperties

SIZE = 1_000_000
TYPED = PublishProperties(content_type="image/png")
PAYLOAD = bytes(i * 7 & 0xFF for i in range(256)) * (SIZE // 256)


def message(version: int = 4, *, qos: int = 0) -> Message:
    made = Message("a/long/topic", PAYLOAD, qos=qos, packet_id=300 if qos else 0)
    if version == 5:
        made.properties = PublishProperties(content_type="image/png")
    if qos:
        made.flags |= DUP
    return made


def fill(decoder: Decoder, data: bytes, most: int) -> list[Packet]:
    """Receive as a link does that can receive into the decoder's space."""
    packets: list[Packet] = []
    at = 0
    while at < len(data):
        if decoder.has_space:
            space = decoder.space()
            step = min(most, len(space), len(data) - at)
            space[:step] = data[at : at + step]
            decoder.filled(step)
            if decoder.is_filled:
                packets += decoder.feed(b"")
        else:
            step = min(most, len(data) - at)
            packets += decoder.feed(data[at : at + step])
        at += step
    return packets


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("most", [700, 9_000, 65_536, 400_000, 3_000_000])
def test_pieces_of_any_size_make_the_same_messages(version: int, qos: int, most: int):
    sent = [message(version, qos=qos), Message("b", b"short"), message(version)]
    raw = b"".join(encode(one, version) for one in sent)
    fed, filled = (Decoder(role="client", version=version) for _ in range(2))

    packets: list[Packet] = []
    for at in range(0, len(raw), most):
        packets += fed.feed(raw[at : at + most])

    assert packets == sent
    assert fill(filled, raw, most) == sent
    for decoder in (fed, filled):
        assert decoder.violation is None
        assert decoder.held_bytes == 0
        assert not decoder.has_space


def test_what_is_held_is_what_is_set_aside_and_no_more_than_four_times_what_came():
    decoder = Decoder(role="client")
    raw = bytes.fromhex("30 ff ff ff 7f 00 01 61")

    decoder.feed(raw + bytes(65_536))
    assert decoder.held_bytes == 4 * 65_536
    decoder.feed(bytes(3 * 65_536))
    assert decoder.held_bytes == 4 * 65_536
    decoder.space()
    assert decoder.held_bytes == 16 * 65_536
    decoder.forget_unfinished()
    assert decoder.held_bytes == 0
    assert not decoder.has_space


def test_properties_are_held_too_while_the_payload_comes():
    pairs = tuple((f"name {number}", "value") for number in range(500))
    properties = PublishProperties(user_properties=pairs)
    raw = encode(Message("a", bytes(SIZE), properties=properties), 5)
    plain, rich = (Decoder(role="server", version=5) for _ in range(2))
    plain.feed(encode(Message("a", bytes(SIZE)), 5)[:65_536])
    rich.feed(raw[:65_536])
    assert rich.has_space
    assert rich.held_bytes - plain.held_bytes >= 500 * 150
    rich.feed(raw[65_536:])
    assert rich.held_bytes == 0


@pytest.mark.parametrize(
    "head",
    [
        "30 80 80 40 ff ff",  # a topic beyond what has come
        "32 80 80 40 00 01 61 00 00",  # no packet id
        "30 80 80 40 00 01 23",  # a topic with a wildcard
        "36 80 80 40 00 01 61 00 01",  # QoS 3
    ],
)
def test_a_long_publish_that_is_not_right_is_refused_as_a_short_one(head: str):
    raw = (bytes.fromhex(head) + b"\xff" * 1_048_576)[: 4 + 1_048_576]
    whole, cut = Decoder(role="client"), Decoder(role="client")

    assert whole.feed(raw) == []
    assert cut.feed(raw[:20_000]) + cut.feed(raw[20_000:]) == []

    assert whole.violation is not None
    assert cut.violation is not None
    assert str(cut.violation) == str(whole.violation)
    assert cut.violation.code == whole.violation.code


@pytest.mark.parametrize("most", [16_384, 262_144])
def test_a_long_message_is_not_copied_on_its_way_in(most: int):
    raw = memoryview(encode(Message("a", bytes(4_000_000)), 4))
    decoder = Decoder(role="client")
    packets: list[Packet] = []
    tracemalloc.start()
    try:
        packets += decoder.feed(bytes(raw[:16_384]))
        at = 16_384
        while at < len(raw):
            space = decoder.space()
            step = min(most, len(space), len(raw) - at)
            space[:step] = raw[at : at + step]
            decoder.filled(step)
            at += step
        packets += decoder.feed(b"")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(packets) == 1
    assert peak < 1.2 * len(raw)


def begun(raw: bytes, version: int, head_bytes: int) -> Decoder:
    """A decoder that has had a long message and the first bytes of another."""
    decoder = Decoder(role="client", version=version)
    assert len(fill(decoder, encode(message(version), version), 65_536)) == 1
    assert decoder.expects_long
    assert decoder.head_bytes < 40
    assert decoder.begin_long(raw[:head_bytes])
    return decoder


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_payload_that_comes_in_one_piece_is_that_piece(version: int, qos: int):
    sent = message(version, qos=qos)
    raw = encode(sent, version)
    head_bytes = len(raw) - len(PAYLOAD)
    decoder = begun(raw, version, head_bytes)
    assert decoder.head_bytes == head_bytes
    rich_bytes = 0 if sent.properties is None else properties_bytes(sent.properties)
    assert decoder.whole_bytes == len(PAYLOAD)
    assert decoder.held_bytes == rich_bytes

    payload = raw[head_bytes:]
    decoder.give(payload)
    assert decoder.held_bytes == len(PAYLOAD) + rich_bytes
    assert decoder.is_filled
    (got,) = decoder.feed(b"")

    assert got == sent
    assert isinstance(got, Message)
    assert got.payload is payload
    assert not decoder.is_amid
    assert decoder.expects_long


@pytest.mark.parametrize("first", [1, 9_000, 400_000, len(PAYLOAD) - 1])
@pytest.mark.parametrize("extra", [0, 1, 8_000])
def test_a_payload_that_comes_in_pieces_is_filled_up(first: int, extra: int):
    raw = encode(message(qos=1), 4)
    at = len(raw) - len(PAYLOAD) + extra
    decoder = begun(raw, 4, at)
    if extra:
        assert decoder.whole_bytes == 0
    else:
        decoder.give(raw[at : at + first])
        at += first
    while decoder.has_space:
        step = min(len(space := decoder.space()), len(raw) - at)
        space[:step] = raw[at : at + step]
        decoder.filled(step)
        at += step
    assert decoder.feed(b"") == [message(qos=1)]


@pytest.mark.parametrize("cut", [1, 3, 10])
def test_a_head_that_is_cut_begins_nothing_and_is_fed(cut: int):
    raw = encode(message(qos=1), 4)
    decoder = begun(raw, 4, 20)
    decoder.give(raw[20:])
    assert len(decoder.feed(b"")) == 1
    assert not decoder.begin_long(raw[:cut])
    assert fill(decoder, raw, 65_536) == [message(qos=1)]


def portions_of(decoder: Decoder, data: bytes, portion_bytes: int) -> list[int]:
    """How many packets each portion had."""
    counts = [len(decoder.feed(data, portion_bytes=portion_bytes))]
    while decoder.has_rest:
        counts.append(len(decoder.feed(b"", portion_bytes=portion_bytes)))
    return counts


@pytest.mark.parametrize("version", [4, 5])
def test_what_is_long_is_little_work_unless_it_has_properties(version: int):
    long = encode(Message("t", bytes(8_000)), version)
    rich = encode(Message("t", PAYLOAD[:8_000], properties=TYPED), 5)
    short = encode(Message("t", b"short"), version)

    assert portions_of(Decoder(role="client", version=version), long * 30, 16_384) == [
        30
    ]
    assert max(portions_of(Decoder(role="client", version=5), rich * 30, 16_384)) == 3
    counts = portions_of(
        Decoder(role="client", version=version), long + short * 9_000, 16_384
    )
    assert max(counts) <= 16_384 // len(short) + 2
    assert sum(counts) == 9_001


def test_a_rest_comes_before_what_came_later_and_is_held_whole():
    decoder = Decoder(role="client")
    sent = [Message("t", b"%d" % number) for number in range(100)]
    raw = [encode(one, 4) for one in sent]

    packets = decoder.feed(b"".join(raw[:60]), portion_bytes=100)
    assert decoder.rest_bytes == sum(map(len, raw[:60]))
    assert decoder.is_amid
    packets += decoder.feed(b"".join(raw[60:]), portion_bytes=100)
    while decoder.has_rest:
        packets += decoder.feed(b"", portion_bytes=100)

    assert packets == sent
    assert decoder.rest_bytes == 0
    assert not decoder.is_amid


@pytest.mark.parametrize("most", [700, 8_000, 8_010, 100_000])
def test_it_knows_how_long_packets_are(most: int):
    raw = encode(Message("t", bytes(8_000)), 4)
    decoder = Decoder(role="client")
    for at in range(0, 10 * len(raw), most):
        decoder.feed((raw * 10)[at : at + most])
    assert decoder.usual_bytes == len(raw)
