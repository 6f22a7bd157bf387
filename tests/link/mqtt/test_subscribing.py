"""Subscribing and leaving: what is asked, granted, refused."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import UsageError
from structiot.mqtt import MqttClient, ReasonCode, SubscribeRefused
from structiot.mqtt.wire.messages import (
    Message,
    Puback,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from tests.link.mqtt.opening import exchanged, filters, open_client, take

pytestmark = pytest.mark.virtual_time

REFUSED = ReasonCode.UNSPECIFIED_ERROR


# -- asking --------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_subscription_is_one_subscribe_and_ends_with_an_unsubscribe(
    broker, qos: int
):
    async with open_client(broker) as client:
        async with client.subscription(["a", "+", "c"], qos=qos) as messages:
            assert messages.topic == "a/+/c"
            assert messages.granted_qos == qos
            await broker.connection.send(Message("a/b/c", b"x"), Message("a/b/d"))
            assert await take(messages, 1) == [b"x"]
        assert client.counters.unclaimed == 1
    connection = broker.connection
    assert filters(connection) == [[("a/+/c", qos)]]
    [unsubscribe] = connection.of(Unsubscribe)
    assert unsubscribe.topic_filters == ("a/+/c",)


async def test_what_the_broker_granted_can_be_seen(broker):
    broker.answer(
        Subscribe,
        lambda _, packet: (
            Suback(packet_id=packet.packet_id, reasons=(ReasonCode.GRANTED_QOS_0,)),
        ),
    )
    async with open_client(broker) as client:
        async with client.subscription("t", qos=2) as messages:
            assert (messages.qos, messages.granted_qos) == (2, 0)


async def test_messages_before_the_suback_belong_to_the_subscription(broker):
    broker.answer(
        Subscribe,
        lambda _, packet: (
            Message("t", b"early"),
            Message("t", b"retained", retain=True),
            *broker.usual(packet),
            Message("t", b"late"),
        ),
    )
    async with open_client(broker) as client:
        async with client.subscription("t") as messages:
            assert await take(messages, 3) == [b"early", b"retained", b"late"]


@pytest.mark.parametrize("name", ["", "a#", "a/#/b", "+a", "$share/g", "a\0"])
async def test_a_filter_that_is_none_is_refused_here(broker, name: str):
    async with open_client(broker) as client:
        with pytest.raises(UsageError, match="topic filter"):
            async with client.subscription(name):
                pytest.fail("that is no filter")
    assert broker.connection.of(Subscribe) == []


async def test_options_that_do_not_exist_are_refused_here(broker):
    async with open_client(broker) as client:
        for options in ({"qos": 3}, {"ack": "auto"}, {"max_items": -1}):
            with pytest.raises(UsageError):
                async with client.subscription("t", **options):
                    pytest.fail("there is no such thing")
        # In 3.1.1 there are no options but the QoS.
        with pytest.raises(UsageError, match=r"5\.0"):
            async with client.subscription("t", no_local=True):
                pytest.fail("3.1.1 cannot say so")
        async with client.subscription("t"):
            pass


@pytest.mark.parametrize(
    ("version", "code"),
    [("3.1.1", 0x80), ("5.0", 0x80), ("5.0", 0x87), ("5.0", 0x8F), ("5.0", 0xA2)],
)
async def test_a_refused_subscription_raises_naming_the_filter(
    broker, version: str, code: int
):
    reason = ReasonCode(code)
    broker.answer(
        Subscribe,
        lambda _, packet: (Suback(packet_id=packet.packet_id, reasons=(reason,)),),
    )
    async with open_client(broker, protocol=version) as client:
        with pytest.raises(SubscribeRefused, match="'private/#'") as caught:
            async with client.subscription("private/#", qos=1):
                pytest.fail("that was refused")
        assert caught.value.topic_filter == "private/#"
        assert caught.value.code == code
        assert reason.text in str(caught.value)
        assert broker.connection.of(Unsubscribe) == []
        # Nothing is left of it, and the connection goes on.
        await broker.connection.send(Message("private/x"))
        await exchanged(client)
        assert client.counters.unclaimed == 1
        broker.oblige()
        async with client.subscription("private/#", qos=1):
            pass
    assert len(broker.connections) == 1


async def test_a_subscriber_who_loses_patience_leaves_nothing_behind(broker):
    broker.ignore(Subscribe)
    async with open_client(broker) as client:
        with anyio.move_on_after(5) as scope:
            async with client.subscription("a"):
                pytest.fail("there was no answer")
        assert scope.cancelled_caught
        assert [item.topic_filters for item in broker.connection.of(Unsubscribe)] == [
            ("a",)
        ]
        await broker.connection.send(Message("a"))
        await exchanged(client)
        assert client.counters.unclaimed == 1
        await client.reconnect()
        assert broker.connection.of(Subscribe) == []


# -- leaving -------------------------------------------------------------------------


async def test_what_arrives_after_leaving_is_acknowledged_and_dropped(broker):
    broker.answer(
        Unsubscribe,
        lambda _, packet: (
            Message("t", b"late", qos=1, packet_id=5),
            *broker.usual(packet),
        ),
    )
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1):
            await broker.connection.send(Message("t", b"unread", qos=1, packet_id=4))
            await exchanged(client)
        await exchanged(client)
    acknowledged = [packet.packet_id for packet in broker.connection.of(Puback)]
    assert acknowledged == [4, 5]


async def test_a_broker_that_answers_no_unsubscribe_is_waited_for_once(broker):
    broker.ignore(Unsubscribe)

    async def subscribe_deeply(client: MqttClient, depth: int) -> None:
        if depth:
            async with client.subscription(f"t/{depth}"):
                await subscribe_deeply(client, depth - 1)

    async with open_client(broker, goodbye_s=2) as client:
        await subscribe_deeply(client, 20)
        assert anyio.current_time() == 2
    assert len(broker.connection.of(Unsubscribe)) == 20


@pytest.mark.parametrize(
    "code", [ReasonCode.NO_SUBSCRIPTION_EXISTED, ReasonCode.NOT_AUTHORIZED]
)
async def test_an_unsuback_that_refuses_does_not_matter(broker, code: ReasonCode):
    broker.answer(
        Unsubscribe,
        lambda _, packet: (Unsuback(packet_id=packet.packet_id, reasons=(code,)),),
    )
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("t"):
            pass
        assert client.is_connected


async def test_iterating_ends_quietly_when_the_block_has_ended(broker):
    async with open_client(broker) as client:
        async with client.subscription("t") as messages:
            pass
        assert [message async for message in messages] == []
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


async def test_a_codec_that_does_not_exist_costs_no_subscription(broker):
    async with open_client(broker) as client:
        with pytest.raises(ValueError, match="unknown codec 'yaml'"):
            async with client.subscription("t", codec="yaml"):
                pytest.fail("there is no such codec")
        assert broker.connection.of(Subscribe) == []
        await broker.connection.send(Message("t"))
        await exchanged(client)
        assert client.counters.unclaimed == 1
