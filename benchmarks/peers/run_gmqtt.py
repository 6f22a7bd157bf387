"""gmqtt: on_message callback; publish() is a plain call, the store knows when it is empty."""

from __future__ import annotations

import asyncio

from common import HOST, Job, run_async
from gmqtt import Client
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
    await client.connect(HOST, job.port, ssl=job.tls or False, version=MQTTv311)
    job.start()
    client.subscribe(job.topic, qos=job.qos)
    await done.wait()
    job.report()


async def publish(job: Job) -> None:
    store = PersistentStorage()
    client = Client("bench", persistent_storage=store)
    await client.connect(HOST, job.port, ssl=job.tls or False, version=MQTTv311)
    topic, payload, qos = job.topic, job.payload, job.qos
    job.start()
    if qos == 0:
        every = max(1, min(YIELD_EVERY, YIELD_EVERY_BYTES // len(payload)))
        for i in range(job.count):
            client.publish(topic, payload)
            if i % every == 0:
                await asyncio.sleep(0)
    else:
        for first in range(0, job.count, job.window):
            for _ in range(min(job.window, job.count - first)):
                client.publish(topic, payload, qos=qos)
            await store.wait_empty()
    await job.finish()


if __name__ == "__main__":
    run_async(receive, publish)
