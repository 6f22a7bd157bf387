"""Retained messages and message expiry: rows B10 and B21 of the conformance table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.mqtt.broker.core.ledger import Ledger
from structiot.mqtt.broker.core.retained import Retained, RetainedStore
from structiot.mqtt.wire.messages import SubscriptionRequest
from structiot.mqtt.wire.topics import matches
from tests.wire.broker.clients import House

versions = pytest.mark.parametrize("version", [4, 5])


def retained_bytes(topic: str, payload: bytes) -> int:
    return Retained(topic, payload, 0, None, None).held_bytes


@versions
def test_b10_the_last_retained_message_of_a_topic_greets_a_subscriber(version: int):
    house = House()
    publisher = house.client("publisher", version)
    for payload in (b"first", b"last"):
        publisher.publish("a/b", payload, retain=True)
    publisher.publish("a/b", b"not retained")
    subscriber = house.subscriber("a/+", version=version)
    messages = subscriber.got_messages()
    assert [(m.topic, m.payload, m.retain) for m in messages] == [
        ("a/b", b"last", True)
    ]


@versions
def test_b10_a_live_message_is_not_marked_as_retained(version: int):
    house = House()
    subscriber = house.subscriber("a", version=version)
    house.publish("a", retain=True)
    (message,) = subscriber.got_messages()
    assert not message.retain


@versions
def test_b10_an_empty_payload_erases_and_is_delivered(version: int):
    house = House()
    subscriber = house.subscriber("a", version=version)
    house.publish("a", b"kept", retain=True)
    house.publish("a", b"", retain=True)
    assert subscriber.got_payloads() == [b"kept", b""]
    assert not house.subscriber("a", client_id="late").got()


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_b10_a_retained_message_has_the_lower_qos(published: int, granted: int):
    house = House()
    house.publish("a", qos=published, retain=True)
    (message,) = house.subscriber("a", qos=granted).got_messages()
    assert (message.qos, message.retain) == (min(published, granted), True)


@versions
def test_b10_the_same_filter_again_gets_retained_messages_again(version: int):
    house = House()
    house.publish("a", retain=True)
    subscriber = house.subscriber("a", version=version)
    subscriber.got()
    subscriber.subscribe("a")
    assert len(subscriber.got_messages()) == 1


@pytest.mark.parametrize(
    ("handling", "first", "again"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)]
)
def test_b10_retain_handling_says_when_they_are_sent(
    handling: int, first: int, again: int
):
    house = House()
    house.publish("a", retain=True)
    client = house.client(version=5)
    for expected in (first, again):
        client.subscribe("a", retain_handling=handling)
        assert len(client.got_messages()) == expected


@pytest.mark.parametrize("is_retained", [False, True])
def test_b10_retain_as_published_shows_the_flag(is_retained: bool):
    house = House()
    client = house.client(version=5)
    client.subscribe("a", retain_as_published=True)
    house.publish("a", retain=is_retained)
    assert [m.retain for m in client.got_messages()] == [is_retained]


def test_b10_a_shared_subscription_gets_no_retained_messages():
    house = House()
    house.publish("a", retain=True)
    assert not house.subscriber("$share/g/a", version=5).got()


def test_b10_the_broker_keeps_a_bounded_number_and_counts_the_others():
    house = House(retained=2)
    for topic in "abc":
        house.publish(topic, retain=True)
    house.publish("a", b"newer", retain=True)
    assert [item.topic for item in house.core.retained] == ["a", "b"]
    assert house.core.retained.refused == 1


def test_b10_the_broker_keeps_a_bounded_number_of_bytes():
    house = House(retained_bytes=100 + 2 * retained_bytes("a", b""))
    house.publish("a", bytes(60), retain=True)
    house.publish("b", bytes(60), retain=True)
    house.publish("a", bytes(10), retain=True)
    house.publish("b", bytes(60), retain=True)
    assert [item.topic for item in house.core.retained] == ["a", "b"]


@pytest.mark.parametrize(
    ("topic", "properties"),
    [
        ("a", {"user_properties": (("k", "v" * 5000),)}),
        ("a", {"user_properties": (("", ""),) * 40}),
        ("a", {"correlation_data": bytes(5000)}),
        ("a", {"content_type": "t" * 5000}),
        ("a", {"response_topic": "t" * 5000}),
        ("a" * 5000, {}),
        ("/" * 20, {}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_b10_topics_and_properties_of_retained_messages_weigh_too(
    topic: str, properties: dict[str, Any]
):
    house = House(retained_bytes=5000)
    publisher = house.client("publisher", 5)
    publisher.publish("kept", retain=True)
    publisher.publish(topic, retain=True, properties=properties)
    assert [item.topic for item in house.core.retained] == ["kept"]
    assert house.core.retained.refused == 1
    # What was removed weighs nothing any more: there is room to the last byte.
    (kept,) = house.core.retained
    room = 5000 - kept.held_bytes + len(kept.payload)
    assert house.core.retained.remove("kept")
    publisher.publish("kept", bytes(room + 1), retain=True)
    assert list(house.core.retained) == []
    publisher.publish("kept", bytes(room), retain=True)
    assert [item.held_bytes for item in house.core.retained] == [5000]


def test_b10_more_retained_messages_than_the_buffer_holds_all_arrive():
    house = House(write_bytes=4000)
    for number in range(300):
        house.publish(f"t/{number}", bytes(90), retain=True)
    client = house.client()
    client.is_stuck = True
    client.send_bytes(b"\x82\x08\0\1\0\3t/#\0")
    assert len(client.protocol.out) < 1400
    client.is_stuck = False
    house.core.wake(client)
    house.settle()
    assert len(client.got()) == 301
    assert house.core.lost == 0


def test_b10_retained_messages_of_qos_1_wait_for_the_clients_window():
    house = House(queued=3)
    for number in range(20):
        house.publish(f"t/{number}", b"%d" % number, qos=1, retain=True)
    client = house.client(version=5, properties={"receive_maximum": 2})
    client.subscribe("t/#", qos=1)
    got: list[bytes] = []
    while messages := client.got_messages():
        for message in messages:
            got.append(message.payload)
            client.send_bytes(b"\x40\x02" + message.packet_id.to_bytes(2, "big"))
    assert got == [b"%d" % number for number in range(20)]


def test_b10_a_subscription_that_has_ended_gets_no_more_of_them():
    house = House(write_bytes=4000)
    for number in range(100):
        house.publish(f"t/{number}", bytes(90), retain=True)
    client = house.client()
    client.is_stuck = True
    client.send_bytes(b"\x82\x08\0\1\0\3t/#\0")
    client.send_bytes(b"\xa2\x07\0\2\0\3t/#")
    client.is_stuck = False
    house.core.wake(client)
    house.settle()
    assert len(client.got()) < 20
    assert house.core.sessions["c"].backlog is None


# -- B21: message expiry


def expiring(seconds: int) -> dict[str, int]:
    return {"message_expiry_s": seconds}


@pytest.mark.parametrize(("after_s", "left_s"), [(0, 60), (20.4, 40), (59.9, 1)])
def test_b21_a_retained_message_says_how_long_it_still_lives(
    after_s: float, left_s: int
):
    house = House()
    house.client("p", 5).publish("a", retain=True, properties=expiring(60))
    house.pass_time(after_s)
    (message,) = house.subscriber("a", version=5).got_messages()
    assert message.properties is not None
    assert message.properties.message_expiry_s == left_s


@versions
def test_b21_an_expired_retained_message_is_never_delivered(version: int):
    house = House()
    house.client("p", 5).publish("a", retain=True, properties=expiring(60))
    house.pass_time(60)
    assert not house.subscriber("a", version=version).got()
    assert len(house.core.retained) == 0


def test_b21_a_queued_message_says_how_long_it_still_lives():
    house = House()
    properties = {"session_expiry_s": 1000}
    house.subscriber("a", qos=1, version=5, properties=properties).lose()
    house.client("p", 5).publish("a", qos=1, properties=expiring(60))
    house.pass_time(20)
    back = house.client("subscriber", 5, clean_start=False)
    (message,) = back.got_messages()
    assert message.properties is not None
    assert message.properties.message_expiry_s == 40


def test_b21_a_queued_message_that_has_expired_is_dropped_and_counted():
    house = House()
    properties = {"session_expiry_s": 1000}
    house.subscriber("a", qos=1, version=5, properties=properties).lose()
    publisher = house.client("p", 5)
    publisher.publish("a", b"short", qos=1, properties=expiring(5))
    publisher.publish("a", b"long", qos=1, properties=expiring(50))
    house.pass_time(5)
    session = house.core.sessions["subscriber"]
    assert [flow.payload for flow in session.outgoing.waiting] == [b"long"]
    assert house.core.lost == 1
    back = house.client("subscriber", 5, clean_start=False)
    assert back.got_payloads() == [b"long"]


def test_b21_a_message_that_waits_for_the_clients_window_expires_too():
    house = House()
    client = house.subscriber("a", qos=1, version=5, properties={"receive_maximum": 1})
    publisher = house.client("p", 5)
    publisher.publish("a", b"sent", qos=1)
    publisher.publish("a", b"expires", qos=1, properties=expiring(5))
    publisher.publish("a", b"stays", qos=1, properties=expiring(50))
    house.now += 10  # nothing has looked at the queue meanwhile
    client.got()
    client.send_bytes(b"\x40\x02\0\1")
    (message,) = client.got_messages()
    assert message.payload == b"stays"
    assert message.properties is not None
    assert message.properties.message_expiry_s == 40


def test_b21_a_live_message_keeps_its_expiry_as_published():
    house = House()
    subscriber = house.subscriber("a", version=5)
    house.client("p", 5).publish("a", properties=expiring(60))
    (message,) = subscriber.got_messages()
    assert message.properties is not None
    assert message.properties.message_expiry_s == 60


# -- the tree of retained messages

levels = st.sampled_from(["a", "b", "", "$c"])
names = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = st.builds(
    lambda parts, rest: "/".join(parts) + rest,
    st.lists(st.sampled_from(["a", "b", "", "$c", "+"]), min_size=1, max_size=4),
    st.sampled_from(["", "/#"]),
).filter(bool) | st.just("#")


@given(st.lists(names), st.lists(names), filters)
def test_b10_a_filter_finds_what_matches_it_and_nothing_else(
    kept: list[str], erased: list[str], topic_filter: str
):
    ledger = Ledger(1_000_000)
    store = RetainedStore(max_items=1000, max_bytes=1_000_000, ledger=ledger)
    for name in kept:
        store.remove(name)
        store.add(Retained(name, b"x", 0, None, None))
    assert ledger.held_bytes == store.held_bytes
    for name in erased:
        assert store.remove(name) == (name in kept)
        kept = [one for one in kept if one != name]
    alive = set(kept)
    assert len(store) == len(alive)
    assert {item.topic for item in store} == alive
    expected = {name for name in alive if matches(topic_filter, name)}
    found = [item.topic for item in store.walk(topic_filter) if item]
    assert set(found) == expected
    assert len(found) == len(expected)
    for name in alive:
        assert store.get(name) is not None
        store.remove(name)
    assert not any(store.walk("#"))
    assert list(store) == []
    assert ledger.held_bytes == store.held_bytes == 0


def test_b10_a_request_for_retained_messages_names_what_it_subscribes():
    house = House()
    house.publish("a", retain=True)
    client = house.client(version=5)
    requests = [SubscriptionRequest(topic_filter=name) for name in ("a", "b", "#")]
    assert client.subscribe_to(*requests, identifier=9) == [0, 0, 0]
    messages = client.got_messages()
    assert [m.topic for m in messages] == ["a", "a"]
    assert all(m.properties and m.properties.subscription_ids for m in messages)
