"""mqttium: an async client and an async iterator."""

from __future__ import annotations

import asyncio

from mqttium.api import AsyncClient, PublishMessage
from mqttium.api.async_client import MQTTProtocolVersion
from scenario import FILTER, HOST, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job()
    client = AsyncClient(
        "mqttium",
        protocol=MQTTProtocolVersion(job.level),
        will=PublishMessage(WILL_TOPIC, WILL_PAYLOAD, qos=1),
    )
    await client.connect(HOST, job.port)
    await client.subscribe(FILTER, qos=2)
    if job.task == "vanish":
        die()
    receipts = [
        await client.publish(topic, payload, qos=qos)
        for topic, payload, qos in job.messages
    ]
    async with asyncio.timeout(LIMIT_S):
        for receipt in receipts:
            await receipt.wait()
        async for message in client.messages():
            job.take(message.topic, message.payload, message.qos, message.retain)
            if job.is_complete:
                break
    await client.disconnect()
    job.report()


asyncio.run(main())
