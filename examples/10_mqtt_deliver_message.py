"""Subscribe the way of distmqtt: one queue for the whole client.

Run:
    python examples/10_mqtt_deliver_message.py mqtt://127.0.0.1:1883/

Prints:
    1: $SYS/broker/uptime => b'... seconds'
    2: $SYS/broker/load/messages/received/1min => b'...'
    3: $SYS/broker/load/messages/received/5min => b'...'
"""

from __future__ import annotations

import sys

import anyio

from structiot.mqtt import QOS_1, QOS_2, ClientException, open_mqttclient


async def main() -> None:
    """Read a few figures that the broker publishes about itself."""
    try:
        async with open_mqttclient(sys.argv[1]) as client:
            await client.subscribe(
                [("$SYS/broker/uptime", QOS_1), ("$SYS/broker/load/#", QOS_2)]
            )
            for i in range(1, 4):
                message = await client.deliver_message()
                if message is None:
                    break
                packet = message.publish_packet
                topic = packet.variable_header.topic_name
                print(f"{i}: {topic} => {packet.payload.data!r}")
            await client.unsubscribe(["$SYS/broker/uptime", "$SYS/broker/load/#"])
    except ClientException as error:
        print(f"Client exception: {error}")


anyio.run(main)
