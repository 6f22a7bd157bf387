"""Run the same program on our engine or on the package distmqtt.

Run:
    python examples/14_mqtt_engines.py
    python examples/14_mqtt_engines.py mqtt://127.0.0.1:1883/ structiot

Prints:
    connected
    kitchen draws 5.2 W (QoS 1)
    cellar draws 12.5 W (QoS 2)
    what is no number comes as b'much'
    refused: topic name 'a/#' holds a wildcard, + or #
    1 connection, 0 messages dropped
"""

from __future__ import annotations

import sys

import anyio

from structiot import UsageError, open_mqttclient
from structiot.mqtt.broker import open_broker


async def use(uri: str, engine: str = "structiot") -> None:
    """Do what an ordinary program does: read, publish, watch, and catch an error."""
    async with open_mqttclient(uri, codec="float", engine=engine) as client:
        print("connected" if client.is_connected else "not connected")

        async with client.subscription("examples/14/+", qos=2) as messages:
            await client.publish("examples/14/kitchen", 5.2, qos=1)
            receipt = await client.publish_soon("examples/14/cellar", 12.5, qos=2)
            await receipt.wait()
            for _ in range(2):
                message = await anext(messages)
                name = message.topic.rpartition("/")[2]
                print(f"{name} draws {message.data} W (QoS {message.qos})")
            await client.publish("examples/14/attic", "much", codec="utf8")
            print(f"what is no number comes as {(await anext(messages)).data!r}")

        try:
            await client.publish("a/#", 1.0)
        except UsageError as error:
            print(f"refused: {error}")
        counted = client.counters
        print(f"{counted.connections} connection, {counted.dropped} messages dropped")


async def main() -> None:
    """Give the address of a broker and an engine; without, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await use(*(sys.argv[1:] or [broker.uri]))


anyio.run(main)
