"""A broker with a store is killed again and again: row B30, with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from structiot.mqtt import Messages, MqttClient, open_mqttclient
from tests._support.broker_process import BrokerProcess

pytestmark = pytest.mark.e2e

MESSAGES = 600
KILLS = 3
HEALING = {
    "cleansession": False,
    "session_expiry_s": 600,
    "reconnect_retries": -1,
    "reconnect_max_interval": 0.1,
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    process = BrokerProcess(f"--store={tmp_path / 'broker.sqlite'}", "--sys-interval=0")
    process.start()
    yield process
    process.stop()


async def publish_numbers(client: MqttClient, topic: str, qos: int) -> None:
    """Publish numbers, up to fifty of them on their way; return when all are taken."""
    receipts = []
    for number in range(MESSAGES):
        receipts.append(await client.publish_soon(topic, b"%d" % number, qos=qos))
        if len(receipts) == 50:
            await receipts.pop(0).wait()
        await anyio.sleep(0.002)
    for receipt in receipts:
        await receipt.wait()


async def take_numbers(messages: Messages, numbers: list[int]) -> None:
    async for message in messages:
        numbers.append(int(message.payload))
        if numbers[-1] == MESSAGES - 1:
            return


async def kill_and_start(broker: BrokerProcess) -> None:
    for _ in range(KILLS):
        await anyio.sleep(0.35)
        await anyio.to_thread.run_sync(broker.kill)
        await anyio.to_thread.run_sync(broker.start)


@pytest.mark.timeout(60)
async def test_b30_a_killed_broker_loses_nothing_and_repeats_nothing_at_qos_2(
    broker: BrokerProcess,
):
    once: list[int] = []
    at_least_once: list[int] = []
    async with (
        open_mqttclient(broker.uri, "publisher", HEALING) as publisher,
        open_mqttclient(broker.uri, "subscriber", HEALING) as subscriber,
        subscriber.subscription("one", qos=1) as ones,
        subscriber.subscription("two", qos=2) as twos,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(take_numbers, ones, at_least_once)
        tg.start_soon(take_numbers, twos, once)
        tg.start_soon(publish_numbers, publisher, "one", 1)
        tg.start_soon(publish_numbers, publisher, "two", 2)
        tg.start_soon(kill_and_start, broker)
    assert once == list(range(MESSAGES))
    assert sorted(set(at_least_once)) == list(range(MESSAGES))
    assert publisher.counters.connections >= 1 + KILLS
    assert subscriber.counters.connections >= 1 + KILLS


async def test_b30_what_was_acknowledged_waits_for_a_subscriber_that_is_away(
    broker: BrokerProcess,
):
    async with open_mqttclient(broker.uri, "subscriber", HEALING) as subscriber:
        await subscriber.subscribe([("one", 1)])
    async with open_mqttclient(broker.uri, "publisher") as publisher:
        for number in range(20):
            await publisher.publish("one", b"%d" % number, qos=1)
        await anyio.to_thread.run_sync(broker.kill)
    await anyio.to_thread.run_sync(broker.start)
    got: list[int] = []
    async with open_mqttclient(broker.uri, "subscriber", HEALING) as subscriber:
        await subscriber.subscribe([("one", 1)])
        while len(got) < 20:
            message = await subscriber.deliver_message()
            assert message is not None
            got.append(int(message.payload))
    assert got == list(range(20))
