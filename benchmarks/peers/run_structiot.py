"""structiot: async for over a subscription; publish(), or publish_soon() and receipts."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque

from common import Job, run_async

from structiot.mqtt import open_mqttclient


def config_of(job: Job) -> dict[str, str]:
    config = {"protocol": "3.1.1"}
    return config | {"cafile": job.cafile} if job.cafile else config


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    async with open_mqttclient(job.uri, config=config_of(job)) as client:
        blocks = contextlib.AsyncExitStack()
        for other in itertools.chain(*job.others):
            await blocks.enter_async_context(client.subscription(other, qos=job.qos))
        job.start()
        async with client.subscription(job.topic, qos=job.qos) as messages:
            async for _message in messages:
                tally.n += 1
                if tally.n == count:
                    await job.finish()


async def publish(job: Job) -> None:
    payload, qos = job.payload, job.qos
    async with open_mqttclient(job.uri, config=config_of(job)) as client:
        job.start()
        if qos == 0:
            for topic in job.each_topic():
                await client.publish(topic, payload)
            await job.finish()
        waiting: deque[object] = deque()
        for topic in job.each_topic():
            if len(waiting) == job.window:
                await waiting.popleft().wait()  # type: ignore[attr-defined]
            waiting.append(await client.publish_soon(topic, payload, qos=qos))
        for receipt in waiting:
            await receipt.wait()  # type: ignore[attr-defined]
        await job.finish()


if __name__ == "__main__":
    run_async(receive, publish)
