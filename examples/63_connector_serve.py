"""Handle commands of several devices at once, bounded; an error is an answer, too.

Run:
    python examples/63_connector_serve.py

Prints:
    lamp-4: error: it has burnt out
    lamp-1: on
    lamp-2: on
    lamp-3: on
    all took as long as one
"""

from __future__ import annotations

from functools import partial

import anyio

from structiot import open_connector
from structiot.connector import Command, Device, DevicePool
from structiot.sim import SeplPlatformSim, sim_sepl_platform


async def handle(command: Command) -> bool:
    """Switch a lamp, which takes its time; commands of one device come in order."""
    if command.device_id == "lamp-4":
        return await command.fail("it has burnt out")
    await anyio.sleep(0.2 * int(command.device_id[-1]))
    return await command.respond("on")


async def switch(platform: SeplPlatformSim, lamp: str) -> None:
    """Be the platform: have a lamp be on."""
    told = await platform.send_command(lamp, "on", {"data": "1"})
    print(f"{lamp}: {told.data or told.metadata}")


async def main() -> None:
    """At most four are handled at once; others wait."""
    devices = DevicePool()
    for number in range(1, 5):
        devices.add(Device(f"lamp-{number}", "iot#lamp", "Lamp"))
    async with (
        sim_sepl_platform() as platform,
        open_connector(platform.config, devices, wait_ready=True) as connector,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(partial(connector.serve, handle, limit=4))
        began = anyio.current_time()
        async with anyio.create_task_group() as switching:
            for name in sorted(connector.devices):
                switching.start_soon(switch, platform, name)
        took_s = anyio.current_time() - began
        print("all took as long as", "one" if took_s < 1 else f"{took_s:.1f} s")
        tasks.cancel_scope.cancel()


anyio.run(main)
