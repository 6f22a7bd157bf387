"""Headers, sizes and streams: what the decoder accepts and refuses."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from structiot.errors import UsageError
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.codec.decoder import LARGEST_PACKET_BYTES, Role
from structiot.mqtt.wire.codec.remembered import MAX_BLOCKS, MAX_TOPICS
from structiot.mqtt.wire.messages import (
    Message,
    Pingresp,
    Puback,
)
from structiot.mqtt.wire.properties import PublishProperties
from tests.wire.mqtt.decoding import (
    CONNECT_4,
    CONNECT_5,
    MALFORMED,
    PROTOCOL_ERROR,
    TOO_LARGE,
    publish,
    refusal,
)
from tests.wire.mqtt.vectors import VECTORS

# --- fixed header -----------------------------------------------------------------

RECEIVABLE = {
    ("client", 4): {2, 3, 4, 5, 6, 7, 9, 11, 13},
    ("client", 5): {2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15},
    ("server", 4): {1, 3, 4, 5, 6, 7, 8, 10, 12, 14},
    ("server", 5): {1, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15},
}
ANY_PACKET = dict.fromkeys(range(16), "00") | {
    vector.raw[0] >> 4: vector.raw[1:].hex() for vector in VECTORS
}


@pytest.mark.parametrize(("role", "version"), RECEIVABLE)
def test_every_first_byte_is_accepted_or_refused_as_the_standard_says(
    role: Role, version: int
):
    for first in range(256):
        kind, flags = first >> 4, first & 15
        right_flags = flags == (2 if kind in {6, 8, 10} else 0)
        if kind == 3:
            right_flags = flags & 6 != 6 and flags & 14 != 8
        is_ours = kind in RECEIVABLE[role, version]

        decoder = Decoder(role=role, version=version)
        whole = Decoder(role=role, version=version)
        assert decoder.feed(bytes((first,))) == []
        whole.feed(bytes((first,)) + bytes.fromhex(ANY_PACKET[kind]))

        if is_ours and right_flags:
            assert decoder.violation is None
        else:
            assert decoder.violation is not None
            is_known = kind != 0 and (kind != 15 or version == 5)
            code = PROTOCOL_ERROR if is_known and not is_ours else MALFORMED
            assert decoder.violation.code == code
            assert whole.violation is not None
            assert whole.violation.code == code


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(
    ("size", "length"),
    [
        (127, "7f"),
        (128, "8001"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2_097_151, "ffff7f"),
        (2_097_152, "80808001"),
    ],
)
def test_every_remaining_length_is_read_and_written(
    size: int, length: str, version: int
):
    raw = publish(size, version)
    assert raw[1:].startswith(bytes.fromhex(length))
    decoder = Decoder(role="client", version=version)

    [message] = decoder.feed(raw)

    assert isinstance(message, Message)
    assert message.payload == b"x" * (size - 3 - (version == 5))
    assert encode(message, version) == raw


def test_the_largest_remaining_length_is_accepted_and_a_fifth_byte_is_not():
    decoder = Decoder(role="client")
    assert decoder.feed(bytes.fromhex("30 ff ff ff 7f")) == []
    assert decoder.violation is None

    assert decoder.feed(b"\x00\x01a") == []
    assert decoder.held_bytes == 8

    decoder = Decoder(role="client")
    assert decoder.feed(bytes.fromhex("30 ff ff ff ff 01")) == []
    assert decoder.violation is not None
    assert decoder.violation.code == MALFORMED


def test_an_overlong_remaining_length_is_refused_in_5_0_only():
    assert refusal("d0 80 00", version=5) == MALFORMED
    assert refusal("30 85 00 000161 00 78", version=5) == MALFORMED
    assert refusal("d0 80 00") is None
    assert refusal("30 84 80 80 00 000161 78") is None


def test_a_connect_with_an_overlong_length_is_accepted_because_its_version_is_unknown():
    raw = CONNECT_4[:1] + b"\x8d\x00" + CONNECT_4[2:]
    assert refusal(raw.hex(), role="server") is None

    decoder = Decoder(role="server")
    decoder.feed(CONNECT_5 + b"\xc0\x80\x00")
    assert decoder.violation is not None
    assert decoder.violation.code == MALFORMED


# --- size limits and memory -------------------------------------------------------


@pytest.mark.parametrize("size", [3, 100, 127, 128, 16_383, 16_384, 70_000])
def test_a_packet_of_exactly_the_limit_passes_and_one_byte_more_does_not(size: int):
    raw = publish(size)
    decoder = Decoder(role="client", max_packet_bytes=len(raw))
    assert len(decoder.feed(raw)) == 1
    assert decoder.violation is None

    decoder = Decoder(role="client", max_packet_bytes=len(raw) - 1)
    assert decoder.feed(raw) == []
    assert decoder.violation is not None
    assert decoder.violation.code == TOO_LARGE


def test_a_packet_above_the_limit_is_refused_from_its_header_alone():
    for header in ("30 ff ff ff 7f", "30 82 08"):
        decoder = Decoder(role="client", max_packet_bytes=1024)
        for byte in bytes.fromhex(header):
            assert decoder.violation is None
            decoder.feed(bytes((byte,)))
        assert decoder.violation is not None
        assert decoder.violation.code == TOO_LARGE
        assert "1024" in str(decoder.violation)
        assert decoder.held_bytes == 0


def test_a_claim_of_256_mb_takes_no_memory():
    tracemalloc.start()
    try:
        decoder = Decoder(role="client")
        before, _ = tracemalloc.get_traced_memory()
        decoder.feed(bytes.fromhex("30 ff ff ff 7f 00 01 61") + bytes(65_536))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decoder.violation is None
    assert decoder.held_bytes == 4 * 65_536
    assert peak - before < 1_000_000


def test_a_large_packet_in_small_pieces_costs_linear_time():
    raw = publish(8_000_000)
    decoder = Decoder(role="client")
    packets = []

    begin = time.perf_counter()
    for at in range(0, len(raw), 1000):
        packets += decoder.feed(raw[at : at + 1000])
    took_s = time.perf_counter() - begin

    assert len(packets) == 1
    assert decoder.held_bytes == 0
    assert took_s < 2  # copying at each piece would move 32 GB


def test_a_new_limit_holds_from_the_next_packet_on():
    decoder = Decoder(role="client")
    assert decoder.max_packet_bytes == LARGEST_PACKET_BYTES
    assert len(decoder.feed(publish(100))) == 1
    decoder.max_packet_bytes = 50
    assert decoder.feed(publish(100)) == []
    assert decoder.violation is not None


def test_remembered_topics_and_property_blocks_are_bounded():
    decoder = Decoder(role="client", version=5)

    def decoded(raw: bytes) -> Message:
        [message] = decoder.feed(raw)
        assert isinstance(message, Message)
        return message

    def topic(name: str) -> str:
        found = decoded(encode(Message(name), 5)).topic
        assert found == name
        return found

    # What is remembered is the same object again.
    first = topic("t/0")
    for number in range(MAX_TOPICS):
        topic(f"t/{number}")
    assert topic("t/0") is first
    newest = topic("one more")
    assert topic("t/0") is not first
    assert topic("t" * 257) is not topic("t" * 257)
    assert topic("one more") is newest

    def block(number: int) -> PublishProperties | None:
        raw = b"\x09\x00\x04" + number.to_bytes(4, "big")
        return decoded(b"\x30\x0b\x00\x01a\x07" + raw).properties

    first_block = block(0)
    for number in range(MAX_BLOCKS):
        block(number)
    assert block(0) is first_block
    newest_block = block(MAX_BLOCKS)
    assert block(0) is not first_block
    long = b"\x30\x48\x00\x01a\x44\x09\x00\x41" + b"x" * 65
    assert decoded(long).properties is not decoded(long).properties
    assert block(MAX_BLOCKS) is newest_block


def test_a_remembered_topic_and_block_give_the_same_message_again():
    raw = bytes.fromhex("30 09 000161 03 230001 7879")
    decoder = Decoder(role="client", version=5)

    first, second = decoder.feed(raw + raw)

    assert first == second
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert first.topic is second.topic
    assert first.properties is second.properties


def test_a_remembered_block_does_not_hide_that_the_next_one_is_cut():
    decoder = Decoder(role="client", version=5)
    whole = bytes.fromhex("30 07 000161 03 230001")
    cut = bytes.fromhex("30 05 000161 03 23 0001")

    assert len(decoder.feed(whole + cut)) == 1
    assert decoder.violation is not None
    assert decoder.violation.code == MALFORMED
    assert "property length" in str(decoder.violation)


# --- the stream -------------------------------------------------------------------


def test_packets_before_a_fault_are_returned_and_later_data_is_ignored():
    decoder = Decoder(role="client")

    packets = decoder.feed(bytes.fromhex("d000 40020007 4100 d000"))

    assert packets == [Pingresp(), Puback(packet_id=7)]
    assert decoder.violation is not None
    assert decoder.violation.data == bytes.fromhex("4100 d000")
    assert decoder.violation.offset == 0
    assert decoder.feed(b"\xd0\x00") == []


def test_a_fault_says_where_in_the_packet_it_was_seen():
    decoder = Decoder(role="client")
    decoder.feed(bytes.fromhex("d000 9006000a00017700"))
    assert decoder.violation is not None
    assert decoder.violation.offset == 6
    assert decoder.violation.data[6] == 0x77

    decoder = Decoder(role="client")
    decoder.feed(bytes.fromhex("d000 30"))
    decoder.feed(bytes.fromhex("07 0004 61c32878 79"))
    assert decoder.violation is not None
    assert decoder.violation.offset == 5
    assert decoder.violation.data == bytes.fromhex("3007000461c3287879")


def test_a_fault_in_a_completed_packet_ends_the_decoding():
    decoder = Decoder(role="client")
    assert decoder.feed(bytes.fromhex("9006000a")) == []
    assert decoder.feed(bytes.fromhex("00017700 d000")) == []
    assert decoder.violation is not None
    assert decoder.held_bytes == 0


def test_bytes_of_any_sort_are_fed():
    raw = bytes.fromhex("3005000161 6869")
    for data in (raw, bytearray(raw), memoryview(raw)):
        [message] = Decoder(role="client").feed(data)
        assert message == Message("a", b"hi")
        assert isinstance(message, Message)
        assert type(message.payload) is bytes


def test_an_http_server_is_recognised_by_its_first_byte():
    decoder = Decoder(role="client")
    decoder.feed(b"H")
    assert decoder.violation is not None
    assert decoder.violation.code == MALFORMED


def test_an_unknown_role_or_version_is_refused():
    with pytest.raises(UsageError, match="level 3"):
        Decoder(role="client", version=3)
    with pytest.raises(UsageError, match="peer"):
        Decoder(role="peer")  # type: ignore[arg-type]


def test_what_looks_like_a_lone_acknowledgement_inside_of_a_message_is_none():
    ack = b"\x40\x02\x00\x07"
    for size in (20, 400_000):
        payload = ack * (size // 4)
        raw = encode(Message("a", payload), 4)
        decoder = Decoder(role="client", version=4)
        begun = len(raw) - len(payload)
        begun += 0 if size < 100 else 65_536 - begun % 4
        packets = decoder.feed(raw[:begun])
        for at in range(begun, len(raw), 4):
            packets += decoder.feed(raw[at : at + 4])
        packets += decoder.feed(ack)
        assert packets == [Message("a", payload), Puback(packet_id=7)]
        assert decoder.violation is None


@pytest.mark.parametrize("wrong", [b"\x40\x02\x00\x00", b"\x41\x02\x00\x07"])
def test_a_lone_acknowledgement_that_is_wrong_is_refused(wrong: bytes):
    decoder = Decoder(role="client", version=4)
    assert decoder.feed(wrong) == []
    assert decoder.violation is not None
