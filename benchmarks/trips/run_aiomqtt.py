"""aiomqtt: publish() returns with the acknowledgement; async for over client.messages."""

from __future__ import annotations

import argparse

import aiomqtt
from common import HOST, run, serve


async def main(args: argparse.Namespace) -> None:
    topic, payload, qos = args.topic, args.payload, args.qos
    async with aiomqtt.Client(HOST, args.port) as client:
        if args.kind == "publish":
            await serve(args, lambda: client.publish(topic, payload, qos))
        await client.subscribe(topic, qos)
        arrival = aiter(client.messages)

        async def there_and_back() -> None:
            await client.publish(topic, payload, qos)
            await anext(arrival)

        await serve(args, there_and_back)


run(main)
