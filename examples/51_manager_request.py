"""Ask a device and wait for its answer; send to all devices of a type.

Run:
    python examples/51_manager_request.py

Prints:
    the sensor answers {"temperature_c":21.0,"humidity_percent":45}
    switched on: 3 lamps
    not delivered: 00000000-0000-0000-0000-0000000000ff is not connected
    a lamp says {"is_on":false}
"""

from __future__ import annotations

import anyio

from structiot import open_manager
from structiot.manager import Manager
from structiot.sim import sim_devices

SENSOR = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
NOBODY = "00000000-0000-0000-0000-0000000000ff"


async def show(manager: Manager) -> None:
    """What a device sends next is the answer, and told to nobody else."""
    sensor = manager.clients[SENSOR]
    with anyio.fail_after(5):
        print("the sensor answers", (await sensor.request("state")).decode())
    report = await manager.send_type("lamp", "on")
    print("switched on:", len(report.delivered), "lamps")
    report = await manager.send(NOBODY, "on")
    for error in report.failed.values():
        print("not delivered:", error)
    lamp = next(one for one in manager.clients.values() if one.type == "lamp")
    async with lamp.messages() as messages:
        await lamp.send("off")
        async for data in messages:
            if b"false" in data:
                print("a lamp says", data.decode())
                break


async def main() -> None:
    """Dialect D4 has frames: what a device sends is what is received."""
    async with (
        open_manager(["lamp", "sensor"], port=0, dialect="D4") as manager,
        sim_devices(3, type="lamp", port=manager.port, dialect="D4"),
        sim_devices(type="sensor", port=manager.port, dialect="D4", uuids=[SENSOR]),
    ):
        async with manager.events() as events:
            while len(manager.clients) < 4:
                await anext(events)
        await show(manager)


anyio.run(main)
