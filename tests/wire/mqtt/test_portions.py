"""No read is handled in one go, and no packet has properties without end."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connack, Connect, Disconnect, Message
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.protocol import ClientProtocol
from structiot.mqtt.wire.reasons import ReasonCode

PORTION_BYTES = 16_384


def opened(version: int = 5) -> ClientProtocol:
    protocol = ClientProtocol(max_packet_bytes=1_000_000)
    protocol.connect(Connect(client_id="c", keep_alive_s=0, version=version), 0.0)
    protocol.receive(encode(Connack(), version), 0.0)
    protocol.out.clear()
    return protocol


def portions(protocol: ClientProtocol, data: bytes) -> list[int]:
    """How many packets each portion had."""
    protocol.receive(data, 0.0)
    counts = [protocol.input.count]
    while protocol.has_more:
        protocol.receive(b"", 0.0)
        counts.append(protocol.input.count)
    return counts


@pytest.mark.parametrize("packet", [b"\xd0\x00", b"\x30\x04\x00\x01t\x00"])
def test_many_tiny_packets_are_handled_in_portions(packet: bytes):
    count = 100_000
    counts = portions(opened(), packet * count)
    assert sum(counts) == count
    assert max(counts) <= PORTION_BYTES // len(packet) + 1


def test_long_messages_share_a_portion_and_others_do_not_join_them():
    long = encode(Message("t", b"x" * PORTION_BYTES), 5)
    assert portions(opened(), long * 10) == [10]
    # Of each, 127 bytes count and its header.
    assert portions(opened(), long * 200) == [126, 74]
    short = encode(Message("t"), 5)
    assert max(portions(opened(), long * 3 + short * 50_000)) <= PORTION_BYTES // 5 + 4


@pytest.mark.parametrize("cut", [1, 7, PORTION_BYTES - 1, PORTION_BYTES, 70_000])
def test_a_portion_may_end_and_a_read_may_be_cut_anywhere(cut: int):
    packets = [Message("t", b"%d" % n * (n % 50)) for n in range(3000)]
    data = b"".join(encode(packet, 5) for packet in packets)
    protocol, got = opened(), []
    for piece in (data[:cut], data[cut:]):
        got += protocol.receive(piece, 0.0)
        while protocol.has_more:
            got += protocol.receive(b"", 0.0)
    assert got == packets


def test_nothing_is_decoded_behind_a_goodbye():
    protocol = opened()
    events = protocol.receive(encode(Disconnect(), 5) * 100_000, 0.0)
    assert [type(event) for event in events] == [Disconnect]
    assert not protocol.has_more


@pytest.mark.parametrize(
    "properties",
    [
        PublishProperties(subscription_ids=(1,) * 2001),
        PublishProperties(user_properties=(("", ""),) * 2001),
    ],
)
def test_more_properties_than_anybody_wants_are_refused(properties: PublishProperties):
    protocol = opened()
    assert protocol.receive(encode(Message("t", properties=properties), 5), 0.0) == []
    assert protocol.violation is not None
    assert protocol.violation.code == ReasonCode.QUOTA_EXCEEDED


def test_properties_count_as_work_and_as_memory():
    protocol = opened()
    pairs = (("\u0100", "\u0100"),) * 1000
    message = Message("t", properties=PublishProperties(user_properties=pairs))
    protocol.receive(encode(message, 5), 0.0)
    assert protocol.input.count == 1
    assert protocol.input.work > 1000
    assert protocol.input.rich_bytes > 1000 * 200
