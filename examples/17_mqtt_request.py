"""Ask a service for something by MQTT 5.0, and set a deadline for its answer.

Run:
    python examples/17_mqtt_request.py
    python examples/17_mqtt_request.py mqtt://127.0.0.1:1883/

Prints:
    2 + 3 = 5
    20 + 22 = 42
    nobody serves examples/17/nobody
"""

from __future__ import annotations

import sys

import anyio
from anyio.abc import TaskStatus

from structiot.mqtt import MqttClient, PublishProperties, open_mqttclient
from structiot.mqtt.broker import open_broker


async def serve(client: MqttClient, *, task_status: TaskStatus[None]) -> None:
    """Answer where the request says, with what it is to be known by."""
    async with client.subscription("examples/17/add", qos=1, codec="json") as requests:
        task_status.started()
        async for request in requests:
            asked = request.properties
            if asked is not None and (topic := asked.response_topic) is not None:
                known_by = PublishProperties(correlation_data=asked.correlation_data)
                total = sum(request.data)
                await client.publish(topic, total, codec="json", properties=known_by)


async def ask(uri: str) -> None:
    """The deadline is anyio's own, as for everything else that waits."""
    async with open_mqttclient(uri) as client, anyio.create_task_group() as tg:
        await tg.start(serve, client)
        for a, b in ((2, 3), (20, 22)):
            reply = await client.request("examples/17/add", [a, b], codec="json")
            print(f"{a} + {b} = {reply.data}")
        with anyio.move_on_after(0.2) as deadline:
            await client.request("examples/17/nobody", [], codec="json")
        if deadline.cancelled_caught:
            print("nobody serves examples/17/nobody")
        tg.cancel_scope.cancel()


async def main() -> None:
    """Give the address of a broker; without one, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await ask(sys.argv[1] if len(sys.argv) > 1 else broker.uri)


anyio.run(main)
