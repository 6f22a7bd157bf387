"""Whoever sees a device come may command it in the same moment."""

from __future__ import annotations

import anyio
import pytest

from structiot import Availability, load_config, open_gateway, open_mqttclient
from structiot.gateway import CommandDone, DeviceUpdate
from structiot.mqtt.broker import open_broker
from structiot.sim import fault_proxy, sim_maxsmart

pytestmark = pytest.mark.virtual_time

STRIP = {"host": "192.168.1.50", "name": "kitchen"}


async def test_commands_are_heard_before_there_is_a_device(environment):
    async with (
        open_broker("mqtt://127.0.0.1:0", environment=environment) as broker,
        fault_proxy(
            "127.0.0.1", int(broker.uri.rpartition(":")[2]), environment=environment
        ) as proxy,
        sim_maxsmart(STRIP["host"], environment=environment),
        open_mqttclient(broker.uri, environment=environment) as client,
    ):
        # A slow way to the broker, and a device that is there at once.
        proxy.bytes_per_s = 400
        host, port = proxy.address
        config = load_config(
            {
                "mqtt": {"uri": f"mqtt://{host}:{port}"},
                "maxsmart": {"discover": False, "devices": [STRIP]},
            }
        )
        with anyio.fail_after(300):
            async with (
                open_gateway(config, environment=environment) as gateway,
                gateway.events() as events,
            ):
                async for event in events:
                    match event:
                        case DeviceUpdate(event=Availability(is_available=True)):
                            topic = "structiot/kitchen/port_2/set"
                            await client.publish(topic, b"OFF")
                        case CommandDone(entity="port_2"):
                            break
