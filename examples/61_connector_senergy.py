"""Offer a lamp to the SENERGY platform: the program of example 60, as it is.

Run:
    python examples/61_connector_senergy.py

Prints:
    PlatformResponse(status=200, content_type='', payload=None)
    the lamp is told to be 'on': {"level": 50}
    the platform hears {"status":0}
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import anyio

from structiot import open_connector
from structiot.connector import Connector, Device, DevicePool
from structiot.sim import SenergySim, sim_senergy


async def offer(
    config: str | Mapping[str, object], platform: SenergySim | None = None
) -> None:
    """Tell the platform what a lamp does, and do what it says until it is ended."""
    devices = DevicePool()
    lamp = Device("lamp", "urn:infai:ses:device-type:lamp", "Lamp")
    devices.add(lamp)
    async with open_connector(config, devices, wait_ready=True) as connector:
        print(await connector.event(lamp, "level", {"level": 0}, "percent"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(obey, connector)
            if platform is not None:
                parts = {"data": '{"level": 50}'}
                told = await platform.send_command("lamp", "on", parts)
                print(f"the platform hears {told.parts['data']}")
                tasks.cancel_scope.cancel()


async def obey(connector: Connector) -> None:
    """Answer each command; what the block raises is an answer, too."""
    async with connector.commands() as commands:
        async for command in commands:
            async with command:
                print(f"the lamp is told to be {command.service!r}: {command.data}")
                await command.respond({"status": 0})


async def main() -> None:
    """Give the path of a connector.conf, or nothing to simulate the platform."""
    if len(sys.argv) > 1:
        return await offer(sys.argv[1])
    async with sim_senergy() as platform:
        return await offer(platform.config, platform)


anyio.run(main)
