"""One connection as a machine: what the server sends, fair and foul."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID, Flow
from structiot.mqtt.wire.messages import (
    Connack,
    Disconnect,
    Message,
    Packet,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import (
    ConnectProperties,
    PublishProperties,
)
from structiot.mqtt.wire.protocol import Event
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.mqtt.scripted_client import OK, Client, kinds, opened
from tests.wire.mqtt.strategies import packets_for_client

# -- what comes in (C34, C37, C47, C58, C69) -----------------------------------------


def test_the_same_number_may_be_live_in_both_directions():
    client = opened()
    flow = Flow("t", b"out", 4)
    client.protocol.submit(flow)
    [message] = client.take(Message("t", b"in", qos=2, packet_id=1))
    assert isinstance(message, Message)
    client.protocol.settle(message.receipt)
    client.take(Pubrec(packet_id=1), Pubrel(packet_id=1))
    client.take(Pubcomp(packet_id=1))
    expected = [Message, Pubrec, Pubrel, Pubcomp]
    assert kinds(client.sent()) == expected
    assert flow.is_done
    assert client.protocol.violation is None


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(
    ("qos", "packet"),
    [
        (2, Puback(packet_id=1)),
        (2, Pubcomp(packet_id=1)),
        (1, Pubrec(packet_id=1)),
        (1, Pubcomp(packet_id=1)),
    ],
)
def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection(
    version: int, qos: int, packet: Packet
):
    client = opened(version)
    client.protocol.submit(Flow("t", b"", qos << 1))
    client.sent()
    client.take(packet)
    assert "does not fit" in client.fault
    said = client.sent()
    expected = [] if version == 4 else [Disconnect(reason=ReasonCode.PROTOCOL_ERROR)]
    assert said == expected


@pytest.mark.parametrize("version", [4, 5])
def test_acknowledgements_for_nothing_are_no_violation(version: int):
    client = opened(version)
    client.take(
        Puback(packet_id=5),
        Pubcomp(packet_id=5),
        Pubrec(packet_id=5),
        Pubrel(packet_id=5),
        Suback(packet_id=5, reasons=(OK,)),
    )
    assert client.protocol.violation is None
    not_found = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if version == 5 else OK
    assert client.sent() == [
        Pubrel(packet_id=5, reason=not_found),
        Pubcomp(packet_id=5, reason=not_found),
    ]


def test_a_suback_does_not_free_the_id_of_a_message():
    client = opened()
    client.protocol.submit(Flow("t", b"", 2))
    assert client.take(Suback(packet_id=1, reasons=(OK,))) == []
    assert client.protocol.ids.used == {1}


def test_more_deliveries_than_announced_are_refused_with_0x93():
    client = Client(version=5)
    client.connect(properties=ConnectProperties(receive_maximum=2))
    client.take(Connack())
    client.sent()
    messages = [Message("t", qos=1, packet_id=number) for number in (1, 2, 3)]
    assert len(client.take(*messages)) == 2
    assert client.fault_code == 0x93
    expected = Disconnect(reason=ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
    assert client.sent() == [expected]


def test_a_server_of_3_1_1_was_told_no_maximum_and_cannot_exceed_it():
    client = opened()
    messages = [
        Message("t", qos=1, packet_id=number) for number in range(1, MAX_PACKET_ID + 1)
    ]
    assert len(client.take(*messages)) == MAX_PACKET_ID
    assert client.protocol.violation is None


def aliased(alias: int, topic: str = "", **options: Any) -> Message:
    properties = PublishProperties(topic_alias=alias)
    return Message(topic, b"x", properties=properties, **options)


def with_aliases(maximum: int | None) -> Client:
    client = Client(version=5)
    client.connect(properties=ConnectProperties(topic_alias_maximum=maximum))
    client.take(Connack())
    client.sent()
    return client


def topics(events: list[Event]) -> list[str]:
    return [event.topic for event in events if isinstance(event, Message)]


def test_an_alias_stands_for_its_topic_and_can_be_replaced():
    client = with_aliases(2)
    events = client.take(
        aliased(1, "a"),
        aliased(1),
        aliased(2, "b"),
        aliased(1, "c"),
        aliased(1),
        aliased(2),
    )
    assert topics(events) == ["a", "a", "b", "c", "c", "b"]


def test_an_alias_of_a_repetition_counts():
    client = with_aliases(2)
    first = Message("a", b"x", qos=2, packet_id=7)
    client.take(first)
    events = client.take(aliased(1, "a", qos=2, packet_id=7, dup=True), aliased(1))
    assert topics(events) == ["a"]


@pytest.mark.parametrize(
    ("maximum", "message"),
    [(None, aliased(1, "a")), (2, aliased(3, "a")), (2, aliased(3))],
    ids=["none allowed", "too large", "too large and unknown"],
)
def test_an_alias_that_was_not_agreed_is_refused_with_0x94(
    maximum: int | None, message: Message
):
    client = with_aliases(maximum)
    assert client.take(message) == []
    assert client.sent() == [Disconnect(reason=ReasonCode.TOPIC_ALIAS_INVALID)]


def test_an_alias_that_means_nothing_is_refused_with_0x82():
    # 3.3.4: without a mapping and without a topic it is a Protocol Error; 0x94 is for
    # an alias of 0 or above the maximum alone.
    client = with_aliases(2)
    assert client.take(aliased(1)) == []
    assert client.sent() == [Disconnect(reason=ReasonCode.PROTOCOL_ERROR)]


def test_aliases_are_forgotten_with_the_connection():
    client = with_aliases(2)
    client.take(aliased(1, "a"))
    client.lose()
    client.connect(properties=ConnectProperties(topic_alias_maximum=2))
    client.take(Connack())
    client.take(aliased(1))
    assert client.fault_code == 0x82


def test_what_came_before_a_violation_is_still_handed_on():
    client = opened()
    good = encode(Message("t", b"good"), 4)
    events = client.protocol.receive(good * 3 + b"\x36\x00" + good, client.now)
    assert len(events) == 3
    assert client.protocol.violation is not None
    assert client.protocol.receive(good, client.now) == []


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"\x36\x05\x00\x01t\x00\x01\x00", 0x81),
        (b"\x30\xff\xff\xff\xff\x01", 0x81),
        (b"\x30\xff\xff\xff\x7f", 0x95),
        (b"\x30\x04\x00\x01#\x00", 0x90),
        (b"\x32\x06\x00\x01t\x00\x00\x00", 0x82),
        (b"\x30\x05\x00\x02\xc3\x28\x00", 0x81),
    ],
)
def test_in_5_0_the_goodbye_says_what_was_wrong(raw: bytes, code: int):
    client = opened(5)
    client.protocol.receive(raw, client.now)
    assert client.fault_code == code
    assert client.sent() == [Disconnect(reason=ReasonCode(code))]


@given(st.lists(packets_for_client(5), max_size=6), st.binary(max_size=30), st.data())
def test_no_bytes_of_a_server_make_the_client_raise(
    packets: list[Packet], tail: bytes, data: st.DataObject
):
    for version in (4, 5):
        client = opened(version)
        client.protocol.submit(Flow("t", b"x", 2))
        client.protocol.submit(Flow("t", b"x", 4))
        client.protocol.subscribe((SubscriptionRequest(topic_filter="t"),))
        client.sent()
        stream = b"".join(encode(packet, 5) for packet in packets) + tail
        cut = data.draw(st.integers(0, len(stream)))
        client.protocol.receive(stream[:cut], client.now)
        client.protocol.receive(stream[cut:], client.now)
        client.sent()
