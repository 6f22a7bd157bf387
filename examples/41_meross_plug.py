"""Switch a Meross plug, and meter what it feeds.

Run:
    python examples/41_meross_plug.py

Prints:
    Kettle is on and draws 2000.0 W at 230.4 V
    Kettle is off
    it was spoken to by way of: lan
"""

from __future__ import annotations

import sys

import anyio

from structiot import open_meross
from structiot.meross import MerossDevice
from structiot.sim import sim_meross_cloud, sim_meross_device


async def show(plug: MerossDevice) -> None:
    """What a device can is asked of it after the opening; a command waits for that."""
    await plug.turn_on()
    async with plug.readings() as readings:
        reading = await anext(readings)
        draws = f"draws {reading.power_w} W at {reading.voltage_v} V"
        print(f"{plug.info.name} is {'on' if reading.is_on else 'off'} and {draws}")
    await plug.turn_off()
    print(f"{plug.info.name} is {'on' if plug.states['switch'] else 'off'}")
    print("it was spoken to by way of:", plug.route.last_transport)


async def main() -> None:
    """Give the file in which example 40 keeps the token, and the name of a plug."""
    if len(sys.argv) > 2:
        store, name = sys.argv[1:]
        async with open_meross(store=store) as meross:
            return await show(meross.device(name))
    async with (
        sim_meross_cloud() as cloud,
        sim_meross_device(
            "127.0.0.81", name="Kettle", loads=[2000], cloud=cloud, http_port=0
        ) as sim,
        open_meross(
            email=cloud.email,
            password=cloud.password,
            url=cloud.url,
            lan_ports={sim.host: sim.http_port},
            store=None,
        ) as meross,
    ):
        return await show(meross.device("Kettle"))


anyio.run(main)
