"""C32, C33, C65: packet ids that run out, and requests that are too long."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.mqtt import MqttClient, ReasonCode, SubscribeRefused
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Puback,
    Suback,
    Subscribe,
    Unsubscribe,
)
from structiot.mqtt.wire.properties import ConnackProperties
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, filters, lasting, open_client

pytestmark = pytest.mark.virtual_time


def use_up_ids(client: MqttClient, *, but: int) -> None:
    """Leave so many packet ids; the others belong to what will never be answered."""
    ids = client._link.protocol.ids
    ids.used.update(range(but + 1, MAX_PACKET_ID + 1))


# -- C33: a request waits for an id --------------------------------------------------


async def test_without_a_packet_id_a_subscription_waits_for_one(broker):
    broker.ignore(Subscribe)
    async with open_client(broker) as client:
        use_up_ids(client, but=1)
        entered: list[str] = []

        async def subscribe(name: str) -> None:
            async with client.subscription(name, qos=1):
                entered.append(name)
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tg:
            for name in ("a", "b", "c"):
                tg.start_soon(subscribe, name)
                await anyio.wait_all_tasks_blocked()
            await anyio.sleep(60)
            connection = broker.connection
            assert filters(connection) == [[("a", 1)]]
            assert entered == []
            for name in ("a", "b", "c"):
                assert filters(connection)[-1] == [(name, 1)]
                granted = (ReasonCode.GRANTED_QOS_1,)
                await connection.send(Suback(packet_id=1, reasons=granted))
                await exchanged(client)
                assert entered[-1] == name
            broker.oblige()
            tg.cancel_scope.cancel()
    left = [packet.topic_filters for packet in broker.connection.of(Unsubscribe)]
    assert sorted(left) == [("a",), ("b",), ("c",)]


async def test_nothing_that_waited_for_an_id_follows_a_goodbye(broker):
    broker.ignore(Subscribe)
    async with open_client(broker, protocol="5.0") as client:
        use_up_ids(client, but=1)
        first = broker.connection
        async with anyio.create_task_group() as tg:
            for name in ("a", "b"):
                tg.start_soon(client.subscribe, [(name, 0)])
                await anyio.wait_all_tasks_blocked()
            broker.oblige()
            granted = Suback(packet_id=1, reasons=(ReasonCode.GRANTED_QOS_0,))
            await first.send(granted, b"\x00\x00")
        assert type(first.packets[-1]) is Disconnect
        assert filters(first) == [[("a", 0)]]
        assert filters(broker.connection) == [[("a", 0)], [("b", 0)]]


async def test_who_waits_for_an_id_and_leaves_is_not_subscribed(broker):
    broker.ignore(Subscribe)
    async with open_client(broker) as client:
        use_up_ids(client, but=1)
        async with anyio.create_task_group() as tg:

            async def subscribe() -> None:
                async with client.subscription("a"):
                    pytest.fail("there was no answer")

            tg.start_soon(subscribe)
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(3):
                async with client.subscription("b"):
                    pytest.fail("there was no packet id")
            granted = (ReasonCode.GRANTED_QOS_0,)
            tg.cancel_scope.cancel()
            await broker.connection.send(Suback(packet_id=1, reasons=granted))
        await exchanged(client)
    assert filters(broker.connection) == [[("a", 0)]]


async def test_who_unsubscribes_without_an_id_is_told_when_the_connection_is_lost(
    broker,
):
    async with open_client(broker, **lasting()) as client:
        await client.subscribe([("a", 0)])
        use_up_ids(client, but=0)
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.unsubscribe, ["a"])
            await anyio.sleep(60)
            assert broker.connection.of(Unsubscribe) == []
            broker.connection.reset()
        assert anyio.current_time() < 61


async def test_more_filters_than_packet_ids_are_all_subscribed_again(broker):
    count = 20
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        for number in range(count):
            await client.subscribe([(f"t/{number}", 1)])
        use_up_ids(client, but=3)
        broker.connection.reset()
        connection = await broker.connected(2)
        for _ in range(count):
            await connection.next(Subscribe)
        assert filters(connection) == [[(f"t/{n}", 1)] for n in range(count)]


# -- C65: requests within the server's maximum packet size ---------------------------


def announce(broker: FakeBroker, **limits: Any) -> None:
    connack = Connack(properties=ConnackProperties(**limits))
    broker.answer(Connect, lambda *_: (connack,))


async def test_a_subscription_too_long_for_the_broker_is_refused_here(broker):
    announce(broker, maximum_packet_bytes=50)
    name = "a" * 60
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(SubscribeRefused, match="the peer takes 50") as caught:
            async with client.subscription(name):
                pytest.fail("the broker would have closed the connection")
        assert caught.value.code == ReasonCode.PACKET_TOO_LARGE
        assert caught.value.topic_filter == name
        assert await client.subscribe([(name, 1)]) == [ReasonCode.PACKET_TOO_LARGE]
        async with client.subscription("b" * 30):
            pass
    connection = broker.connection
    assert filters(connection) == [[("b" * 30, 0)]]
    assert len(connection.of(Unsubscribe)) == 1
    assert len(broker.connections) == 1


async def test_what_was_subscribed_and_is_too_long_now_is_left_without_a_word(broker):
    broker.keeps_sessions = True
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with client.subscription("a" * 60, qos=1):
            connack = Connack(
                session_present=True,
                properties=ConnackProperties(maximum_packet_bytes=50),
            )
            broker.answer(Connect, lambda *_: (connack,))
            broker.connection.reset()
            second = await broker.connected(2)
        # What comes nevertheless is nobody's, and acknowledged.
        await second.send(Message("a" * 20, b"x", qos=1, packet_id=5))
        await second.next(Puback)
        assert second.of(Unsubscribe) == []
        assert client.counters.unclaimed == 1
    assert len(broker.connections) == 2


async def test_filters_dropped_while_away_are_unsubscribed_within_the_limit(broker):
    broker.keeps_sessions = True
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with client.subscription("a" * 30), client.subscription("b" * 30):
            broker.stop()
            await anyio.wait_all_tasks_blocked()
        connack = Connack(
            session_present=True, properties=ConnackProperties(maximum_packet_bytes=50)
        )
        broker.answer(Connect, lambda *_: (connack,))
        await broker.start()
        connection = await broker.connected(2)
        await exchanged(client)
    names = [packet.topic_filters for packet in connection.of(Unsubscribe)]
    assert sorted(names) == [("a" * 30,), ("b" * 30,)]
