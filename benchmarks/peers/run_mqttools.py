"""mqttools (MQTT 5.0 and QoS 0 only): the client's queue; publish() is a plain call."""

from __future__ import annotations

import asyncio
import itertools

from common import HOST, Job, run_async
from mqttools import Client, Message

YIELD_EVERY = 100
YIELD_EVERY_BYTES = 65_536


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    async with Client(HOST, job.port, connect_delays=[], ssl=job.tls) as client:
        for other in itertools.chain(*job.others):
            await client.subscribe(other)
        job.start()
        await client.subscribe(job.topic)
        messages = client.messages
        while tally.n < count:
            await messages.get()
            tally.n += 1
        await job.finish()


async def publish(job: Job) -> None:
    async with Client(HOST, job.port, connect_delays=[], ssl=job.tls) as client:
        payload = job.payload
        job.start()
        every = max(1, min(YIELD_EVERY, YIELD_EVERY_BYTES // len(payload)))
        for i, topic in enumerate(job.each_topic()):
            client.publish(Message(topic, payload))
            if i % every == 0:
                await asyncio.sleep(0)
        await job.finish()


if __name__ == "__main__":
    run_async(receive, publish)
