"""amqtt: deliver_message() in a loop."""

from __future__ import annotations

import asyncio

from amqtt.client import MQTTClient
from scenario import LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die


async def main() -> None:
    job = Job("amqtt")
    will = {
        "topic": WILL_TOPIC,
        "message": WILL_PAYLOAD.decode(),
        "qos": 1,
        "retain": False,
    }
    config = {"auto_reconnect": False, "keep_alive": 60, "will": will}
    client = MQTTClient(client_id=job.client_id, config=config)
    await client.connect(job.uri, cleansession=not job.lasts)
    if job.subscribes:
        await client.subscribe([(job.filter, 2)])
    if job.task == "vanish":
        die()
    for topic, payload, qos, retain in job.publishes:
        await client.publish(topic, payload, qos=qos, retain=retain)
    while not job.is_complete:
        message = await client.deliver_message(timeout_duration=LIMIT_S)
        packet = message.publish_packet
        job.take(message.topic, message.data, message.qos, packet.retain_flag)
    await client.disconnect()
    job.report()


asyncio.run(main())
