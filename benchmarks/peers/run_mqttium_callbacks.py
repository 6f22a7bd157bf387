"""mqttium with message_delivery="callback": its faster, synchronous way to receive."""

from __future__ import annotations

import asyncio

from common import HOST, Job, run_async
from mqttium.api import AsyncClient


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    done = asyncio.Event()

    def on_message(*_: object) -> None:
        tally.n += 1
        if tally.n == count:
            job.stop()
            done.set()

    client = AsyncClient("bench", message_delivery="callback")
    client.on_message = on_message
    await client.connect(HOST, job.port, ssl=job.tls)
    for some in job.others:
        await client.subscribe(some, qos=job.qos)
    job.start()
    await client.subscribe(job.topic, qos=job.qos)
    await done.wait()
    job.report()


async def publish(job: Job) -> None:
    job.report("publishing does not differ: see mqttium")


if __name__ == "__main__":
    run_async(receive, publish)
