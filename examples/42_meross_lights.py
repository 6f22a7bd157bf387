"""Set a Meross light: colour, white and brightness.

Run:
    python examples/42_meross_lights.py

Prints:
    it can: brightness, color_temp, rgb
    LightState(is_on=True, brightness_percent=60, ... rgb=(255, 128, 0), ...)
    LightState(is_on=True, brightness_percent=30, color_temp_k=2700, rgb=None, ...)
    LightState(is_on=False, ...)
"""

from __future__ import annotations

import sys

import anyio

from structiot import open_meross, open_meross_lan
from structiot.meross import MerossDevice
from structiot.model import Light, LightState
from structiot.sim import sim_meross_device


async def show(lamp: MerossDevice) -> None:
    """What a command leaves None stays as it is."""
    await lamp.known()
    light = next(one for one in lamp.entities if isinstance(one, Light))
    print("it can:", ", ".join(sorted(light.color_modes)))
    for command in (
        LightState(rgb=(255, 128, 0), brightness_percent=60),
        LightState(color_temp_k=2700, brightness_percent=30),
        LightState(is_on=False),
    ):
        await lamp.command(light.key, command)
        print(lamp.states[light.key])


async def main() -> None:
    """Give the file in which example 40 keeps the token, and the name of a lamp."""
    if len(sys.argv) > 2:
        store, name = sys.argv[1:]
        async with open_meross(store=store) as meross:
            return await show(meross.device(name))
    async with (
        sim_meross_device("127.0.0.82", model="msl320cpr", http_port=0) as sim,
        open_meross_lan(sim.host, sim.http_port, key=sim.key) as device,
    ):
        return await show(device)


anyio.run(main)
