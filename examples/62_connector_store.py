"""Keep the offered devices in a file: who starts again sends nothing that is known.

Run:
    python examples/62_connector_store.py

Prints:
    offered: clear, put, put, commit
    the platform has taken another name: True
    again: nothing is sent
    Desk lamp, Fan
"""

from __future__ import annotations

import anyio

from structiot import open_connector
from structiot.connector import Device, DeviceStore
from structiot.sim import SeplPlatformSim, sim_sepl_platform

STORE = "devices.sqlite"


def sent(platform: SeplPlatformSim) -> str:
    """Name what the platform was sent behind the handshake, and forget it."""
    names = [one.handler for one in platform.messages if one.handler != "handshake"]
    platform.messages.clear()
    return ", ".join(names) or "nothing is sent"


async def main() -> None:
    """The methods of a store are plain functions, usable before there is a connector."""
    async with sim_sepl_platform() as platform:
        with DeviceStore(STORE) as store:
            store.add(Device("lamp-1", "iot#lamp", "Lamp"))
            store.add(Device("fan-1", "iot#fan", "Fan"))
            async with open_connector(
                platform.config, devices=store, wait_ready=True
            ) as connector:
                print(f"offered: {sent(platform)}")
                lamp = connector.devices["lamp-1"]
                lamp.name = "Desk lamp"
                taken = await connector.update(lamp)
                print(f"the platform has taken another name: {taken}")
        gid = next(iter(platform.gateways))
        platform.messages.clear()
        # The gateway id: a connector.conf keeps it by itself.
        config = {**platform.config, "gid": gid}
        with DeviceStore(STORE) as store:
            async with open_connector(config, devices=store, wait_ready=True):
                print(f"again: {sent(platform)}")
            print(", ".join(device.name for device in store.devices().values()))


anyio.run(main)
