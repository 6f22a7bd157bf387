"""Take messages in batches, where one at a time is too slow.

Run:
    python examples/19_mqtt_batches.py
    python examples/19_mqtt_batches.py mqtt://127.0.0.1:1883/

Prints:
    10000 readings in ... batches; their sum is 49995000
"""

from __future__ import annotations

import sys

import anyio
from anyio.abc import TaskStatus

from structiot.mqtt import open_mqttclient
from structiot.mqtt.broker import open_broker

TOPIC = "examples/19/meter"
COUNT = 10_000


async def take(uri: str, *, task_status: TaskStatus[None]) -> None:
    """Each batch is all that has arrived meanwhile; never an empty one."""
    total = count = batch_count = 0
    async with (
        open_mqttclient(uri) as client,
        client.subscription(TOPIC, qos=1, codec="int") as messages,
    ):
        task_status.started()
        async for batch in messages.batches():
            total += sum(message.data for message in batch)
            count += len(batch)
            batch_count += 1
            if count == COUNT:
                break
    print(f"{count} readings in {batch_count} batches; their sum is {total}")


async def publish(uri: str) -> None:
    """publish_many waits once, for the acknowledgement of all."""
    async with anyio.create_task_group() as tg, open_mqttclient(uri) as client:
        await tg.start(take, uri)
        readings = ((TOPIC, number) for number in range(COUNT))
        await client.publish_many(readings, qos=1, codec="int")


async def main() -> None:
    """Give the address of a broker; without one, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await publish(sys.argv[1] if len(sys.argv) > 1 else broker.uri)


anyio.run(main)
