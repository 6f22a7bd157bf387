"""mqttium: an async client and an async iterator."""

from __future__ import annotations

import asyncio

from mqttium.api import AsyncClient, PublishMessage
from mqttium.api.async_client import MQTTProtocolVersion
from mqttium.types import Properties
from scenario import HOST, LASTS_S, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job("mqttium")
    lasts = Properties(values={"session_expiry_interval": LASTS_S})
    client = AsyncClient(
        job.client_id,
        protocol=MQTTProtocolVersion(job.level),
        clean_start=not job.lasts,
        connect_properties=lasts if job.is_v5 and job.lasts else None,
        will=PublishMessage(WILL_TOPIC, WILL_PAYLOAD, qos=1),
    )
    if job.transport == "websockets":
        await client.connect_ws(job.uri)
    else:
        await client.connect(HOST, job.port)
    messages = client.messages()
    if job.subscribes:
        await client.subscribe(job.filter, qos=2)
    if job.task == "vanish":
        die()
    receipts = [
        await client.publish(topic, payload, qos=qos, retain=retain)
        for topic, payload, qos, retain in job.publishes
    ]
    async with asyncio.timeout(LIMIT_S):
        for receipt in receipts:
            await receipt.wait()
        while not job.is_complete:
            message = await anext(messages)
            job.take(message.topic, message.payload, message.qos, message.retain)
    await client.disconnect()
    job.report()


asyncio.run(main())
