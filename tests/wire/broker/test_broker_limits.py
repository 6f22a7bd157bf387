"""Limits of either side: row B20."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.messages import (
    Disconnect,
    Pubrec,
    Subscribe,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, ScriptedClient, lasting

versions = pytest.mark.parametrize("version", [4, 5])


# -- B20: limits, both ways


def test_b20_the_clients_receive_maximum_bounds_what_is_under_way():
    house = House()
    client = house.subscriber("a", qos=2, version=5, properties={"receive_maximum": 2})
    for number in range(5):
        house.publish("a", b"%d" % number, qos=2)
    house.publish("a", b"free")
    assert client.got_payloads() == [b"0", b"1", b"free"]
    client.send(Pubrec(packet_id=1))
    assert len(client.got()) == 1  # the PUBREL; the window is as full as before
    client.send_bytes(b"\x70\x02\0\1")
    assert client.got_payloads() == [b"2"]


@pytest.mark.parametrize("qos", [0, 1])
def test_b20_a_message_larger_than_the_client_takes_is_as_if_delivered(qos: int):
    house = House()
    properties = {"maximum_packet_bytes": 100}
    client = house.subscriber("a", qos=1, version=5, properties=properties)
    house.publish("a", bytes(101), qos=qos)
    house.publish("a", b"small", qos=qos)
    assert client.got_payloads() == [b"small"]
    assert house.core.lost == 1


def test_b20_topic_aliases_are_used_as_far_as_the_client_takes_them():
    house = House()
    properties = {"topic_alias_maximum": 1}
    client = house.subscriber("#", version=5, properties=properties)
    client.decoder.feed(b"")
    house.publish("a/long/topic")
    house.publish("a/long/topic")
    house.publish("another/topic")
    messages = client.got_messages()
    aliases = [m.properties.topic_alias if m.properties else None for m in messages]
    assert [m.topic for m in messages] == ["a/long/topic", "", "another/topic"]
    assert aliases == [1, 1, None]


def test_b20_no_more_topic_aliases_are_used_than_a_client_may_use_itself():
    house = House(topic_alias_maximum=2)
    properties = {"topic_alias_maximum": 65_535}
    client = house.subscriber("#", version=5, properties=properties)
    for _ in range(2):
        for topic in ("first", "second", "third"):
            house.publish(topic)
    topics = [m.topic for m in client.got_messages()]
    assert topics == ["first", "second", "third", "", "", "third"]


def test_b20_the_brokers_own_limits_are_announced():
    house = House(receive_maximum=7, topic_alias_maximum=8, packet_bytes=999)
    properties = house.client(version=5).welcome.properties
    assert properties.receive_maximum == 7
    assert properties.topic_alias_maximum == 8
    assert properties.maximum_packet_bytes == 999


def reason_of_goodbye(client: ScriptedClient) -> ReasonCode:
    goodbye = client.got()[-1]
    assert isinstance(goodbye, Disconnect)
    return goodbye.reason


def test_b20_more_open_messages_than_allowed_close_with_0x93():
    client = House(receive_maximum=2).client(version=5)
    for packet_id in (1, 2, 3):
        client.publish("a", qos=2, packet_id=packet_id)
    assert reason_of_goodbye(client) == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


def test_b20_what_an_earlier_connection_left_open_does_not_count_against_receive_maximum():
    house = House(receive_maximum=2)
    client = house.client("c", 5, **lasting(5))
    client.publish("t", qos=2, packet_id=1)
    client.publish("t", qos=2, packet_id=2)
    client.lose()
    again = house.client("c", 5, **lasting(5))
    again.got()
    again.publish("t", qos=2, packet_id=3)
    again.publish("t", qos=2, packet_id=4)
    assert again.protocol.violation is None
    again.publish("t", qos=2, packet_id=5)
    assert reason_of_goodbye(again) == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


def test_b20_a_client_of_3_1_1_cannot_know_a_receive_maximum():
    client = House(receive_maximum=2).client(version=4)
    for packet_id in range(1, 100):
        client.publish("a", qos=2, packet_id=packet_id)
    assert client.protocol.violation is None


@versions
def test_b20_a_packet_that_is_too_large_is_refused_from_its_header(version: int):
    client = House(packet_bytes=1000).client(version=version)
    client.send_bytes(b"\x30\xe6\x07")
    assert client.protocol.violation is not None
    if version == 5:
        assert reason_of_goodbye(client) == ReasonCode.PACKET_TOO_LARGE


@pytest.mark.parametrize("alias", [0, 9, 65_535])
def test_b20_an_alias_that_is_not_allowed_closes_with_0x94(alias: int):
    client = House(topic_alias_maximum=8).client(version=5)
    client.send_bytes(b"\x30\x07\0\1a\x03\x23" + alias.to_bytes(2, "big"))
    assert reason_of_goodbye(client) == ReasonCode.TOPIC_ALIAS_INVALID


def test_b20_an_alias_that_means_nothing_closes_with_0x82():
    # 3.3.4: without a mapping and without a topic it is a Protocol Error; 0x94 is for
    # an alias of 0 or above the maximum alone.
    client = House().client(version=5)
    client.publish("", properties={"topic_alias": 1})
    assert reason_of_goodbye(client) == ReasonCode.PROTOCOL_ERROR


def test_b20_an_alias_above_the_maximum_that_means_nothing_closes_with_0x94():
    client = House(topic_alias_maximum=8).client(version=5)
    client.publish("", properties={"topic_alias": 9})
    assert reason_of_goodbye(client) == ReasonCode.TOPIC_ALIAS_INVALID


def test_b20_a_clients_alias_means_its_last_topic_and_does_not_travel_on():
    house = House()
    subscriber = house.subscriber("#", version=5)
    client = house.client("publisher", 5)
    client.publish("a", properties={"topic_alias": 1})
    client.publish("", properties={"topic_alias": 1})
    client.publish("b", properties={"topic_alias": 1, "content_type": "t"})
    client.publish("", properties={"topic_alias": 1})
    messages = subscriber.got_messages()
    assert [m.topic for m in messages] == ["a", "a", "b", "b"]
    assert [m.properties for m in messages] == [
        None,
        None,
        PublishProperties(content_type="t"),
        None,
    ]


def test_b20_an_answer_longer_than_the_client_takes_ends_the_connection():
    client = House().client(version=5, properties={"maximum_packet_bytes": 40})
    requests = tuple(SubscriptionRequest(topic_filter=f"{n}") for n in range(50))
    client.send(Subscribe(packet_id=1, subscriptions=requests))
    assert reason_of_goodbye(client) == ReasonCode.PACKET_TOO_LARGE
