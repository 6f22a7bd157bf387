"""Bounds on everything that a client can cost: row B28."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterable

import pytest

from structiot.mqtt.broker.memory_accounting import (
    CONNECTION_BYTES,
    FLOW_BYTES,
    SESSION_BYTES,
    delivery_bytes,
)
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Message,
    Puback,
    Pubcomp,
    Pubrec,
)
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, lasting

versions = pytest.mark.parametrize("version", [4, 5])


def test_b28_subscriptions_of_one_client_are_bounded():
    house = House(subscriptions=2)
    client = house.client(version=5)
    assert client.subscribe("a", "b", "c") == [0, 0, ReasonCode.QUOTA_EXCEEDED]
    assert client.subscribe("a", qos=1) == [1]
    assert client.unsubscribe("b") == [0]
    assert client.subscribe("c") == [0]


def test_b28_what_the_subscriptions_of_one_client_weigh_is_bounded():
    house = House(subscription_bytes=4000)
    client = house.client(version=5)
    full = ReasonCode.QUOTA_EXCEEDED
    assert client.subscribe("x" * 2000, "a", "b/c/d/e", "b") == [0, 0, full, full]
    assert client.subscribe("a", qos=1) == [1]
    assert client.unsubscribe("x" * 2000) == [0]
    assert client.subscribe("b/c/d/e", "b" * 3000) == [0, full]
    client.unsubscribe("a", "b/c/d/e")
    assert client.session is not None
    assert client.session.subscribed_bytes == 0


@versions
def test_b28_topics_are_bounded_in_depth(version: int):
    house = House(topic_levels=3)
    client = house.client(version=version)
    assert client.subscribe("a/b/c") == [0]
    refused = ReasonCode.TOPIC_FILTER_INVALID if version == 5 else 0x80
    assert client.subscribe("a/b/c/d") == [refused]
    client.subscribe("#")
    reason = client.deliver("a/b/c/d", qos=1)
    assert reason == (ReasonCode.TOPIC_NAME_INVALID if version == 5 else 0)
    assert not client.got()


def test_b28_sessions_that_are_away_are_bounded_and_the_longest_away_ends():
    house = House(sessions=2)
    clients = [house.client(name, 5, **lasting(5)) for name in "abc"]
    for index in (1, 0, 2):
        clients[index].lose()
    assert house.core.sessions.keys() == {"a", "c"}


def test_b28_a_reader_that_takes_nothing_loses_its_own_qos_0_only():
    house = House(write_bytes=2000)
    stuck = house.subscriber("a", client_id="stuck")
    healthy = house.subscriber("a", client_id="healthy")
    stuck.is_stuck = True
    for _ in range(100):
        house.publish("a", bytes(95))
    assert len(stuck.protocol.out) < 2200
    assert len(healthy.got_messages()) == 100
    session = house.core.sessions["stuck"]
    assert session.dropped == house.core.lost == 100 - len(stuck.protocol.out) // 100
    stuck.is_stuck = False
    house.core.wake(stuck)
    house.publish("b")
    assert len(stuck.got_messages()) == 100 - session.dropped


def test_b28_a_reader_that_takes_nothing_does_not_fill_the_memory_with_qos_1():
    house = House(write_bytes=4000, queued=20)
    stuck = house.subscriber("a", qos=1)
    stuck.is_stuck = True
    for _ in range(100):
        house.publish("a", bytes(95), qos=1)
    assert len(stuck.protocol.out) < 1200
    outgoing = house.core.sessions["subscriber"].outgoing
    assert len(outgoing.waiting) == 20
    size = delivery_bytes("a", bytes(95), None)
    assert outgoing.held_bytes == size * (20 + len(outgoing.inflight))


def test_b28_a_client_that_never_acknowledges_does_not_fill_the_memory():
    ten = 10 * delivery_bytes("a", bytes(1000), None)
    house = House(queued_bytes=ten)
    client = house.subscriber("a", qos=1)
    for _ in range(100):
        house.publish("a", bytes(1000), qos=1)
    assert len(client.got_messages()) == 10
    assert house.core.sessions["subscriber"].outgoing.held_bytes == ten
    assert house.core.lost == 90


def test_b28_properties_that_wait_are_bounded_like_payloads():
    properties = {"user_properties": (("key", "v" * 900),)}
    pairs = properties["user_properties"]
    size = delivery_bytes("a", b"", PublishProperties(user_properties=pairs))
    house = House(queued_bytes=9 * size)
    client = house.subscriber("a", qos=2, version=5, properties={"receive_maximum": 1})
    publisher = house.client("publisher", 5)
    for number in range(20):
        publisher.publish("a", b"", qos=2, packet_id=number + 1, properties=properties)
    outgoing = house.core.sessions["subscriber"].outgoing
    assert len(outgoing) == 9
    assert outgoing.held_bytes == 9 * size
    client.send(Pubrec(packet_id=1))
    assert outgoing.inflight[1].properties is None
    assert outgoing.held_bytes == 8 * size + FLOW_BYTES
    for packet_id in range(1, 10):
        client.send(Pubrec(packet_id=packet_id), Pubcomp(packet_id=packet_id))
    assert (len(outgoing), outgoing.held_bytes) == (0, 0)


def test_b28_what_all_clients_hold_is_bounded_and_who_holds_little_gets_more():
    house = House(all_bytes=1_500_000)
    hoarders = [
        house.subscriber("a", qos=1, client_id=f"hoarder{number}", **lasting(4))
        for number in range(20)
    ]
    for hoarder in hoarders[::2]:
        hoarder.lose()
    for _ in range(50):
        house.publish("a", bytes(10_000), qos=1)
    ledger = house.core.ledger
    assert 1_125_000 <= ledger.held_bytes < 1_500_000
    reader = house.subscriber("b", qos=1, client_id="reader")
    lost = house.core.lost
    for _ in range(50):
        house.publish("b", bytes(10_000), qos=1)
        (message,) = reader.got_messages()
        reader.send(Puback(packet_id=message.packet_id))
    assert house.core.lost == lost
    for hoarder in hoarders[1::2]:
        for message in hoarder.got_messages():
            hoarder.send(Puback(packet_id=message.packet_id))
    for number in range(0, 20, 2):
        house.client(f"hoarder{number}", clean_start=True)
    idle_bytes = SESSION_BYTES + CONNECTION_BYTES
    assert ledger.held_bytes < 22 * (idle_bytes + 1000)


def test_b28_topics_that_nobody_will_see_again_are_not_remembered():
    house = House()
    reader = house.subscriber("#", qos=1)

    def cost_bytes(topics: Iterable[str]) -> int:
        tracemalloc.start()
        try:
            for topic in topics:
                house.publish(topic)
                reader.got_messages()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    # Long ones are made-up ones; ordinary ones are remembered, to be found quickly.
    cost_bytes(["warm"])
    assert cost_bytes(f"{number}{'x' * 300}" for number in range(500)) < 20_000
    assert cost_bytes(str(number) for number in range(500)) > 50_000


def test_b28_publishers_wait_for_a_slow_reader_no_longer_than_half_a_second():
    house = House(write_bytes=400)
    crowd = house.core.slow_consumers
    slow = house.subscriber("a")
    slow.is_stuck = True
    house.publish("a", bytes(200))
    assert crowd.patient_until(house.now) is None  # nothing is lost yet
    house.publish("a", bytes(200))
    assert crowd.patient_until(house.now) == house.now + 0.5
    house.pass_time(0.5)
    house.publish("a", bytes(200))
    assert crowd
    assert crowd.patient_until(house.now) is None


@pytest.mark.parametrize("size", [99, 100, 101])
def test_b28_a_message_that_finds_the_buffer_just_full_is_not_forgotten(size: int):
    house = House(write_bytes=400)
    slow = house.subscriber("a", qos=1)
    slow.is_stuck = True
    house.publish("a", bytes(size - 5))
    assert len(slow.protocol.out) == size
    for _ in range(2):
        house.publish("a", bytes(95), qos=1)
    slow.is_stuck = False
    house.core.wake(slow)
    house.settle()
    assert [m.qos for m in slow.got_messages()] == [0, 1, 1]


@pytest.mark.parametrize("qos", [0, 1])
def test_b28_who_takes_all_at_once_is_not_slow_however_much_comes(qos: int):
    house = House(write_bytes=400)
    reader = house.subscriber("a", qos=qos)
    data = b"".join(
        encode(Message("a", bytes(200), qos=qos, packet_id=n if qos else 0), 4)
        for n in range(1, 21)
    )
    house.client("publisher").send_bytes(data)
    assert len(reader.got_messages()) == 20
    assert house.core.slow_consumers.asked == 0
    assert house.core.lost == 0


def test_b28_patience_comes_back_slowly():
    house = House(write_bytes=400)
    crowd = house.core.slow_consumers
    slow = house.subscriber("a")
    for waited_s, calm_s, patience_s in ((0.4, 2.0, 0.3), (0.3, 0.5, 0.05)):
        slow.is_stuck = True
        house.publish("a", bytes(200))
        house.publish("a", bytes(200))
        house.pass_time(waited_s)
        slow.is_stuck = False
        house.core.wake(slow)
        house.pass_time(0)
        assert not crowd
        house.pass_time(calm_s)
        slow.is_stuck = True
        house.publish("a", bytes(200))
        house.publish("a", bytes(200))
        until = crowd.patient_until(house.now)
        assert until == pytest.approx(house.now + patience_s)
        slow.is_stuck = False
        house.core.wake(slow)
        house.pass_time(0)


def test_b28_many_that_take_turns_are_not_waited_for_all_the_time():
    house = House()
    crowd = house.core.slow_consumers
    slow = [house.client(f"slow{number}") for number in range(30)]
    turns, waited_s = itertools.cycle(slow), 0.0
    present = next(turns)
    for _ in range(6000):
        if crowd.patient_until(house.now) is None:
            crowd.remove(present, house.now)
            present = next(turns)
            crowd.add(present, house.now)
        if (until := crowd.patient_until(house.now)) is not None:
            waited_s += min(0.01, until - house.now)
        house.now += 0.01
    assert 60 * 0.15 < waited_s < 2 + 60 * 0.2


def test_b28_a_crowded_client_that_goes_leaves_no_crowd():
    house = House(write_bytes=400)
    slow = house.subscriber("a")
    slow.is_stuck = True
    for _ in range(3):
        house.publish("a", bytes(200))
    assert house.core.slow_consumers
    slow.lose()
    assert not house.core.slow_consumers


def test_b28_alarms_of_sessions_that_have_ended_are_cleared_away():
    house = House()
    for _ in range(5000):
        house.client(keep_alive_s=65_535).lose()
    assert len(house.core.deadlines) <= 1000
