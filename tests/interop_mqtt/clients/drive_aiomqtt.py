"""aiomqtt: an async context manager and an async iterator."""

from __future__ import annotations

import asyncio

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from scenario import HOST, LASTS_S, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


def options(job: Job) -> dict[str, object]:
    if not job.is_v5:
        return {
            "protocol": aiomqtt.ProtocolVersion.V311,
            "clean_session": not job.lasts,
        }
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = LASTS_S if job.lasts else 0
    return {
        "protocol": aiomqtt.ProtocolVersion.V5,
        "clean_start": not job.lasts,
        "properties": properties,
    }


async def main() -> None:
    job = Job("aiomqtt")
    async with aiomqtt.Client(
        HOST,
        job.port,
        identifier=job.client_id,
        transport=job.transport,
        will=aiomqtt.Will(WILL_TOPIC, WILL_PAYLOAD, qos=1),
        **options(job),
    ) as client:
        if job.subscribes:
            await client.subscribe(job.filter, qos=2)
        if job.task == "vanish":
            die()
        for topic, payload, qos, retain in job.publishes:
            await client.publish(topic, payload, qos=qos, retain=retain)
        async with asyncio.timeout(LIMIT_S):
            while not job.is_complete:
                message = await anext(client.messages)
                job.take(message.topic, message.payload, message.qos, message.retain)
    job.report()


asyncio.run(main())
