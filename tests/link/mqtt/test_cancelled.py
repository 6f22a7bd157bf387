"""Cancelled at every checkpoint: nothing is left, and the session is what it was."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt import MqttClient
from structiot.mqtt.wire.messages import Message, Pubcomp, Subscribe
from structiot.testing import cancel_sweep
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, lasting, open_client

pytestmark = pytest.mark.virtual_time


async def open_and_close(broker: FakeBroker) -> None:
    async with open_client(broker):
        pass


async def open_while_the_broker_is_away(broker: FakeBroker) -> None:
    broker.stop()
    with anyio.move_on_after(3):
        async with open_client(broker, reconnect_retries=-1):
            pass
    await broker.start()


async def publish(broker: FakeBroker) -> None:
    async with open_client(broker) as client:
        for qos in (0, 1, 2):
            await client.publish("t", b"x", qos=qos)
        receipt = await client.publish_soon("t", b"x")
        await receipt.wait()


async def publish_much(broker: FakeBroker) -> None:
    async with open_client(broker, max_inflight=1, outbox_items=1) as client:
        async with anyio.create_task_group() as tg:
            for qos in (1, 2, 1):
                tg.start_soon(client.publish, "t", bytes(100_000), qos)
            tg.start_soon(client.publish, "t", bytes(200_000))


async def subscribe(broker: FakeBroker) -> None:
    async with open_client(broker) as client:
        async with client.subscription("t", qos=2) as messages:
            await broker.connection.send(Message("t", b"x", qos=2, packet_id=1))
            async for _ in messages:
                break
            async with client.subscription("t") as others:
                await broker.connection.send(Message("t", b"y"))
                await anext(others)


async def reconnect(broker: FakeBroker) -> None:
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("t"), client.events() as events:
            await anext(events)
            broker.connection.reset()
            await client.publish("t", b"x", qos=1)
            await client.reconnect()
            await client.ping()


FLOWS = [
    open_and_close,
    open_while_the_broker_is_away,
    publish,
    publish_much,
    subscribe,
    reconnect,
]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
@pytest.mark.parametrize("steps_of", ["flow", "all"])
async def test_a_cancelled_flow_leaves_nothing_behind(broker, flow, steps_of):
    async def run() -> None:
        try:
            await flow(broker)
        finally:
            # The broker is another party: whatever became of the flow, it goes on.
            with anyio.CancelScope(shield=True):
                await broker.start()

    rounds = await cancel_sweep(run, steps_of=steps_of)
    assert rounds > 3
    await anyio.wait_all_tasks_blocked()
    assert all(connection.ended.is_set() for connection in broker.connections)


async def test_cancelling_publishers_anywhere_loses_and_doubles_nothing(broker):
    """QoS 2 under a client that lives on: each message is there once, or never was."""
    async with open_client(broker, max_inflight=2, outbox_items=1) as client:
        count = 0

        async def flow() -> None:
            nonlocal count
            count += 1
            await client.publish("t", b"%d" % count, qos=2)
            await client.publish("u", b"%d" % count, qos=2)

        await cancel_sweep(flow, steps_of="all")
        await settle_down(client)
    for topic in ("t", "u"):
        payloads = [
            message.payload
            for message in broker.connection.of(Message)
            if message.topic == topic
        ]
        assert len(payloads) == len(set(payloads))
        assert b"%d" % count in payloads


async def test_cancelling_readers_anywhere_loses_and_doubles_nothing(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=2) as messages:
            got: list[bytes] = []
            sent = 0

            async def flow() -> None:
                nonlocal sent
                with anyio.CancelScope(shield=True):
                    for _ in range(2):
                        sent += 1
                        message = Message("t", b"%d" % sent, qos=2, packet_id=sent)
                        await broker.connection.send(message)
                async for received in messages:
                    got.append(received.payload)
                    if len(got) == sent:
                        break

            await cancel_sweep(flow, steps_of="all")
            assert got == [b"%d" % n for n in range(1, sent + 1)]
            await settle_down(client)
            assert client.counters.unsettled == 0
    assert len(broker.connection.of(Pubcomp)) == sent


async def test_cancelling_subscribers_anywhere_leaves_no_filter_behind(broker):
    async with open_client(broker) as client:

        async def flow() -> None:
            async with client.subscription("t", qos=1):
                async with client.subscription("t", qos=2):
                    pass

        await cancel_sweep(flow, steps_of="all")
        await settle_down(client)
        assert client.counters.unclaimed == 0
        await broker.connection.send(Message("t"))
        await exchanged(client)
        assert client.counters.unclaimed == 1
        await client.reconnect()
        assert broker.connection.of(Subscribe) == []
        assert client.counters.packet_ids == 0


async def settle_down(client: MqttClient) -> None:
    await exchanged(client)
    while client.counters.in_flight or client.counters.waiting:
        await exchanged(client)
    assert client.counters.packet_ids == 0
    assert client.counters.held_bytes == 0
