"""What is much work is done in portions; counted, not timed."""

from __future__ import annotations

import pytest

from structiot.mqtt.broker.core.work import PORTION
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Message,
    Pingreq,
    Puback,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
    Will,
)
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, ScriptedClient, lasting

# A step may go beyond its portion by what cannot be divided.
SLACK = 1500


def subscribing(*filters: str, packet_id: int = 1) -> Subscribe:
    requests = tuple(SubscriptionRequest(topic_filter=name) for name in filters)
    return Subscribe(packet_id=packet_id, subscriptions=requests)


def messages_of(client: ScriptedClient) -> list[Message]:
    client.house.core.flush()
    return [packet for packet in client.got() if isinstance(packet, Message)]


def steps_of(client: ScriptedClient, data: bytes, most: int = 1000) -> list[int]:
    """Have data dealt with step by step; give how much work each was."""
    house, steps = client.house, []
    core = house.core
    while data or client.is_behind:
        before = core.work.done
        assert core.receive(client, data, house.now, most=most) is None
        data = b""
        steps.append(core.work.done - before)
        core.flush()
    while core.work:
        before = core.work.done
        core.work_off(house.now, most=most)
        steps.append(core.work.done - before)
        core.flush()
    return steps


def test_a_thousand_filters_are_filed_in_steps():
    house = House()
    client = house.client()
    names = [f"a/{number}" for number in range(1000)]
    steps = steps_of(client, encode(subscribing(*names), 4))
    assert len(steps) > 10
    assert max(steps) < 1000 + SLACK
    (suback,) = client.got()
    assert isinstance(suback, Suback)
    assert suback.reasons == (0,) * 1000
    assert len(house.core.tree) == 1000
    data = encode(Unsubscribe(packet_id=2, topic_filters=tuple(names)), 4)
    steps = steps_of(client, data)
    assert len(steps) > 10
    assert max(steps) < 1000 + SLACK
    assert len(house.core.tree) == 0


def test_what_comes_behind_a_long_packet_waits_for_it():
    house = House()
    client = house.client()
    names = [f"a/{number}" for number in range(500)]
    data = encode(subscribing(*names), 4) + encode(Message("a/499", b"x"), 4)
    steps_of(client, data + encode(Pingreq(), 4))
    kinds = [type(packet).__name__ for packet in client.got()]
    assert kinds == ["Suback", "Message", "Pingresp"]


def test_a_long_packet_is_answered_before_anything_retained_is_told():
    house = House()
    names = [f"a/{number}" for number in range(1000)]
    for name in names:
        house.publish(name, retain=True)
    client = house.client()
    steps_of(client, encode(subscribing(*names), 4))
    suback, *told = client.got()
    assert isinstance(suback, Suback)
    assert [type(packet) for packet in told] == [Message] * 1000


def test_thousands_of_small_packets_of_one_read_are_dealt_with_in_steps():
    house = House()
    client = house.subscriber("a")
    steps = steps_of(client, encode(Message("a", b"x"), 4) * 2000)
    assert len(steps) > 2
    assert len(client.got_messages()) == 2000


def test_messages_of_many_properties_are_dealt_with_in_steps():
    house = House()
    client = house.client(version=5)
    pairs = PublishProperties(user_properties=(("", ""),) * 990)
    steps = steps_of(client, encode(Message("a", b"x", properties=pairs), 5) * 20, 4000)
    assert len(steps) > 5
    assert max(steps) < 4000 + 2 * 990
    assert house.core.received == 20


def test_what_was_read_and_not_dealt_with_is_known_with_its_properties():
    house = House()
    client = house.client(version=5)
    pairs = PublishProperties(user_properties=(("", ""),) * 990)
    data = encode(Message("a", b"x", properties=pairs), 5)
    known = []
    assert house.core.receive(client, data * 3, house.now, most=1) is None
    while client.is_behind:
        known.append(client.protocol.undealt_bytes)
        assert house.core.receive(client, b"", house.now, most=1) is None
    # They were read at once, and what they hold in all is let go of with the last.
    assert len(known) == 3
    assert all(3 * 990 * 192 < size < 3 * 990 * 210 for size in known[:2])
    assert known[2] == 0


@pytest.mark.parametrize("qos", [0, 1])
def test_a_message_for_very_many_is_given_out_in_steps(qos: int):
    house = House()
    everybody = [house.subscriber("a", qos=qos, client_id=f"s{n}") for n in range(1200)]
    publisher = house.client("publisher")
    message = Message("a", b"x", qos=1, packet_id=1)
    after = Message("a", b"y", qos=1, packet_id=2)
    steps = steps_of(publisher, encode(message, 4) + encode(after, 4))
    assert len(steps) > 5
    assert max(steps) < 1000 + SLACK
    assert publisher.got() == [Puback(packet_id=1), Puback(packet_id=2)]
    for one in everybody:
        assert one.got_payloads() == [b"x", b"y"]


def test_a_message_on_its_way_to_many_is_not_lost_with_its_publisher():
    house = House()
    everybody = [house.subscriber("a", client_id=f"s{n}") for n in range(1200)]
    publisher = house.client("publisher")
    core = house.core
    core.receive(publisher, encode(Message("a", b"x", qos=1, packet_id=1), 4), 0.0)
    assert publisher.is_behind
    everybody[-1].lose()
    publisher.lose()
    house.settle()
    assert all(one.got_payloads() == [b"x"] for one in everybody[:-1])


def test_a_will_for_many_is_given_out_in_steps():
    house = House()
    everybody = [house.subscriber("w", client_id=f"s{n}") for n in range(1200)]
    mortal = house.client("mortal", will=Will(topic="w", payload=b"gone"))
    before = house.core.work.done
    house.core.left(mortal, house.now)
    assert house.core.work.done - before < SLACK
    house.settle()
    assert all(one.got_payloads() == [b"gone"] for one in everybody)


def test_retained_messages_are_told_in_steps_the_clients_in_turn():
    house = House()
    for number in range(300):
        house.publish(f"t/{number}", b"x", retain=True)
    clients = [house.client(f"c{number}") for number in range(10)]
    core = house.core
    for client in clients:
        core.receive(client, encode(subscribing("t/#"), 4), house.now)
    before = core.work.done
    core.work_off(house.now)
    assert core.work.done - before < PORTION + SLACK
    core.flush()
    counts = [len(client.got()) for client in clients]
    assert max(counts) - min(counts) < 70
    house.settle()
    for client, count in zip(clients, counts, strict=True):
        assert count + len(client.got()) == 301


def test_a_walk_that_finds_nothing_is_work_too():
    house = House()
    for number in range(2000):
        house.publish(f"t/{number}/x", b"x", retain=True)
    client = house.client()
    steps = steps_of(client, encode(subscribing(*["+/+/y"] * 5), 4))
    assert sum(steps) > 2000
    assert max(steps) < 1000 + SLACK


def test_what_is_published_while_retained_messages_are_told_comes_once():
    """The newest of each topic arrives, the last one last, and none twice."""
    house = House()
    for number in range(200):
        house.publish(f"t/{number}", b"old", retain=True)
    client = house.client()
    core = house.core
    core.receive(client, encode(subscribing("t/#"), 4), house.now)
    core.work_off(house.now, most=1000)
    told = [m.topic for m in messages_of(client)]
    assert 0 < len(told) < 150
    core.publish(Message("t/0", b"new", retain=True), house.now)
    core.publish(Message("t/199", b"new", retain=True), house.now)
    core.publish(Message("t/new", b"new", retain=True), house.now)
    house.settle()
    messages = messages_of(client)
    assert [m.topic for m in messages if m.payload == b"new"] == [
        "t/0",
        "t/199",
        "t/new",
    ]
    assert not any(m.retain for m in messages if m.payload == b"new")
    old = told + [m.topic for m in messages if m.payload == b"old"]
    assert old == [f"t/{number}" for number in range(199)]


def test_nobody_who_has_gone_is_told_of_retained_messages():
    house = House()
    for number in range(1000):
        house.publish(f"t/{number}", b"x", retain=True)
    client = house.client()
    house.core.receive(client, encode(subscribing("t/#"), 4), house.now)
    assert house.core.work
    client.lose()
    before = house.core.work.done
    house.settle()
    assert not house.core.work
    assert house.core.work.done - before < 100


def test_a_session_of_many_filters_ends_at_once_and_is_cleared_away_in_steps():
    house = House()
    client = house.client("mortal", **lasting(5, 10), version=5)
    for start in range(0, 3000, 1000):
        client.subscribe(*[f"a/{number}" for number in range(start, start + 1000)])
    client.lose()
    house.now += 11
    before = house.core.work.done
    house.core.tick(house.now)
    assert house.core.work.done - before < SLACK
    assert "mortal" not in house.core.sessions
    assert house.publish("a/2999") == 0
    assert len(house.core.tree) == 0


def test_many_sessions_that_are_due_at_once_are_looked_at_in_steps():
    house = House()
    for number in range(200):
        client = house.client(f"mortal{number}", **lasting(5, 10), version=5)
        client.subscribe(*[f"{number}/{n}" for n in range(20)])
        client.lose()
    house.now += 11
    before = house.core.work.done
    house.core.tick(house.now)
    assert house.core.work.done - before < PORTION + SLACK
    for _ in range(10):
        house.pass_time(0)
    assert not house.core.sessions
    assert len(house.core.tree) == 0


def test_sessions_end_in_steps_when_clients_hold_too_much():
    house = House(all_bytes=28_000_000)
    core = house.core
    while core.ledger.held_bytes < 24_000_000:
        house.client(f"c{len(core.away)}", **lasting(4)).lose()
    away, before = len(core.away), core.work.done
    core.publish(Message("a", bytes(1_000_000), retain=True), house.now)
    crowded = [core.ledger.is_crowded]
    assert core.work
    assert core.work.done - before < PORTION + SLACK
    house.settle()
    crowded.append(core.ledger.is_crowded)
    assert crowded == [True, False]
    assert len(core.away) < away - 1000


def test_more_than_a_hundred_identifiers_come_with_copies():
    house = House()
    client = house.client(version=5)
    for number in range(1, 251):
        name = "/".join("+" if number >> bit & 1 else "x" for bit in range(8))
        client.subscribe(name, identifier=number)
    client.got()
    house.publish("x/x/x/x/x/x/x/x")
    ids = [
        message.properties.subscription_ids
        for message in client.got_messages()
        if message.properties is not None
    ]
    assert [len(some) for some in ids] == [50, 100, 100]
    assert sorted(sum(ids, ())) == list(range(1, 251))


@pytest.mark.parametrize("version", [4, 5])
def test_a_packet_of_too_many_filters_ends_the_connection(version: int):
    house = House(packet_filters=10)
    for packet in (
        subscribing(*"abcdefghijk"),
        Unsubscribe(packet_id=1, topic_filters=tuple("abcdefghijk")),
    ):
        client = house.client(version=version)
        client.send(packet)
        assert client.is_ended
        codes = [int(goodbye.reason) for goodbye in client.got()]  # type: ignore[union-attr]
        assert codes == ([ReasonCode.QUOTA_EXCEEDED] if version == 5 else [])


def test_a_packet_of_too_many_properties_ends_the_connection():
    house = House(packet_properties=10)
    client = house.client(version=5)
    properties = PublishProperties(user_properties=(("", ""),) * 11)
    client.send(Message("a", b"x", properties=properties))
    assert client.is_ended
    (goodbye,) = client.got()
    assert int(goodbye.reason) == ReasonCode.QUOTA_EXCEEDED  # type: ignore[union-attr]


def test_a_long_packet_that_is_no_publish_is_refused_from_its_header():
    house = House(connect_bytes=16_386)
    client = house.client(version=5)
    client.send_bytes(b"\x82\xf0\xff\x01")
    assert client.is_ended
    (goodbye,) = client.got()
    assert int(goodbye.reason) == ReasonCode.QUOTA_EXCEEDED  # type: ignore[union-attr]
    publisher = house.client("publisher")
    publisher.publish("a", bytes(100_000))
    assert not publisher.is_ended


def test_refusals_are_told_in_the_log(caplog: pytest.LogCaptureFixture):
    house = House(packet_filters=1)
    with caplog.at_level("INFO"):
        house.client().send(subscribing("a", "b"))
    assert "SUBSCRIBE with more than 1 topic filters" in caplog.text
