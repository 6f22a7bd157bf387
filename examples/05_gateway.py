"""Run the gateway in a program: a power strip on a broker, switched by a message.

Run:
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
from structiot.sim import sim_maxsmart

STRIP = {"host": "127.0.0.51", "name": "kitchen", "http_port": 18080, "udp_port": 18888}


async def main() -> None:
    """The configuration is a mapping here; it may also be the path of a TOML file."""
    config = load_config(
        {
            "mqtt": {"uri": sys.argv[1], "base_topic": "examples05"},
            "maxsmart": {"discover": False, "devices": [STRIP]},
        }
    )
    async with (
        sim_maxsmart("127.0.0.51", http_port=18080, udp_port=18888),
        open_gateway(config) as gateway,
        open_mqttclient(sys.argv[1]) as client,
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


anyio.run(main)
