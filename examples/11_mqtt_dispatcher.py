"""Let two tasks listen at once, each to its own subscription of one client.

Run:
    python examples/11_mqtt_dispatcher.py mqtt://127.0.0.1:1883/

Prints:
    uptime 1: $SYS/broker/uptime => b'... seconds'
    load 1: $SYS/broker/load/messages/received/1min => b'...'
    load 2: $SYS/broker/load/messages/received/5min => b'...'
    load 3: $SYS/broker/load/messages/received/15min => b'...'
"""

from __future__ import annotations

import sys

import anyio

from structiot.mqtt import QOS_1, QOS_2, MqttClient, open_mqttclient

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


async def main() -> None:
    """Run both listeners until each has seen enough."""
    async with open_mqttclient(sys.argv[1]) as client, anyio.create_task_group() as tg:
        tg.start_soon(show, client, "uptime", "$SYS/broker/uptime", QOS_1, 1)
        tg.start_soon(show, client, "load", "$SYS/broker/load/#", QOS_2, 3)
    # Which of the two was first is up to the event loop.
    print("\n".join(sorted(lines, key=lambda line: line.startswith("load"))))


anyio.run(main)
