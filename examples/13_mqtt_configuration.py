"""Settings by distmqtt's names: defaults by topic, and codecs with parameters.

Run:
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

config = {
    "keep_alive": 10,
    "ping_delay": 1,
    "default_qos": 0,
    "default_retain": False,
    "auto_reconnect": True,
    "reconnect_max_interval": 5,
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


async def main() -> None:
    """Publish with three ways of saying yes and no, and read them back."""
    async with open_mqttclient(sys.argv[1], config=config) as client:
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


anyio.run(main)
