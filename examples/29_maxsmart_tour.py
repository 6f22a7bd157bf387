"""See all of a power strip: find it, learn what it can, meter, switch, watch, check.

Run:
    python examples/29_maxsmart_tour.py

Prints:
    known by its cpu_id
    it can: statistics, rename, port_names, clock, identifiers
    port 1 draws 60.0 W
    now 0.0 W, before 60.0 W
    port 1 is off
    healthy: True
"""

from __future__ import annotations

import sys

import anyio

from structiot import maxsmart_device
from structiot.maxsmart import MaxSmartStrip, PowerChanged
from structiot.sim import sim_maxsmart

HOST = "127.0.0.72"


async def tour(strip: MaxSmartStrip) -> None:
    """Port 1 is switched off by it, and on again."""
    print("known by its", (await strip.get_device_identifiers()).best.kind)
    print("it can:", ", ".join(what for what, can in strip.capabilities.items() if can))
    async with strip.readings() as readings, strip.changes() as changes:
        print(f"port 1 draws {(await anext(readings)).power_w} W")
        await strip.turn_off(1)
        async for change in changes:
            if isinstance(change, PowerChanged):
                print(f"now {change.power_w} W, before {change.previous_w} W")
            else:
                print(f"port {change.port} is {'on' if change.is_on else 'off'}")
                break
    await strip.turn_on(1)
    print("healthy:", (await strip.health_check()).is_reachable)


async def main() -> None:
    """Give the address of a strip, or none to have one simulated."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            return await tour(strip)
    async with (
        sim_maxsmart(HOST, loads=[60] * 6, http_port=18072, udp_port=18872),
        maxsmart_device(HOST, http_port=18072, udp_port=18872) as strip,
    ):
        return await tour(strip)


anyio.run(main)
