"""distmqtt: deliver_message() in a loop, on trio."""

from __future__ import annotations

import trio
from distmqtt.client import open_mqttclient
from scenario import LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job("distmqtt")
    will = {"topic": WILL_TOPIC, "message": WILL_PAYLOAD, "qos": 1, "retain": False}
    config = {"will": will, "cleansession": not job.lasts}
    async with open_mqttclient(job.uri, job.client_id, config) as client:
        if job.subscribes:
            await client.subscribe([(job.filter, 2)])
        if job.task == "vanish":
            die()
        for topic, payload, qos, retain in job.publishes:
            await client.publish(topic, payload, qos=qos, retain=retain)
        with trio.fail_after(LIMIT_S):
            while not job.is_complete:
                message = await client.deliver_message()
                packet = message.publish_packet
                job.take(message.topic, packet.data, message.qos, packet.retain_flag)
    job.report()


trio.run(main)
