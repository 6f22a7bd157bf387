"""Keep a subscription through the restart of its broker; publish while it is away.

Run:
    python examples/15_mqtt_healing.py

Prints:
    got: before
    away: ...; next attempt in ... s
    got: while it was away
"""

from __future__ import annotations

import logging

import anyio
from anyio.abc import TaskStatus

from structiot.mqtt import Disconnected, open_mqttclient
from structiot.mqtt.broker import open_broker


async def serve_twice(is_over: anyio.Event, *, task_status: TaskStatus[str]) -> None:
    """Be a broker that goes away for a second, and remembers nobody after that."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        task_status.started(broker.uri)
        await is_over.wait()
    await anyio.sleep(1)
    async with open_broker(broker.uri):
        await anyio.sleep_forever()


async def main() -> None:
    """The client, the subscription and its iterator outlive the connection."""
    logging.getLogger("structiot").setLevel(logging.ERROR)  # no warning of our restart
    is_over = anyio.Event()
    async with anyio.create_task_group() as tg:
        uri = await tg.start(serve_twice, is_over)
        async with (
            open_mqttclient(uri) as client,
            client.subscription("news", qos=1, codec="utf8") as messages,
            client.events() as events,
        ):
            await client.publish("news", b"before", qos=1)
            print("got:", (await anext(messages)).data)

            is_over.set()
            async for event in events:
                if isinstance(event, Disconnected):
                    print(f"away: {event.reason}; next attempt in {event.retry_in_s} s")
                    break
            # Waits for the broker's acknowledgement, however long it takes.
            await client.publish("news", b"while it was away", qos=1)
            print("got:", (await anext(messages)).data)
        tg.cancel_scope.cancel()


anyio.run(main)
