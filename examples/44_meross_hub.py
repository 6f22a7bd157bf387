"""Read what hangs on a Meross hub, and set a radiator valve.

Run:
    python examples/44_meross_hub.py

Prints:
    mts100v3: window_open=False, battery=92.0
    ms100: temperature=21.4, humidity=48.0, battery=92.0
    ms130: temperature=21.4, humidity=48.0, battery=92.0
    ms200: door=False, battery=92.0
    ms405: leak=False, battery=92.0
    gs559: smoke=False, battery=92.0
    the valve has woken up and wants 19.5 °C
"""

from __future__ import annotations

import sys

import anyio

from structiot import open_meross, open_meross_lan
from structiot.meross import MerossDevice
from structiot.model import ClimateState, StateChange
from structiot.sim import sim_meross_device

SHOWN = ("temperature", "humidity", "window_open", "door", "leak", "smoke", "battery")


async def show(hub: MerossDevice) -> None:
    """A valve sleeps: it hears of a command when it wakes up."""
    await hub.known()
    for device in hub.subdevices.values():
        states = [f"{k}={device.states[k]}" for k in SHOWN if k in device.states]
        print(f"{device.info.model}: {', '.join(states)}")
    valve = next(one for one in hub.subdevices.values() if "valve" in one.states)
    await valve.command("valve", ClimateState(target_c=19.5, preset="custom"))
    async with valve.events() as events:
        async for event in events:
            match event:
                case StateChange(state=ClimateState(target_c=19.5)):
                    print("the valve has woken up and wants 19.5 °C")
                    break


async def main() -> None:
    """Give the file in which example 40 keeps the token, and the name of a hub."""
    if len(sys.argv) > 2:
        store, name = sys.argv[1:]
        async with open_meross(store=store) as meross:
            return await show(meross.device(name))
    async with (
        sim_meross_device("127.0.0.84", model="msh300hk", http_port=0) as sim,
        open_meross_lan(sim.host, sim.http_port, key=sim.key) as hub,
    ):
        return await show(hub)


anyio.run(main)
