"""gmqtt: on_message callback; publish() is a plain call, the store knows when it is empty."""

from __future__ import annotations

import asyncio
import itertools

from common import HOST, Job, run_async
from gmqtt import Client, Subscription
from gmqtt.mqtt.constants import MQTTv311
from gmqtt.storage import PersistentStorage

YIELD_EVERY = 100
YIELD_EVERY_BYTES = 65_536


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    done = asyncio.Event()

    def on_message(*_: object) -> int:
        tally.n += 1
        if tally.n == count:
            job.stop()
            done.set()
        return 0

    client = Client("bench")
    client.on_message = on_message
    answered = asyncio.Event()
    client.on_subscribe = lambda *_: answered.set()
    await client.connect(HOST, job.port, ssl=job.tls or False, version=MQTTv311)
    for some in job.others:
        answered.clear()
        client.subscribe([Subscription(other, qos=job.qos) for other in some])
        await answered.wait()
    job.start()
    client.subscribe(job.topic, qos=job.qos)
    await done.wait()
    job.report()


async def publish(job: Job) -> None:
    store = PersistentStorage()
    client = Client("bench", persistent_storage=store)
    await client.connect(HOST, job.port, ssl=job.tls or False, version=MQTTv311)
    topics, payload, qos = job.each_topic(), job.payload, job.qos
    job.start()
    if qos == 0:
        every = max(1, min(YIELD_EVERY, YIELD_EVERY_BYTES // len(payload)))
        for i, topic in enumerate(topics):
            client.publish(topic, payload)
            if i % every == 0:
                await asyncio.sleep(0)
    else:
        for _ in range(0, job.count, job.window):
            for topic in itertools.islice(topics, job.window):
                client.publish(topic, payload, qos=qos)
            await store.wait_empty()
    await job.finish()


if __name__ == "__main__":
    run_async(receive, publish)
