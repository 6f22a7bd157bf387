"""structiot: publish() returns with the acknowledgement; async for over a subscription."""

from __future__ import annotations

import argparse

from common import HOST, run, serve

from structiot.mqtt import open_mqttclient


async def main(args: argparse.Namespace) -> None:
    topic, payload, qos = args.topic, args.payload, args.qos
    uri = f"mqtt://{HOST}:{args.port}/"
    async with open_mqttclient(uri, config={"protocol": "3.1.1"}) as client:
        if args.kind == "publish":
            await serve(args, lambda: client.publish(topic, payload, qos))
        async with client.subscription(topic, qos=qos) as messages:
            arrival = aiter(messages)
            send = client.publish_soon if qos else client.publish

            async def there_and_back() -> None:
                await send(topic, payload, qos)
                await anext(arrival)

            await serve(args, there_and_back)


run(main)
