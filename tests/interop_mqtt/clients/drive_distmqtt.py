"""distmqtt: deliver_message() in a loop, on trio."""

from __future__ import annotations

import trio
from distmqtt.client import open_mqttclient
from scenario import FILTER, HOST, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job()
    will = {"topic": WILL_TOPIC, "message": WILL_PAYLOAD, "qos": 1, "retain": False}
    async with open_mqttclient(
        f"mqtt://{HOST}:{job.port}/", "distmqtt", {"will": will}
    ) as client:
        await client.subscribe([(FILTER, 2)])
        if job.task == "vanish":
            die()
        for topic, payload, qos in job.messages:
            await client.publish(topic, payload, qos=qos)
        with trio.fail_after(LIMIT_S):
            while not job.is_complete:
                message = await client.deliver_message()
                packet = message.publish_packet
                job.take(message.topic, packet.data, message.qos, packet.retain_flag)
    job.report()


trio.run(main)
