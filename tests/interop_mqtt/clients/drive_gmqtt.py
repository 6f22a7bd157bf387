"""gmqtt: callbacks on asyncio."""

from __future__ import annotations

import asyncio

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from scenario import HOST, LASTS_S, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job("gmqtt")
    subscribed, complete = asyncio.Event(), asyncio.Event()

    def on_message(client, topic, payload, qos, properties):
        job.take(topic, payload, qos, properties.get("retain", False))
        if job.is_complete:
            complete.set()
        return 0

    client = gmqtt.Client(
        job.client_id,
        clean_session=not job.lasts,
        will_message=gmqtt.Message(WILL_TOPIC, WILL_PAYLOAD, qos=1),
        session_expiry_interval=LASTS_S if job.lasts else 0,
    )
    client.on_message = on_message
    client.on_subscribe = lambda *args: subscribed.set()
    version = MQTTv50 if job.is_v5 else MQTTv311
    await client.connect(HOST, job.port, version=version)
    async with asyncio.timeout(LIMIT_S):
        if job.subscribes:
            client.subscribe(job.filter, qos=2)
            await subscribed.wait()
        if job.task == "vanish":
            die()
        for topic, payload, qos, retain in job.publishes:
            client.publish(topic, payload, qos=qos, retain=retain)
        if job.expected:
            await complete.wait()
    await client.disconnect()
    job.report()


asyncio.run(main())
