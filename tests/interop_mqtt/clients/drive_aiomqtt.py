"""aiomqtt: an async context manager and an async iterator."""

from __future__ import annotations

import asyncio

import aiomqtt
from scenario import FILTER, HOST, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job()
    version = aiomqtt.ProtocolVersion.V5 if job.is_v5 else aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client(
        HOST,
        job.port,
        identifier="aiomqtt",
        protocol=version,
        transport=job.transport,
        will=aiomqtt.Will(WILL_TOPIC, WILL_PAYLOAD, qos=1),
    ) as client:
        await client.subscribe(FILTER, qos=2)
        if job.task == "vanish":
            die()
        for topic, payload, qos in job.messages:
            await client.publish(topic, payload, qos=qos)
        async with asyncio.timeout(LIMIT_S):
            async for message in client.messages:
                job.take(message.topic, message.payload, message.qos, message.retain)
                if job.is_complete:
                    break
    job.report()


asyncio.run(main())
