"""Publish a few messages and read them back as values.

Run:
    python examples/01_publish_and_subscribe.py
    python examples/01_publish_and_subscribe.py mqtt://127.0.0.1:1883/

Prints:
    examples/01/lamp is drawing 5.2 W
    examples/01/kettle is drawing 2000.0 W
    examples/01/radio is drawing 12.5 W
"""

from __future__ import annotations

import sys

import anyio

from structiot import open_mqttclient
from structiot.mqtt.broker import open_broker

DRAWN_W = {"lamp": 5.2, "kettle": 2000.0, "radio": 12.5}


async def publish_and_read(uri: str) -> None:
    """Subscribe first, so that nothing that is published can be missed."""
    async with (
        open_mqttclient(uri) as client,
        client.subscription("examples/01/+", qos=1, codec="float") as messages,
    ):
        for name, watts in DRAWN_W.items():
            await client.publish(f"examples/01/{name}", watts, qos=1, codec="float")

        expected = len(DRAWN_W)
        async for message in messages:
            print(f"{message.topic} is drawing {message.data} W")
            expected -= 1
            if not expected:
                break


async def main() -> None:
    """Give the address of a broker; without one, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await publish_and_read(sys.argv[1] if len(sys.argv) > 1 else broker.uri)


anyio.run(main)
