"""SUBSCRIBE and UNSUBSCRIBE: rows B12, B13, B14 and B26 of the conformance table."""

from __future__ import annotations

import pytest

from structiot.mqtt.broker import Permission
from structiot.mqtt.wire.messages import (
    Message,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House
from tests.wire.mqtt.filters import MATCHES

versions = pytest.mark.parametrize("version", [4, 5])


# -- B12: SUBSCRIBE


@versions
def test_b12_a_suback_has_the_id_and_a_code_for_each_filter_in_order(version: int):
    client = House().client(version=version)
    requests = tuple(
        SubscriptionRequest(topic_filter=name, qos=qos)
        for name, qos in (("a", 2), ("b", 0), ("c", 1))
    )
    client.send(Subscribe(packet_id=1234, subscriptions=requests))
    reasons = tuple(ReasonCode(qos) for qos in (2, 0, 1))
    assert client.got() == [Suback(packet_id=1234, reasons=reasons)]


@versions
def test_b12_the_same_filter_replaces_the_subscription(version: int):
    house = House()
    client = house.subscriber("a", qos=0, version=version)
    assert client.subscribe("a", qos=2) == [2]
    house.publish("a", qos=2)
    assert [m.qos for m in client.got_messages()] == [2]
    assert len(house.core.tree) == 1


def test_b12_a_replaced_subscription_has_its_new_options_alone():
    house = House()
    client = house.client(version=5)
    client.subscribe("a", no_local=True, identifier=1)
    client.subscribe("a", identifier=2)
    client.publish("a")
    (message,) = client.got_messages()
    assert message.properties is not None
    assert message.properties.subscription_ids == (2,)


@versions
def test_b12_replacing_loses_nothing_that_is_under_way(version: int):
    house = House()
    client = house.subscriber("a", qos=1, version=version)
    house.publish("a", b"one", qos=1)
    client.subscribe("a", qos=0)
    client.send(Puback(packet_id=1))
    assert client.got_payloads() == [b"one"]
    assert client.protocol.violation is None


@versions
def test_b12_one_packet_may_hold_many_filters_and_some_twice(version: int):
    house = House()
    client = house.client(version=version)
    names = [f"t/{number}" for number in range(500)]
    assert client.subscribe(*names, "t/0", qos=1) == [1] * 501
    assert len(house.core.tree) == 500
    house.publish("t/0")
    assert len(client.got_messages()) == 1


@versions
@pytest.mark.parametrize(
    "name", [b"a#", b"a/#/b", b"#/", b"a+", b"", b"a\0b", b"$share/g", b"$share//a"]
)
def test_b12_a_filter_that_is_none_closes(version: int, name: bytes):
    client = House().client(version=version)
    body = b"\0\1" + b"\0" * (version == 5) + len(name).to_bytes(2, "big") + name
    client.send_bytes(bytes((0x82, len(body) + 1)) + body + b"\0")
    assert client.protocol.violation is not None


# -- B13: UNSUBSCRIBE


@versions
def test_b13_an_unsuback_always_comes(version: int):
    client = House().subscriber("a", "b", version=version)
    client.send(Unsubscribe(packet_id=99, topic_filters=("a", "none", "a")))
    reasons = (
        ReasonCode.SUCCESS,
        ReasonCode.NO_SUBSCRIPTION_EXISTED,
        ReasonCode.NO_SUBSCRIPTION_EXISTED,
    )
    expected = reasons if version == 5 else ()
    assert client.got() == [Unsuback(packet_id=99, reasons=expected)]


@versions
@pytest.mark.parametrize("other", ["A/b", "a/+", "a/#", "a/b/", "/a/b", "#"])
def test_b13_filters_are_compared_character_by_character(version: int, other: str):
    house = House()
    client = house.subscriber("a/b", version=version)
    client.unsubscribe(other)
    house.publish("a/b")
    assert client.got_payloads() == [b"x"]


@versions
def test_b13_flows_under_way_are_completed(version: int):
    house = House()
    client = house.subscriber("a", qos=2, version=version)
    house.publish("a", b"two", qos=2)
    client.got()
    client.unsubscribe("a")
    client.send(Pubrec(packet_id=1))
    assert client.got() == [Pubrel(packet_id=1)]
    client.send(Pubcomp(packet_id=1))
    house.publish("a", qos=2)
    assert not client.got()
    assert not house.core.sessions["subscriber"].outgoing.flows()


# -- B14: matching


@versions
@pytest.mark.parametrize(("topic_filter", "name", "is_match"), MATCHES)
def test_b14_filters_match_as_the_standard_says(
    version: int,
    topic_filter: str,
    name: str,
    is_match: bool,
):
    house = House()
    live = house.subscriber(topic_filter, version=version)
    house.publish(name, retain=True)
    assert len(live.got_messages()) == is_match
    if not topic_filter.startswith("$share"):
        late = house.subscriber(topic_filter, client_id="late", version=version)
        assert len(late.got_messages()) == is_match


@versions
@pytest.mark.parametrize("name", ["$SYS/broker/version", "$share/g/a", "$own"])
def test_b14_clients_cannot_publish_to_names_that_begin_with_a_dollar(
    version: int, name: str
):
    house = House()
    listener = house.subscriber("$SYS/#", "$own", "a", client_id="listener")
    client = house.client(version=version)
    reason = client.deliver(name, qos=1)
    assert reason == (ReasonCode.NOT_AUTHORIZED if version == 5 else 0)
    assert not listener.got()


# -- B26: permissions


def house_of_alice() -> House:
    return House(
        Permission(publish=["public/#"], subscribe=["public/#"]),
        Permission(user="alice", publish=["%u/#"], subscribe=["%u/#", "to/%c"]),
    )


@versions
def test_b26_a_subscription_that_is_not_allowed_is_refused_by_its_code(version: int):
    client = house_of_alice().client("c1", version, username="alice")
    refused = ReasonCode.NOT_AUTHORIZED if version == 5 else 0x80
    names = ["public/a", "alice/x", "bob/x", "#", "to/c1", "to/c2", "$share/g/public/+"]
    assert client.subscribe(*names) == [0, 0, refused, refused, 0, refused, 0]


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_b26_a_message_that_is_not_allowed_goes_nowhere(version: int, qos: int):
    house = house_of_alice()
    listener = house.subscriber("public/#", client_id="listener", version=version)
    alice = house.client("c1", version, username="alice")
    alice.publish("bob/x", b"no", qos=qos)
    alice.publish("alice/x", b"hers", qos=0)
    if qos:
        ack, *_ = alice.got()
        assert isinstance(ack, Puback | Pubrec)
        assert ack.reason == (ReasonCode.NOT_AUTHORIZED if version == 5 else 0)
    alice.publish("public/x", b"yes")
    assert listener.got_payloads() == [b"yes"]


def test_b26_a_qos_2_message_that_is_refused_is_over():
    alice = house_of_alice().client("c1", 5, username="alice")
    alice.publish("bob/x", qos=2)
    assert alice.session is not None
    assert alice.session.received == set()


def test_b26_in_3_1_1_a_refused_message_is_acknowledged_as_any_other():
    alice = house_of_alice().client("c1", 4, username="alice")
    alice.send(Message("bob/x", qos=2, packet_id=5))
    alice.send(Pubrel(packet_id=5))
    assert alice.got() == [Pubrec(packet_id=5), Pubcomp(packet_id=5)]
