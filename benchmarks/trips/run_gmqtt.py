"""gmqtt: publish() is a plain call; the store tells when it is empty, a callback what came."""

from __future__ import annotations

import argparse
import asyncio

from common import HOST, run, serve
from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv311
from gmqtt.storage import PersistentStorage


async def main(args: argparse.Namespace) -> None:
    topic, payload, qos = args.topic, args.payload, args.qos
    store = PersistentStorage()
    client = Client(f"trips-gmqtt-{args.loop}-{args.topic}", persistent_storage=store)
    arrived: asyncio.Future[None] | None = None

    def on_message(*_: object) -> int:
        if arrived is not None and not arrived.done():
            arrived.set_result(None)
        return 0

    client.on_message = on_message
    await client.connect(HOST, args.port, version=MQTTv311)

    async def publish() -> None:
        client.publish(topic, payload, qos=qos)
        await store.wait_empty()

    if args.kind == "publish":
        await serve(args, publish)
    client.subscribe(topic, qos=qos)
    await asyncio.sleep(0.3)
    loop = asyncio.get_running_loop()

    async def there_and_back() -> None:
        nonlocal arrived
        arrived = loop.create_future()
        client.publish(topic, payload, qos=qos)
        await arrived

    await serve(args, there_and_back)


run(main)
