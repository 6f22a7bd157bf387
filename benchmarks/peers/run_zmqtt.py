"""zmqtt: async for over a subscription; publish() awaits, so several tasks call it."""

from __future__ import annotations

import contextlib

from common import HOST, Job, run_async
from workers import publish_by_workers
from zmqtt import QoS, create_client


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    async with create_client(HOST, job.port, tls=job.tls or False) as client:
        blocks = contextlib.AsyncExitStack()
        for some in job.others:
            one = client.subscribe(*some, qos=QoS(job.qos))
            await blocks.enter_async_context(one)
        job.start()
        async with client.subscribe(job.topic, qos=QoS(job.qos)) as messages:
            async for _message in messages:
                tally.n += 1
                if tally.n == count:
                    await job.finish()


async def publish(job: Job) -> None:
    async with create_client(HOST, job.port, tls=job.tls or False) as client:
        job.start()
        await publish_by_workers(job, client.publish, QoS(job.qos))


if __name__ == "__main__":
    run_async(receive, publish)
