"""What is written down, and what comes back: row B30 of the conformance table."""

from __future__ import annotations

from random import Random

import pytest

from structiot.mqtt.broker.core.records import (
    properties_from,
    properties_to,
    will_from,
    will_to,
)
from structiot.mqtt.wire.messages import (
    Message,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Will,
)
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from tests.wire.broker.clients import lasting
from tests.wire.broker.histories import NAMES, STEPS, WEIGHTS, History
from tests.wire.broker.paper import OFFSET_S, KeptHouse

versions = pytest.mark.parametrize("version", [4, 5])


@versions
def test_b30_a_lasting_session_is_there_again_after_a_kill(version: int):
    house = KeptHouse()
    client = house.client("c", version, **lasting(version), username="alice")
    client.subscribe("a/+", qos=2)
    client.subscribe("$share/g/b")
    house.commit()
    house.restart()
    (session,) = house.core.sessions.values()
    assert (session.client_id, session.username) == ("c", "alice")
    back = house.client("c", version, **lasting(version), username="alice")
    assert back.welcome.session_present
    house.publish("a/x", b"live")
    house.publish("b", b"shared")
    assert back.got_payloads() == [b"live", b"shared"]


@versions
def test_b30_a_session_that_is_not_to_last_is_not_written_down(version: int):
    house = KeptHouse()
    house.subscriber("a", qos=1, version=version)
    house.publish("a", qos=1)
    house.commit()
    assert house.paper.sessions == house.paper.messages == {}


@versions
def test_b30_what_waited_and_what_was_under_way_goes_on(version: int):
    house = KeptHouse(inflight=3)
    client = house.subscriber("a", qos=2, version=version, **lasting(version))
    for number in range(5):
        house.publish("a", b"%d" % number, qos=2)
    client.got()
    client.send(Pubrec(packet_id=2))
    assert client.got() == [Pubrel(packet_id=2)]
    house.commit()
    house.restart()
    session = house.core.sessions["subscriber"]
    other_bytes = session.own_bytes + session.subscribed_bytes
    expected = session.outgoing.held_bytes + other_bytes
    assert house.core.ledger.held_bytes == expected
    assert session.outgoing.held_bytes > 0
    back = house.client("subscriber", version, **lasting(version))
    released, *messages = back.got()
    assert released == Pubrel(packet_id=2)
    assert [
        (m.packet_id, m.payload, m.dup) for m in messages if isinstance(m, Message)
    ] == [(1, b"0", True), (3, b"2", True)]
    back.send(Pubcomp(packet_id=2))
    (fresh,) = back.got_messages()
    assert (fresh.payload, fresh.dup) == (b"3", False)
    assert fresh.packet_id not in {1, 3}


@versions
def test_b30_a_message_that_was_taken_at_qos_2_is_known_after_a_kill(version: int):
    house = KeptHouse()
    house.subscriber("a", qos=1, **lasting(4)).lose()
    client = house.client("p", version, **lasting(version))
    client.publish("a", b"once", qos=2, packet_id=7)
    house.commit()
    house.restart()
    back = house.client("p", version, **lasting(version))
    back.send(Message("a", b"once", qos=2, packet_id=7, dup=True), Pubrel(packet_id=7))
    assert back.got() == [Pubrec(packet_id=7), Pubcomp(packet_id=7)]
    subscriber = house.client("subscriber", **lasting(4))
    assert subscriber.got_payloads() == [b"once"]
    house.commit()
    assert house.paper.received == {}


def test_b30_retained_messages_come_back_but_not_those_of_the_broker_itself():
    house = KeptHouse()
    house.publish("a", b"1", qos=1, retain=True, properties=None)
    house.publish("b", b"2", retain=True)
    house.publish("$SYS/x", b"3", retain=True)
    house.commit()
    house.publish("b", b"", retain=True)
    house.commit()
    house.restart()
    (message,) = house.subscriber("#", "$SYS/#", qos=1).got_messages()
    assert (message.topic, message.payload, message.qos) == ("a", b"1", 1)


def test_b30_expiries_go_on_in_the_next_process():
    house = KeptHouse()
    house.subscriber("a", qos=1, version=5, **lasting(5, 100)).lose()
    publisher = house.client("p", 5)
    properties = {"message_expiry_s": 30}
    publisher.publish("a", b"queued", qos=1, retain=True, properties=properties)
    house.commit()
    house.now += 20
    house.restart()
    session = house.core.sessions["subscriber"]
    assert session.expires_at == 1100.0
    back = house.client("subscriber", 5, clean_start=False)
    late = house.subscriber("a", client_id="late", version=5)
    for client in (back, late):
        (message,) = client.got_messages()
        assert message.properties is not None
        assert message.properties.message_expiry_s == 10


def test_b30_what_has_expired_between_two_processes_is_gone():
    house = KeptHouse()
    house.subscriber("a", qos=1, version=5, **lasting(5, 100)).lose()
    house.commit()
    house.now += 100
    house.restart()
    assert house.core.sessions == {}
    house.commit()
    assert not house.paper.sessions
    assert not house.paper.subscriptions


def test_b30_the_will_of_a_client_that_was_connected_is_published_after_a_kill():
    house = KeptHouse()
    house.subscriber("will", qos=1, **lasting(4)).lose()
    will = Will(topic="will", payload=b"gone", qos=1)
    house.client("mortal", 5, will=will, **lasting(5))
    house.commit()
    house.restart()
    assert house.client("subscriber", **lasting(4)).got_payloads() == [b"gone"]
    house.commit()
    house.restart()
    assert house.client("subscriber", **lasting(4)).got_payloads() == [b"gone"]
    assert house.core.sessions["mortal"].will is None


def test_b30_a_delayed_will_waits_on_in_the_next_process():
    house = KeptHouse()
    listener = house.subscriber("will", qos=1, **lasting(4))
    properties = WillProperties(will_delay_s=50)
    will = Will(topic="will", payload=b"gone", properties=properties)
    house.client("mortal", 5, will=will, **lasting(5, 100)).lose()
    house.commit()
    house.now += 20
    house.restart()
    listener = house.client("subscriber", **lasting(4))
    assert house.wait_until_due() == 30
    assert listener.got_payloads() == [b"gone"]


def test_b30_a_message_for_many_is_written_once_and_removed_with_the_last():
    house = KeptHouse()
    clients = [
        house.subscriber("a", qos=1, client_id=f"c{number}", **lasting(4))
        for number in range(10)
    ]
    house.publish("a", bytes(1000), qos=1)
    house.commit()
    assert len(house.paper.messages) == 1
    assert len(house.paper.deliveries) == 10
    for client in clients:
        client.send(Puback(packet_id=1))
    house.commit()
    assert house.paper.messages == house.paper.deliveries == {}


def test_b30_what_ends_before_it_is_written_down_costs_nothing():
    house = KeptHouse()
    client = house.subscriber("a", qos=1, **lasting(4))
    house.commit()
    house.publish("a", qos=1)
    client.send(Puback(packet_id=1))
    batch = house.journal.cut(OFFSET_S).finish()
    assert not batch.deliveries
    assert not batch.messages
    assert not batch.ended_deliveries
    assert not batch.ended_messages


def test_b30_a_clean_start_leaves_nothing_of_the_session_before():
    house = KeptHouse()
    first = house.subscriber("a", qos=2, **lasting(4))
    house.publish("a", qos=2)
    first.publish("b", qos=2)
    house.commit()
    house.client("subscriber", clean_start=True).lose()
    house.commit()
    paper = house.paper
    assert not any((paper.sessions, paper.subscriptions, paper.deliveries))
    assert not any((paper.messages, paper.received))


def test_b30_bodies_that_nobody_needs_are_cleared_at_the_next_start():
    house = KeptHouse()
    house.subscriber("a", qos=2, **lasting(4))
    house.publish("a", qos=2)
    house.commit()
    house.paper.deliveries.clear()
    house.restart()
    house.commit()
    assert house.paper.messages == {}


def test_b30_a_will_and_properties_read_back_as_they_were():
    properties = PublishProperties(
        payload_format=1,
        message_expiry_s=5,
        response_topic="r",
        correlation_data=b"\0",
        content_type="t",
        subscription_ids=(1, 200),
        user_properties=(("a", "1"), ("a", "2")),
    )
    assert properties_from(properties_to(properties)) == properties
    assert properties_from(properties_to(None)) is None
    will = Will(
        topic="w",
        payload=b"\0\xff",
        qos=2,
        retain=True,
        properties=WillProperties(will_delay_s=7, user_properties=(("a", "b"),)),
    )
    assert will_from(will_to(will)) == will
    assert will_from(will_to(None)) is None


@pytest.mark.parametrize("seed", range(60))
def test_b30_whatever_happens_the_store_is_never_behind_what_was_committed(seed: int):
    chance = Random(seed)
    run = History()
    for what in chance.choices(tuple(STEPS), WEIGHTS, k=60):
        run.step(what, chance.choice(NAMES), chance.choice(STEPS[what]))
        if chance.random() < 0.4:
            run.house.commit()
            run.house.check()
