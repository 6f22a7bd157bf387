"""Run the gateway in a program: a power strip on a broker, switched by a message.

Run:
    python examples/05_gateway.py
    python examples/05_gateway.py mqtt://127.0.0.1:1883/

Prints:
    kitchen is available
    port_2 was told OFF
    examples05/kitchen/port_2/state is OFF
"""

from __future__ import annotations

import sys

import anyio

from structiot import Availability, load_config, open_gateway, open_mqttclient
from structiot.gateway import CommandDone, DeviceUpdate
from structiot.mqtt.broker import open_broker
from structiot.sim import sim_maxsmart

STRIP = {"host": "127.0.0.51", "name": "kitchen", "http_port": 18080, "udp_port": 18888}
MAXSMART = {"discover": False, "devices": [STRIP]}


async def switch(uri: str) -> None:
    """The configuration is a mapping here; it may also be the path of a TOML file."""
    mqtt = {"uri": uri, "base_topic": "examples05"}
    async with (
        sim_maxsmart("127.0.0.51", http_port=18080, udp_port=18888),
        open_gateway(load_config({"mqtt": mqtt, "maxsmart": MAXSMART})) as gateway,
        open_mqttclient(uri) as client,
        gateway.events() as events,
    ):
        async for event in events:
            match event:
                case DeviceUpdate(device=name, event=Availability(is_available=True)):
                    print(f"{name} is available")
                    await client.publish("examples05/kitchen/port_2/set", b"OFF")
                case CommandDone():
                    print(f"{event.entity} was told {event.payload}")
                    break
        topic = "examples05/kitchen/port_2/state"
        async with client.subscription(topic, codec="utf8") as states:
            async for state in states:
                if state.data == "OFF":
                    print(f"{state.topic} is {state.data}")
                    break


async def main() -> None:
    """Give the address of a broker; without one, an embedded one is used."""
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        await switch(sys.argv[1] if len(sys.argv) > 1 else broker.uri)


anyio.run(main)
