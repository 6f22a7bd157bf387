"""Settings by distmqtt's names: defaults by topic, and codecs with parameters.

Run:
    python examples/13_mqtt_configuration.py
    python examples/13_mqtt_configuration.py mqtt://127.0.0.1:1883/

Prints:
    examples/13/test came at QoS 1: True from b'on'
    examples/13/some_topic came at QoS 2: False from b'no'
    examples/13/test came at QoS 0: True from b'ON'
"""

from __future__ import annotations

import sys

import anyio

from structiot.mqtt import open_mqttclient
from structiot.mqtt.broker import open_broker

config = {
    "keep_alive": 10,
    "reconnect_retries": 10,
    "topics": {
        "examples/13/test": {"qos": 1},
        "examples/13/some_topic": {"qos": 2, "retain": False},
    },
    "codec": "utf8",
    "codec_params": {
        "bool": {"on": "on", "off": "off"},
        "BOOL": {"on": "ON", "off": "OFF", "name": "bool"},
        "yesno": {"on": "yes", "off": "no", "name": "bool"},
    },
}


async def publish_and_read(uri: str) -> None:
    """Publish with three ways of saying yes and no, and read them back."""
    async with open_mqttclient(uri, config=config) as client:
        for topic, codec, value, qos in (
            ("examples/13/test", "bool", True, None),
            ("examples/13/some_topic", "yesno", False, None),
            ("examples/13/test", "BOOL", True, 0),
        ):
            async with client.subscription(topic, qos=2, codec=codec) as messages:
                await client.publish(topic, value, qos=qos, codec=codec)
                message = await anext(messages)
                said = f"{message.data} from {message.payload!r}"
                print(f"{topic} came at QoS {message.qos}: {said}")


async def main() -> None:
    """Give the address of a broker; without one, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await publish_and_read(sys.argv[1] if len(sys.argv) > 1 else broker.uri)


anyio.run(main)
