"""distmqtt: deliver_message() in a loop (a subscription breaks when 100 messages wait).

publish() awaits the acknowledgement, so several tasks call it.
"""

from __future__ import annotations

from common import Job, run_async
from distmqtt.client import open_mqttclient
from workers import publish_by_workers


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    async with open_mqttclient(job.uri, config={"cafile": job.cafile}) as client:
        for some in job.others:
            await client.subscribe([(other, job.qos) for other in some])
        job.start()
        await client.subscribe([(job.topic, job.qos)])
        while tally.n < count:
            await client.deliver_message()
            tally.n += 1
        await job.finish()


async def publish(job: Job) -> None:
    async with open_mqttclient(job.uri, config={"cafile": job.cafile}) as client:
        job.start()
        await publish_by_workers(job, client.publish, job.qos)


if __name__ == "__main__":
    run_async(receive, publish)
