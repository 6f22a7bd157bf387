"""aiomqtt: async for over client.messages; publish() awaits, so several tasks call it."""

from __future__ import annotations

import aiomqtt
from common import HOST, Job, run_async
from workers import publish_by_workers


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    async with aiomqtt.Client(HOST, job.port, tls_context=job.tls) as client:
        for some in job.others:
            await client.subscribe([(other, job.qos) for other in some])
        job.start()
        await client.subscribe(job.topic, job.qos)
        async for _message in client.messages:
            tally.n += 1
            if tally.n == count:
                await job.finish()


async def publish(job: Job) -> None:
    async with aiomqtt.Client(
        HOST, job.port, tls_context=job.tls, max_inflight_messages=job.window
    ) as client:
        client.pending_calls_threshold = job.window
        job.start()
        await publish_by_workers(job, client.publish, job.qos)


if __name__ == "__main__":
    run_async(receive, publish)
