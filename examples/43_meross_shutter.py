"""Move a Meross shutter or garage door, and watch it travel.

Run:
    python examples/43_meross_shutter.py

Prints:
    opening at 0 %...
    stopped at 10 %
    closing at 10 %...
    closed at 0 %
"""

from __future__ import annotations

import sys

import anyio

from structiot import open_meross, open_meross_lan
from structiot.meross import MerossDevice
from structiot.model import Cover, CoverAction, CoverMotion, CoverState, StateChange
from structiot.sim import sim_meross_device


async def show(device: MerossDevice) -> None:
    """A garage door has no position: a contact tells that it is closed, or not."""
    await device.known()
    cover = next(one for one in device.entities if isinstance(one, Cover))
    to_ten = (10, CoverMotion.STOPPED)
    opened = to_ten if cover.has_position else (CoverAction.OPEN, CoverMotion.OPEN)
    for order, there in (opened, (CoverAction.CLOSE, CoverMotion.CLOSED)):
        await device.command(cover.key, order)
        async with device.events() as events:
            async for event in events:
                match event:
                    case StateChange(state=CoverState() as state):
                        print(f"{state.motion} at {state.position_percent} %")
                        if state.motion is there:
                            break


async def main() -> None:
    """Give the file in which example 40 keeps the token, and the name of a cover."""
    if len(sys.argv) > 2:
        store, name = sys.argv[1:]
        async with open_meross(store=store) as meross:
            return await show(meross.device(name))
    async with (
        sim_meross_device("127.0.0.83", model="mrs100", http_port=0) as sim,
        open_meross_lan(sim.host, sim.http_port, key=sim.key) as device,
    ):
        return await show(device)


anyio.run(main)
