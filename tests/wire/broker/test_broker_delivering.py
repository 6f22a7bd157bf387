"""From publisher to subscribers: rows B11, B15 to B18, B22, B23."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from structiot.mqtt.wire.messages import (
    Disconnect,
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
from structiot.mqtt.wire.properties import AckProperties, PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, ScriptedClient

versions = pytest.mark.parametrize("version", [4, 5])


# -- B11: the quality of service


@versions
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_b11_the_lower_qos_counts(version: int, published: int, granted: int):
    house = House()
    subscriber = house.subscriber("a", qos=granted, version=version)
    house.client("publisher", version).deliver("a", qos=published) if published else (
        house.publish("a")
    )
    assert [m.qos for m in subscriber.got_messages()] == [min(published, granted)]


# -- B15: overlapping subscriptions


@versions
def test_b15_overlapping_filters_get_one_copy_at_the_highest_qos(version: int):
    house = House()
    client = house.client(version=version)
    for name, qos in (("#", 0), ("a/b", 2), ("a/+", 1)):
        client.subscribe(name, qos=qos)
    house.publish("a/b", qos=2)
    assert [m.qos for m in client.got_messages()] == [2]


def test_b15_the_copy_has_the_identifiers_of_all():
    house = House()
    client = house.client(version=5)
    for identifier, name in enumerate(["#", "a/b", "a/+", "x"], 1):
        client.subscribe(name, identifier=identifier)
    client.subscribe("a/#")
    house.publish("a/b")
    (message,) = client.got_messages()
    assert message.properties is not None
    assert sorted(message.properties.subscription_ids) == [1, 2, 3]


def test_b15_retain_as_published_of_one_of_them_counts():
    house = House()
    client = house.client(version=5)
    client.subscribe("#")
    client.subscribe("a", retain_as_published=True)
    house.publish("a", retain=True)
    assert [m.retain for m in client.got_messages()] == [True]


# -- B16: no local


def test_b16_no_local_leaves_out_what_the_client_publishes_itself():
    house = House()
    client = house.client("mine", 5)
    client.subscribe("a", no_local=True)
    client.publish("a", b"own")
    house.client("other", 5).publish("a", b"other")
    assert client.got_payloads() == [b"other"]


@pytest.mark.parametrize("order", [1, -1])
def test_b16_another_subscription_without_it_gets_the_message_by_its_own_terms(
    order: int,
):
    house = House()
    client = house.client("mine", 5)
    subscriptions = [
        (SubscriptionRequest(topic_filter="#", qos=2, no_local=True), 1),
        (SubscriptionRequest(topic_filter="a", qos=1), 2),
    ]
    for request, identifier in subscriptions[::order]:
        client.subscribe_to(request, identifier=identifier)
    client.publish("a", qos=2)
    (own,) = (packet for packet in client.got() if isinstance(packet, Message))
    assert own.qos == 1
    assert own.properties == PublishProperties(subscription_ids=(2,))


def test_b16_no_local_is_refused_for_a_shared_subscription():
    client = House().client(version=5)
    request = b"\0\x0a$share/g/a\x04"
    client.send_bytes(bytes((0x82, 3 + len(request))) + b"\0\1\0" + request)
    (goodbye,) = client.got()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason == ReasonCode.PROTOCOL_ERROR


# -- B17: shared subscriptions


def shared_by(
    house: House, names: str, *, qos: int = 1, version: int = 5
) -> list[ScriptedClient]:
    options: dict[str, Any] = {"clean_start": False}
    if version == 5:
        options["properties"] = {"session_expiry_s": 1000, "receive_maximum": 2}
    return [
        house.subscriber(
            "$share/g/a/+", qos=qos, client_id=name, version=version, **options
        )
        for name in names
    ]


@versions
def test_b17_each_message_goes_to_one_member_in_turn(version: int):
    house = House()
    members = shared_by(house, "bcd", qos=0, version=version)
    for number in range(6):
        house.publish("a/x", b"%d" % number)
    got = [member.got_payloads() for member in members]
    assert sorted(itertools.chain(*got)) == [b"%d" % number for number in range(6)]
    assert [len(payloads) for payloads in got] == [2, 2, 2]


def test_b17_groups_and_plain_subscribers_each_get_their_copy():
    house = House()
    first = house.subscriber("$share/one/a", client_id="b", version=5)
    second = house.subscriber("$share/two/a", client_id="c", version=5)
    plain = house.subscriber("a", client_id="d", version=5)
    house.publish("a")
    assert [len(one.got_messages()) for one in (first, second, plain)] == [1, 1, 1]


def test_b17_members_that_are_away_are_passed_over():
    house = House()
    one, two, three = shared_by(house, "bcd")
    two.lose()
    for _ in range(4):
        house.publish("a/x", qos=1)
    assert [len(client.got_messages()) for client in (one, three)] == [2, 2]


def test_b17_where_all_are_away_each_has_its_share_waiting():
    house = House()
    for member in shared_by(house, "bc"):
        member.lose()
    for number in range(4):
        house.publish("a/x", b"%d" % number, qos=1)
    back = [house.client(name, 5, clean_start=False) for name in "bc"]
    assert [len(client.got_messages()) for client in back] == [2, 2]


def test_b17_what_a_member_was_sent_is_completed_with_it_alone():
    house = House()
    one, two = shared_by(house, "bc", qos=2)
    house.publish("a/x", qos=2)
    ((message,),) = (got for client in (one, two) if (got := client.got_messages()))
    chosen = one if house.core.sessions["b"].outgoing.inflight else two
    chosen.send(Pubrec(packet_id=message.packet_id))
    chosen.got()
    chosen.lose()
    other = two if chosen is one else one
    assert not other.got()
    name = "b" if chosen is one else "c"
    back = house.client(name, 5, clean_start=False)
    assert len(back.got()) == 1  # the PUBREL


def test_b17_what_a_member_refuses_is_not_handed_on():
    house = House()
    members = shared_by(house, "bc")
    house.publish("a/x", qos=1)
    (chosen,) = [client for client in members if client.got()]
    chosen.send(Puback(packet_id=1, reason=ReasonCode.QUOTA_EXCEEDED))
    house.pass_time(1000)
    assert not any(client.got() for client in members)


def test_b17_what_waited_for_a_member_ends_with_its_session():
    house = House()
    members = shared_by(house, "bc", qos=2)
    for member in members:
        member.lose()
    for _ in range(4):
        house.publish("a/x", qos=2)
    back = house.client("b", 5, clean_start=False)
    assert len(back.got_messages()) == 2
    house.client("c", 5, clean_start=True)
    house.pass_time(2000)
    assert not back.got()


def test_b17_a_member_that_leaves_the_group_gets_nothing_more():
    house = House()
    one, two = shared_by(house, "bc", qos=0)
    assert one.unsubscribe("$share/g/a/+") == [0]
    for _ in range(4):
        house.publish("a/x")
    assert not one.got()
    assert len(two.got_messages()) == 4
    two.unsubscribe("$share/g/a/+")
    assert house.core.shared == {}
    assert len(house.core.tree) == 0


# -- B18: order


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_b18_the_order_of_a_publisher_is_kept(version: int, qos: int):
    house = House()
    subscriber = house.subscriber("#", qos=2, version=version)
    publishers = [house.client(f"p{number}", version) for number in range(3)]
    for number in range(20):
        for publisher in publishers:
            client_id = publisher.session.client_id if publisher.session else ""
            publisher.publish(
                f"t/{client_id}", b"%d" % number, qos=qos, packet_id=number + 1
            )
    got = subscriber.got_messages()
    for number in range(3):
        mine = [int(m.payload) for m in got if m.topic == f"t/p{number}"]
        assert mine == list(range(20))


@versions
def test_b18_the_order_is_kept_through_a_full_window(version: int):
    house = House(inflight=3)
    subscriber = house.subscriber("a", qos=1, version=version)
    for number in range(10):
        house.publish("a", b"%d" % number, qos=1)
    got: list[int] = []
    while messages := subscriber.got_messages():
        assert len(messages) <= 3
        for message in messages:
            got.append(int(message.payload))
            subscriber.send(Puback(packet_id=message.packet_id))
    assert got == list(range(10))


# -- B22: properties


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_b22_properties_arrive_unaltered_and_in_order(qos: int):
    house = House()
    subscriber = house.subscriber("a", qos=2, version=5)
    properties = {
        "payload_format": 1,
        "content_type": "text/plain",
        "response_topic": "answers/here",
        "correlation_data": b"\0\xff",
        "user_properties": (("b", "1"), ("a", "2"), ("b", "1")),
    }
    house.client("publisher", 5).publish("a", qos=qos, properties=properties)
    (message,) = subscriber.got_messages()
    assert message.properties == PublishProperties(**properties)  # type: ignore[arg-type]


@pytest.mark.parametrize("qos", [0, 1])
def test_b22_a_subscriber_of_3_1_1_gets_the_message_without_them(qos: int):
    house = House()
    subscriber = house.subscriber("a", qos=1)
    house.client("p", 5).publish("a", qos=qos, properties={"content_type": "t"})
    (message,) = subscriber.got_messages()
    assert (message.payload, message.properties) == (b"x", None)


# -- B23: reasons for publishers


@pytest.mark.parametrize("qos", [1, 2])
def test_b23_a_publisher_of_5_0_is_told_that_nobody_listens(qos: int):
    house = House()
    publisher = house.client("publisher", 5)
    assert publisher.deliver("a", qos=qos) == ReasonCode.NO_MATCHING_SUBSCRIBERS
    house.subscriber("a")
    assert publisher.deliver("a", qos=qos) == ReasonCode.SUCCESS
    assert house.client("old", 4).deliver("nobody", qos=qos) == 0


def test_b23_acknowledgements_carry_no_reason_strings():
    house = House(topic_levels=2)
    client = house.client(version=5, properties={"request_problem_information": False})
    client.publish("nobody", qos=1)
    client.publish("$SYS/not/mine", qos=1)
    client.publish("$SYS/not/mine", qos=2)
    request = SubscriptionRequest(topic_filter="too/many/levels")
    client.send(
        Subscribe(packet_id=1, subscriptions=(request,)),
        Unsubscribe(packet_id=2, topic_filters=("none",)),
        Pubrel(packet_id=9),
    )
    acks = client.got()
    kinds = {Puback, Pubrec, Pubcomp, Suback, Unsuback}
    assert {type(ack) for ack in acks} == kinds
    for ack in acks:
        assert ack.properties == AckProperties()  # type: ignore[union-attr]
