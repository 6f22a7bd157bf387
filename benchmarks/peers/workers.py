"""For clients whose publish() awaits the acknowledgement: many tasks call it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from common import Job

Publish = Callable[..., Awaitable[Any]]


async def publish_by_workers(job: Job, publish: Publish, qos: Any) -> None:
    """QoS 0: one task, in order. QoS 1 and 2: as many tasks as the job's window."""
    if job.qos == 0:
        for topic in job.each_topic():
            await publish(topic, job.payload, qos=qos)
        await job.finish()
    topics = job.each_topic()

    async def worker() -> None:
        payload = job.payload
        for topic in topics:
            await publish(topic, payload, qos=qos)

    await run_many(job, worker)
    await job.finish()


async def run_many(job: Job, worker: Callable[[], Awaitable[None]]) -> None:
    if job.loop == "trio":
        import trio  # noqa: PLC0415 - only where it is installed

        async with trio.open_nursery() as nursery:
            for _ in range(job.window):
                nursery.start_soon(worker)
    else:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(job.window):
                tasks.create_task(worker())  # type: ignore[arg-type]
