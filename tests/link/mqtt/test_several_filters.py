"""Subscriptions of several filters: one SUBSCRIBE, one stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from structiot.errors import UsageError
from structiot.mqtt import PublishProperties, ReasonCode, SubscribeRefused
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Message,
    Puback,
    Suback,
    Subscribe,
    Unsubscribe,
)
from structiot.mqtt.wire.properties import ConnackProperties
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, filters, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

BOTH = pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])


def refuse(broker: FakeBroker, *names: str) -> None:
    """Have the broker refuse these filters and grant the others."""

    def answer(_: object, packet: Any) -> list[Suback]:
        wanted = packet.subscriptions
        codes = [0x80 if item.topic_filter in names else item.qos for item in wanted]
        reasons = tuple(ReasonCode(code) for code in codes)
        return [Suback(packet_id=packet.packet_id, reasons=reasons)]

    broker.answer(Subscribe, answer)


def given_up(broker: FakeBroker) -> list[tuple[str, ...]]:
    return [packet.topic_filters for packet in broker.connection.of(Unsubscribe)]


def ids(broker: FakeBroker) -> list[int | None]:
    packets = broker.connection.of(Subscribe)
    return [packet.properties.subscription_id for packet in packets]


@BOTH
async def test_they_are_asked_for_and_given_up_in_one_packet_each(
    broker, protocol: str
):
    async with open_client(broker, protocol=protocol) as client:
        async with client.subscription({"a/#": 1, "b": 0, "$share/g/c": 2}) as messages:
            await broker.connection.send(
                Message("a/x", b"1", qos=1, packet_id=1),
                Message("b", b"2"),
                Message("c", b"3", qos=2, packet_id=2),
            )
            assert await take(messages, 3) == [b"1", b"2", b"3"]
            assert messages.granted == {"a/#": 1, "b": 0, "$share/g/c": 2}
            assert (messages.qos, messages.granted_qos) == (2, 0)
            assert messages.topic == "a/# and 2 more"
            with pytest.raises(UsageError, match="which topic"):
                await messages.publish(None, b"x")
        assert filters(broker.connection) == [[("a/#", 1), ("b", 0), ("$share/g/c", 2)]]
        assert given_up(broker) == [("a/#", "b", "$share/g/c")]


@BOTH
async def test_a_hundred_stand_in_a_packet(broker, protocol: str):
    wanted = {f"t/{number}": 0 for number in range(250)}
    async with open_client(broker, protocol=protocol, **lasting()) as client:
        async with client.subscription(wanted) as messages:
            assert [len(one) for one in filters(broker.connection)] == [100, 100, 50]
            assert len(set(ids(broker))) == 1
            broker.connection.reset()
            connection = await broker.connected(2)
            await exchanged(client)
            assert [len(one) for one in filters(connection)] == [100, 100, 50]
            await connection.send(Message("t/249", b"x"))
            assert await take(messages, 1) == [b"x"]
        assert [len(names) for names in given_up(broker)] == [100, 100, 50]


async def test_one_refused_filter_refuses_the_subscription(broker):
    refuse(broker, "no")
    async with open_client(broker) as client:
        with pytest.raises(SubscribeRefused, match="'no'") as caught:
            async with client.subscription({"yes": 1, "no": 0, "too": 0}):
                pytest.fail("it was not granted")
        assert (caught.value.topic_filter, caught.value.code) == ("no", 0x80)
        assert given_up(broker) == [("yes", "too")]
        await broker.connection.send(Message("yes", b"x", qos=1, packet_id=1))
        await exchanged(client)
        assert client.counters.unclaimed == 1


async def test_all_that_were_refused_are_named(broker):
    names = [f"no/{number}" for number in range(7)]
    refuse(broker, *names)
    async with open_client(broker) as client:
        with pytest.raises(SubscribeRefused) as caught:
            async with client.subscription(dict.fromkeys(names, 0)):
                pytest.fail("it was not granted")
    text = str(caught.value)
    assert [name for name in names if name in text] == names[:5]
    assert text.endswith("; and 2 more")
    assert given_up(broker) == []


async def test_of_filters_that_others_have_they_stay(broker):
    async with open_client(broker) as client:
        async with client.subscription("a", qos=1) as single:
            refuse(broker, "no")
            with pytest.raises(SubscribeRefused):
                async with client.subscription({"a": 1, "no": 0}):
                    pytest.fail("it was not granted")
            assert given_up(broker) == []
            await broker.connection.send(Message("a", b"x"))
            assert await take(single, 1) == [b"x"]
        assert given_up(broker) == [("a",)]


@pytest.mark.parametrize(
    ("topic", "qos", "problem"),
    [
        ({}, 0, "at least one"),
        ({"a": 1}, 1, "its own QoS"),
        ({"a": 3}, 0, "QoS 3"),
        ({"a": None}, 0, "QoS None"),
        ({"a/#/b": 0}, 0, "topic filter"),
        ({5: 0}, 0, "text"),
    ],
)
async def test_what_is_no_mapping_of_filters_is_refused(
    broker, topic: Mapping[Any, Any], qos: int, problem: str
):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match=problem):
            async with client.subscription(topic, qos=qos):
                pytest.fail("that is none")
        await client.ping()
    assert broker.connection.of(Subscribe) == []


async def test_filters_of_one_packet_share_its_identifier(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with (
            client.subscription("a/b", qos=1) as single,
            client.subscription({"a/+": 1, "c": 1}) as several,
        ):
            one, two = ids(broker)
            assert one != two
            # A copy for each subscription, as brokers may send them.
            for number, at in ((1, one), (2, two)):
                properties = PublishProperties(subscription_ids=(at or 0,))
                await broker.connection.send(
                    Message("a/b", b"x", qos=1, packet_id=number, properties=properties)
                )
            assert await take(single, 1) == [b"x"]
            assert await take(several, 1) == [b"x"]
            await exchanged(client)
            assert (len(single), len(several)) == (0, 0)
            assert len(broker.connection.of(Puback)) == 2


async def test_an_identifier_follows_its_filter_into_another_packet(broker):
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("a") as single:
            async with client.subscription({"a": 1, "b": 0}) as several:
                _, shared = ids(broker)
                properties = PublishProperties(subscription_ids=(shared or 0,))
                await broker.connection.send(Message("a", b"x", properties=properties))
                assert await take(single, 1) == await take(several, 1) == [b"x"]
            await broker.connection.send(Message("a", b"y", properties=properties))
            assert await take(single, 1) == [b"y"]
            assert given_up(broker) == [("b",)]


async def test_what_is_too_long_together_is_asked_for_alone(broker):
    limits = ConnackProperties(maximum_packet_bytes=150)
    broker.answer(Connect, lambda *_: (Connack(properties=limits),))
    wanted = dict.fromkeys(("a" * 60, "b" * 60, "c" * 60), 0)
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription(wanted):
            assert [len(packet) for packet in filters(broker.connection)] == [1, 1, 1]
        assert [len(names) for names in given_up(broker)] == [1, 1, 1]
        with pytest.raises(SubscribeRefused) as caught:
            async with client.subscription({"a": 0, "d" * 160: 0}):
                pytest.fail("that is too long")
        assert caught.value.topic_filter == "d" * 160


async def test_at_which_filter_a_broker_hangs_up_is_found_among_them(broker):
    def answer(connection: Any, packet: Any) -> Any:
        if any(item.topic_filter == "bad" for item in packet.subscriptions):
            connection.reset()
            return ()
        return broker.usual(packet)

    broker.answer(Subscribe, answer)
    async with open_client(broker, **lasting()) as client:
        with anyio.fail_after(3600), pytest.raises(SubscribeRefused) as caught:
            async with client.subscription({"good": 0, "bad": 0, "fine": 0}):
                pytest.fail("it was not granted")
        assert caught.value.topic_filter == "bad"


async def test_the_queue_of_the_client_asks_in_one_packet_as_well(broker):
    async with open_client(broker, protocol="5.0") as client:
        refuse(broker, "no")
        assert await client.subscribe([("a", 0), ("no", 1), ("a", 2)]) == [2, 0x80, 2]
        assert filters(broker.connection) == [[("a", 2), ("no", 1)]]
        await client.unsubscribe(["a"])
        assert given_up(broker) == [("a",)]


async def test_a_cancelled_subscription_leaves_no_filter_behind(broker):
    broker.ignore(Subscribe)
    async with open_client(broker) as client:
        with anyio.move_on_after(1):
            async with client.subscription({"a": 0, "b": 0}):
                pytest.fail("nobody has granted it")
        assert given_up(broker) == [("a", "b")]
