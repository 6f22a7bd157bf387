"""What decoders know again: bounded, and common to all clients of a server."""

from __future__ import annotations

from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.codec.remembered import MOST_TOPICS_BYTES, KnownTopics
from structiot.mqtt.wire.messages import Connect, Message


def server(topics: KnownTopics) -> Decoder:
    decoder = Decoder(role="server", common_topics=topics)
    decoder.feed(encode(Connect(client_id="c"), 4))
    return decoder


def test_what_one_client_has_published_to_is_known_to_the_next_and_costs_neither():
    topics = KnownTopics()
    one, other = server(topics), server(topics)
    (first,) = one.feed(encode(Message("home/power", b"1"), 4))
    (second,) = other.feed(encode(Message("home/power", b"2"), 4))
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert first.topic is second.topic
    assert one.remembered.held_bytes == other.remembered.held_bytes == 0
    assert topics.held_bytes > 0


def test_a_violation_of_one_client_costs_the_others_nothing():
    topics = KnownTopics()
    one, other = server(topics), server(topics)
    one.feed(encode(Message("home/power", b"1"), 4))
    other.feed(b"\x00\x00")
    assert other.violation is not None
    assert list(topics.by_name.values()) == ["home/power"]


def test_topics_without_end_take_no_more_than_their_bytes():
    topics = KnownTopics()
    decoder = server(topics)
    for n in range(40_000):
        decoder.feed(encode(Message(f"{n:0200}"), 4))
        assert topics.held_bytes <= MOST_TOPICS_BYTES
    assert len(topics.by_name) < 16_384
    decoder.feed(encode(Message("x" * 300), 4))
    assert "x" * 300 not in topics.by_name.values()
