"""gmqtt: callbacks on asyncio."""

from __future__ import annotations

import asyncio

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from scenario import FILTER, HOST, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job()
    subscribed, complete = asyncio.Event(), asyncio.Event()

    def on_message(client, topic, payload, qos, properties):
        job.take(topic, payload, qos, properties.get("retain", False))
        if job.is_complete:
            complete.set()
        return 0

    will = gmqtt.Message(WILL_TOPIC, WILL_PAYLOAD, qos=1)
    client = gmqtt.Client("gmqtt", will_message=will)
    client.on_message = on_message
    client.on_subscribe = lambda *args: subscribed.set()
    version = MQTTv50 if job.is_v5 else MQTTv311
    await client.connect(HOST, job.port, version=version)
    client.subscribe(FILTER, qos=2)
    async with asyncio.timeout(LIMIT_S):
        await subscribed.wait()
        if job.task == "vanish":
            die()
        for topic, payload, qos in job.messages:
            client.publish(topic, payload, qos=qos)
        await complete.wait()
    await client.disconnect()
    job.report()


asyncio.run(main())
