"""Own messages that wait: bounded in number and bytes, first come first served."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import pytest

from structiot.errors import LinkLost
from structiot.mqtt import MqttClient, Receipt
from structiot.mqtt.wire.messages import Message, Puback
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import open_client

pytestmark = pytest.mark.virtual_time


def sent(broker: FakeBroker) -> list[bytes]:
    return [message.payload for message in broker.connection.of(Message)]


async def go_away(broker: FakeBroker, client: MqttClient) -> None:
    broker.stop()
    await anyio.wait_all_tasks_blocked()
    assert not client.is_connected


async def test_a_full_outbox_has_publishers_wait_in_order(broker):
    options: dict[str, Any] = {"reconnect_retries": -1, "outbox_items": 2}
    async with open_client(broker, **options) as client:
        await go_away(broker, client)
        accepted: list[int] = []

        async def publish(number: int) -> None:
            receipt = await client.publish_soon("t", b"%d" % number)
            accepted.append(number)
            await receipt.wait()

        async with anyio.create_task_group() as tg:
            for number in range(6):
                tg.start_soon(publish, number)
                await anyio.wait_all_tasks_blocked()
            assert accepted == [0, 1]
            assert client.counters.waiting == 2
            await broker.start()
    assert sent(broker) == [b"%d" % n for n in range(6)]


async def test_bytes_under_way_count_as_well(broker):
    broker.ignore(Message)
    async with open_client(broker, outbox_bytes=1000) as client:
        connection = broker.connection
        await client.publish_soon("t", bytes(600))
        await client.publish_soon("t", bytes(600))
        with anyio.move_on_after(60) as scope:
            await client.publish_soon("t", b"too much")
        assert scope.cancelled_caught
        assert len(connection.of(Message)) == 2
        await connection.send(Puback(packet_id=1))
        await client.publish_soon("t", b"now")
        await connection.send(Puback(packet_id=2), Puback(packet_id=3))


async def test_a_message_larger_than_the_outbox_goes_alone(broker):
    async with open_client(broker, outbox_bytes=1000) as client:
        await client.publish("t", bytes(5000), qos=1)
        await client.publish("t", bytes(5000), qos=2)
    assert [len(payload) for payload in sent(broker)] == [5000, 5000]


async def test_nobody_overtakes_who_waits_with_a_large_message(broker):
    broker.ignore(Message)
    async with open_client(broker, outbox_bytes=1000) as client:
        connection = broker.connection
        await client.publish_soon("t", bytes(1000))
        async with anyio.create_task_group() as tg:
            for size in (900, 900, 10):
                tg.start_soon(client.publish, "t", bytes(size), 1)
                await anyio.wait_all_tasks_blocked()
            for packet_id in (1, 2, 3, 4):
                await connection.send(Puback(packet_id=packet_id))
                await anyio.wait_all_tasks_blocked()
    assert [len(payload) for payload in sent(broker)] == [1000, 900, 900, 10]


async def test_cancelling_one_who_waits_lets_the_others_go_on(broker):
    options: dict[str, Any] = {"reconnect_retries": -1, "outbox_items": 1}
    async with open_client(broker, **options) as client:
        await go_away(broker, client)
        scopes = [anyio.CancelScope() for _ in range(4)]

        async def publish(number: int) -> None:
            with scopes[number]:
                await client.publish("t", b"%d" % number, qos=1)

        async with anyio.create_task_group() as tg:
            for number in range(4):
                tg.start_soon(publish, number)
                await anyio.wait_all_tasks_blocked()
            # 0 is accepted and goes out nevertheless; 1 is not.
            scopes[0].cancel()
            scopes[1].cancel()
            await anyio.wait_all_tasks_blocked()
            await broker.start()
    assert sent(broker) == [b"0", b"2", b"3"]


async def test_a_thousand_publishers_and_random_cancels_keep_order_and_count(broker):
    random = Random(7)
    options: dict[str, Any] = {"max_inflight": 5, "outbox_items": 10}
    async with open_client(broker, **options) as client:
        finished: list[int] = []

        async def publish(number: int) -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await client.publish("t", b"%d" % number, qos=1 + number % 2)
                finished.append(number)

        scopes: list[anyio.CancelScope] = []
        async with anyio.create_task_group() as tg:
            for number in range(1000):
                tg.start_soon(publish, number)
                if number % 4 == 0 and scopes:
                    random.choice(scopes).cancel()
                if number % 50 == 0:
                    await anyio.lowlevel.checkpoint()
        assert client.counters.in_flight == client.counters.waiting == 0
        assert client.counters.held_bytes == 0
        # All tasks are there at once: who is accepted is not a matter of luck.
        assert {b"%d" % n for n in finished} <= set(sent(broker))
        assert len(finished) > 700
        assert len(set(sent(broker))) == len(sent(broker))


async def test_the_order_of_one_publisher_is_kept_whatever_waits(broker):
    async with open_client(broker, max_inflight=2, outbox_items=3) as client:
        receipts: list[Receipt] = []
        for number in range(200):
            qos = 1 + number % 2
            receipts.append(await client.publish_soon("t", b"%d" % number, qos=qos))
        for receipt in receipts:
            await receipt.wait()
            assert receipt.is_done
    assert sent(broker) == [b"%d" % n for n in range(200)]


async def test_who_waits_when_the_client_is_closed_is_told(broker):
    errors: list[LinkLost] = []

    async def publish(client: MqttClient) -> None:
        with pytest.raises(LinkLost, match="closed") as caught:
            await client.publish("t", b"x", qos=1)
        errors.append(caught.value)

    async with anyio.create_task_group() as tg:
        options: dict[str, Any] = {"reconnect_retries": -1, "outbox_items": 1}
        async with open_client(broker, **options) as client:
            await go_away(broker, client)
            for _ in range(3):
                tg.start_soon(publish, client)
            await anyio.wait_all_tasks_blocked()
    assert len(errors) == 3
    assert client.counters.waiting == 0
