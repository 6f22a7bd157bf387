"""Publish into a file while there is no broker; another run delivers it.

Run:
    python examples/16_mqtt_store.py

Prints:
    accepted, but nobody is there
    delivered by the next run: {'door': 'open'}
"""

from __future__ import annotations

import logging

import anyio

from structiot.mqtt import open_mqttclient
from structiot.mqtt.broker import open_broker

SETTINGS = {"store": "outbox.sqlite", "cleansession": False, "reconnect_retries": -1}


# That nobody is there is no news here.
logging.getLogger("structiot.mqtt").setLevel(logging.ERROR)


async def publish_offline(uri: str) -> None:
    """What was accepted outlives the process, whatever ends it."""
    async with open_mqttclient(
        uri, "gate", config=SETTINGS, wait_connected=False
    ) as client:
        await client.publish_soon("doors", {"door": "open"}, qos=2, codec="json")
        print("accepted, but nobody is there")


async def main() -> None:
    """The client id is the name under which the file keeps the session."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        uri = broker.uri
    await publish_offline(uri)

    async with (
        open_broker(uri),
        open_mqttclient(uri) as reader,
        reader.subscription("doors", qos=2, codec="json") as messages,
        open_mqttclient(uri, "gate", config=SETTINGS) as client,
    ):
        for receipt in client.restored:
            await receipt.wait()
        print("delivered by the next run:", (await anext(messages)).data)


anyio.run(main)
