"""Let two tasks listen at once, each to its own subscription of one client.

Run:
    python examples/11_mqtt_dispatcher.py
    python examples/11_mqtt_dispatcher.py mqtt://127.0.0.1:1883/

Prints:
    uptime 1: $SYS/broker/uptime => b'... seconds'
    clients 1: $SYS/broker/clients/... => b'...'
    clients 2: $SYS/broker/clients/... => b'...'
    clients 3: $SYS/broker/clients/... => b'...'
"""

from __future__ import annotations

import sys

import anyio

from structiot.mqtt import QOS_1, QOS_2, MqttClient, open_mqttclient
from structiot.mqtt.broker import open_broker

lines: list[str] = []


async def show(client: MqttClient, name: str, topic: str, qos: int, limit: int) -> None:
    """Note so many messages of a topic."""
    async with client.subscription(topic, qos) as messages:
        count = 0
        async for message in messages:
            count += 1
            packet = message.publish_packet
            head = packet.variable_header
            lines.append(
                f"{name} {count}: {head.topic_name} => {packet.payload.data!r}"
            )
            if count >= limit:
                break


async def listen(uri: str) -> None:
    """Run both listeners until each has seen enough."""
    async with open_mqttclient(uri) as client, anyio.create_task_group() as tg:
        tg.start_soon(show, client, "uptime", "$SYS/broker/uptime", QOS_1, 1)
        tg.start_soon(show, client, "clients", "$SYS/broker/clients/#", QOS_2, 3)
    # Which of the two was first is up to the event loop.
    print("\n".join(sorted(lines, key=lambda line: line.startswith("clients"))))


async def main() -> None:
    """Give the address of a broker; without one, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await listen(sys.argv[1] if len(sys.argv) > 1 else broker.uri)


anyio.run(main)
