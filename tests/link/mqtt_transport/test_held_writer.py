"""What is published in the moment between the broker's welcome and the first words."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from structiot.mqtt import open_mqttclient
from structiot.mqtt.broker import open_broker

# Together more than is written without waiting, and less than the system takes at once.
PAYLOADS = [bytes(4_000)] * 30


async def test_who_publishes_much_at_once_is_not_forgotten():
    config = {"reconnect_retries": 0}
    async with (
        open_broker("mqtt://127.0.0.1:0") as broker,
        open_mqttclient(broker.uri, config=config, wait_connected=False) as client,
    ):
        # Its step comes before that of the reader, who has the welcome.
        while not client.is_connected:  # noqa: ASYNC110
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            for payload in PAYLOADS:
                await client.publish("a", payload, qos=0)
