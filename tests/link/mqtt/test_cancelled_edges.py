"""What a kept session leaves to the client, cancelled at every checkpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from structiot.mqtt import MqttClient
from structiot.mqtt.wire.messages import Message, Subscribe
from structiot.testing import cancel_sweep
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, lasting, open_client

pytestmark = pytest.mark.virtual_time


class Brought:
    """What the broker has sent, each message by an id of its own."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.count = 0

    async def send(self, *topics: str, qos: int = 2) -> None:
        for topic in topics:
            self.count += 1
            message = Message(topic, b"%d" % self.count, qos=qos, packet_id=self.count)
            with anyio.CancelScope(shield=True):
                await self.broker.connection.send(message)


Flow = Callable[[MqttClient, Brought], Awaitable[None]]


async def several(client: MqttClient, brought: Brought) -> None:
    async with client.subscription({"a/#": 2, "b": 1, "c": 0}) as messages:
        await brought.send("a/1", "b")
        for _ in range(2):
            await anext(messages)


async def left_standing(client: MqttClient, brought: Brought) -> None:
    async with client.subscription(
        {"a": 2, "b": 2}, unsubscribe=False, ack="manual"
    ) as messages:
        await brought.send("a", "b")
        messages.ack(await anext(messages))
    await brought.send("a")
    await client.unsubscribe(["a", "b", "never"])


async def unclaimed(client: MqttClient, brought: Brought) -> None:
    async with client.unclaimed() as first, client.unclaimed(ack="manual") as second:
        await brought.send("x", "y")
        await anext(first)
        second.ack(await anext(second))
        await client.incoming_complete()


FLOWS: list[Flow] = [several, left_standing, unclaimed]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
@pytest.mark.parametrize(("steps_of", "stride"), [("flow", 1), ("all", 7)])
async def test_nothing_is_charged_or_asked_for_after_it(
    broker, flow, steps_of, stride: int
):
    broker.keeps_sessions = True
    brought = Brought(broker)
    async with open_client(broker, **lasting()) as client:
        rounds = await cancel_sweep(
            lambda: flow(client, brought), steps_of=steps_of, stride=stride
        )
        assert rounds > 3
        await exchanged(client)
        counters = client.counters
        assert counters.unread_bytes == 0
        assert counters.packet_ids == 0
        await client.unsubscribe(["a", "b"])
        await client.reconnect()
        await exchanged(client)
        assert broker.connection.of(Subscribe) == []
        assert client.counters.unsettled == 0
