"""Publish at each QoS, in parallel and in sequence.

Run:
    python examples/12_mqtt_publish.py
    python examples/12_mqtt_publish.py mqtt://127.0.0.1:1883/

Prints:
    3 messages published in parallel
    3 messages published in sequence
    Connection failed: cannot connect to 127.0.0.1:1: connection refused
"""

from __future__ import annotations

import functools
import sys

import anyio

from structiot.mqtt import QOS_0, QOS_1, QOS_2, ConnectException, open_mqttclient
from structiot.mqtt.broker import open_broker


async def in_parallel(uri: str) -> None:
    """Have all three under way at once; the block ends when all are acknowledged."""
    async with open_mqttclient(uri) as client, anyio.create_task_group() as tg:
        for qos in (QOS_0, QOS_1, QOS_2):
            publish = functools.partial(client.publish, "examples/12", b"TEST", qos=qos)
            tg.start_soon(publish)
    print("3 messages published in parallel")


async def in_sequence(uri: str) -> None:
    """Wait for each; a broker that is not there is an ordinary exception."""
    try:
        async with open_mqttclient(uri, config={"auto_reconnect": False}) as client:
            await client.publish("examples/12", b"TEST WITH QOS_0", qos=QOS_0)
            await client.publish("examples/12", b"TEST WITH QOS_1", qos=QOS_1)
            await client.publish("examples/12", b"TEST WITH QOS_2", qos=QOS_2)
        print("3 messages published in sequence")
    except ConnectException as error:
        print(f"Connection failed: {error}")


async def main() -> None:
    """Do both on a broker, named or embedded, and once more where nobody listens."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        uri = sys.argv[1] if len(sys.argv) > 1 else broker.uri
        await in_parallel(uri)
        await in_sequence(uri)
    await in_sequence("mqtt://127.0.0.1:1/")


anyio.run(main)
