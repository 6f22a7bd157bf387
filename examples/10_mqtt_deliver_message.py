"""Subscribe the way of distmqtt: one queue for the whole client.

Run:
    python examples/10_mqtt_deliver_message.py
    python examples/10_mqtt_deliver_message.py mqtt://127.0.0.1:1883/

Prints:
    1: $SYS/broker/... => b'...'
    2: $SYS/broker/... => b'...'
    3: $SYS/broker/... => b'...'
"""

from __future__ import annotations

import sys

import anyio

from structiot.mqtt import QOS_1, QOS_2, ClientException, open_mqttclient
from structiot.mqtt.broker import open_broker


async def deliver(uri: str) -> None:
    """Read a few figures that the broker publishes about itself."""
    try:
        async with open_mqttclient(uri) as client:
            await client.subscribe(
                [("$SYS/broker/uptime", QOS_1), ("$SYS/broker/clients/#", QOS_2)]
            )
            for i in range(1, 4):
                message = await client.deliver_message()
                if message is None:
                    break
                packet = message.publish_packet
                topic = packet.variable_header.topic_name
                print(f"{i}: {topic} => {packet.payload.data!r}")
            await client.unsubscribe(["$SYS/broker/uptime", "$SYS/broker/clients/#"])
    except ClientException as error:
        print(f"Client exception: {error}")


async def main() -> None:
    """Give the address of a broker; without one, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await deliver(sys.argv[1] if len(sys.argv) > 1 else broker.uri)


anyio.run(main)
