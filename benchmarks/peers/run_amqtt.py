"""amqtt: deliver_message() in a loop; publish() awaits, so several tasks call it."""

from __future__ import annotations

from amqtt.client import MQTTClient
from common import Job, run_async
from workers import publish_by_workers


async def connected_client(job: Job) -> MQTTClient:
    client = MQTTClient(config={"auto_reconnect": False, "keep_alive": 60})
    await client.connect(job.uri, cafile=job.cafile)
    return client


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    client = await connected_client(job)
    for some in job.others:
        await client.subscribe([(other, job.qos) for other in some])
    job.start()
    await client.subscribe([(job.topic, job.qos)])
    while tally.n < count:
        await client.deliver_message()
        tally.n += 1
    await job.finish()


async def publish(job: Job) -> None:
    client = await connected_client(job)
    job.start()
    await publish_by_workers(job, client.publish, job.qos)


if __name__ == "__main__":
    run_async(receive, publish)
