"""mqttium: async for over client.messages(); publish_many() with its aggregate receipt."""

from __future__ import annotations

from common import HOST, Job, run_async
from mqttium.api import AsyncClient, PublishMessage


async def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    client = AsyncClient("bench")
    await client.connect(HOST, job.port, ssl=job.tls)
    for some in job.others:
        await client.subscribe(some, qos=job.qos)
    job.start()
    await client.subscribe(job.topic, qos=job.qos)
    async for _message in client.messages():
        tally.n += 1
        if tally.n == count:
            await job.finish()


async def publish(job: Job) -> None:
    client = AsyncClient("bench", max_outbound_inflight=job.window)
    await client.connect(HOST, job.port, ssl=job.tls)
    payload, qos = job.payload, job.qos
    job.start()
    receipt = await client.publish_many(
        PublishMessage(topic, payload, qos=qos) for topic in job.each_topic()
    )
    await receipt.wait()
    await job.finish()


if __name__ == "__main__":
    run_async(receive, publish)
