"""Subscriptions over many connections: restored, repeated, given up."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt import ReasonCode, SubscribeRefused
from structiot.mqtt.wire.messages import (
    Message,
    Puback,
    Suback,
    Subscribe,
    Unsubscribe,
)
from tests.link.mqtt.opening import exchanged, filters, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

REFUSED = ReasonCode.UNSPECIFIED_ERROR


async def test_subscriptions_are_made_again_when_the_session_is_lost(broker):
    async with open_client(broker, **lasting()) as client:
        async with (
            client.subscription("a", qos=1) as first,
            client.subscription("b/#", qos=2) as second,
        ):
            broker.connection.reset()
            connection = await broker.connected(2)
            await connection.next(Subscribe)
            await connection.send(
                Message("a", b"1", qos=1, packet_id=1), Message("b/c", b"2")
            )
            assert await take(first, 1) == [b"1"]
            assert await take(second, 1) == [b"2"]
        assert filters(connection) == [[("a", 1), ("b/#", 2)]]


async def test_many_subscriptions_are_made_again_in_a_few_packets(broker):
    async with open_client(broker, **lasting()) as client:
        async with anyio.create_task_group() as tg:

            async def subscribe(number: int) -> None:
                async with client.subscription(f"t/{number}", qos=1):
                    await anyio.sleep_forever()

            for number in range(250):
                tg.start_soon(subscribe, number)
            await anyio.wait_all_tasks_blocked()
            broker.connection.reset()
            connection = await broker.connected(2)
            await connection.next(Subscribe)
            await anyio.wait_all_tasks_blocked()
            assert [len(packet) for packet in filters(connection)] == [100, 100, 50]
            tg.cancel_scope.cancel()


async def test_a_kept_session_is_not_asked_again(broker):
    broker.keeps_sessions = True
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("a", qos=1) as messages:
            broker.connection.reset()
            connection = await broker.connected(2)
            await connection.send(Message("a", b"1", qos=1, packet_id=1))
            assert await take(messages, 1) == [b"1"]
            assert filters(connection) == []


async def test_a_request_without_an_answer_is_repeated_on_the_next_connection(broker):
    broker.keeps_sessions = True
    broker.answer(Subscribe, lambda connection, packet: [connection.reset()][1:])
    async with open_client(broker, **lasting()) as client:
        async with anyio.create_task_group() as tg:

            async def subscribe() -> None:
                async with client.subscription("a", qos=1):
                    tg.cancel_scope.cancel()

            tg.start_soon(subscribe)
            await broker.connection.next(Subscribe)
            broker.oblige()
        assert filters(broker.connection) == [[("a", 1)]]


async def test_a_subscription_made_while_away_is_sent_when_connected(broker):
    broker.stop()
    async with open_client(
        broker, wait_connected=False, reconnect_retries=-1
    ) as client:
        async with anyio.create_task_group() as tg:

            async def subscribe() -> None:
                async with client.subscription("a") as messages:
                    assert await take(messages, 1) == [b"x"]

            tg.start_soon(subscribe)
            await anyio.sleep(10)
            await broker.start()
            connection = await broker.connected(1)
            await connection.next(Subscribe)
            await connection.send(Message("a", b"x"))


async def test_a_filter_that_was_dropped_while_away_is_unsubscribed_later(broker):
    broker.keeps_sessions = True
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("a"), client.subscription("b"):
            async with client.subscription("c"):
                broker.stop()
                await anyio.wait_all_tasks_blocked()
            await broker.start()
            connection = await broker.connected(2)
            unsubscribe = await connection.next(Unsubscribe)
            assert unsubscribe.topic_filters == ("c",)
            await anyio.wait_all_tasks_blocked()
            assert filters(connection) == []
            # Once is enough.
            connection.reset()
            third = await broker.connected(3)
            await exchanged(client)
            assert third.of(Unsubscribe) == []


async def test_a_subscription_refused_after_a_lost_session_ends_with_the_reason(
    broker,
):
    async with open_client(broker, **lasting()) as client:
        async with (
            client.subscription("private", qos=1) as private,
            client.subscription("public") as public,
        ):
            broker.answer(
                Subscribe,
                lambda _, packet: (
                    Suback(
                        packet_id=packet.packet_id, reasons=(REFUSED, ReasonCode(0))
                    ),
                ),
            )
            broker.connection.reset()
            connection = await broker.connected(2)
            with pytest.raises(SubscribeRefused, match="'private'"):
                await anext(private)
            # What comes nevertheless is not left unacknowledged.
            late = Message("private", b"late", qos=1, packet_id=5)
            await connection.send(late, Message("public", b"x"))
            assert await take(public, 1) == [b"x"]
            await exchanged(client)
            assert connection.of(Puback) == [Puback(packet_id=5)]


async def test_a_suback_with_too_few_codes_ends_what_it_does_not_mention(broker):
    async with open_client(broker, **lasting()) as client:
        async with (
            client.subscription("a") as first,
            client.subscription("b") as second,
        ):
            granted = (ReasonCode.GRANTED_QOS_0,)
            broker.answer(
                Subscribe,
                lambda _, packet: (
                    Suback(packet_id=packet.packet_id, reasons=granted),
                ),
            )
            broker.connection.reset()
            connection = await broker.connected(2)
            with pytest.raises(SubscribeRefused, match="did not answer for 'b'"):
                await anext(second)
            await connection.send(Message("a", b"x"))
            assert await take(first, 1) == [b"x"]


async def test_a_filter_dropped_while_away_is_forgotten_with_the_session(broker):
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("a"):
            broker.stop()
            await anyio.wait_all_tasks_blocked()
        await broker.start()
        connection = await broker.connected(2)
        await exchanged(client)
        broker.keeps_sessions = True
        connection.reset()
        third = await broker.connected(3)
        await exchanged(client)
        assert connection.of(Unsubscribe) == third.of(Unsubscribe) == []


async def test_leaving_does_not_wait_for_an_answer_of_a_connection_that_is_gone(broker):
    broker.answer(Unsubscribe, lambda connection, packet: [connection.reset()][1:])
    async with open_client(broker, goodbye_s=60, **lasting()) as client:
        async with client.subscription("a"):
            pass
        assert anyio.current_time() < 1
