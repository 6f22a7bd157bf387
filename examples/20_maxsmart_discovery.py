"""Find power strips: each as it answers, then all at once, then only the first.

Run:
    python examples/20_maxsmart_discovery.py

Prints:
    Desk at 127.0.0.61: firmware 1.30
    Garage at 127.0.0.62: firmware 5.11
    2 in all
    found Desk and looked no further
"""

from __future__ import annotations

import sys

import anyio

from structiot import discover_maxsmart
from structiot.maxsmart import Discovery
from structiot.sim import sim_maxsmart_fleet


def search(hosts: list[str]) -> Discovery:
    """Search among the simulated strips; without any, ask the whole network."""
    if not hosts:
        return discover_maxsmart()
    return discover_maxsmart(broadcast=hosts, udp_port=18861, window_s=0.5)


async def show(hosts: list[str]) -> None:
    """Leaving a loop early leaves nothing open."""
    async for device in search(hosts):
        print(f"{device.name} at {device.host}: firmware {device.firmware}")
    print(len(await search(hosts)), "in all")
    async for device in search(hosts):
        print("found", device.name, "and looked no further")
        break


async def main() -> None:
    """With any word behind the program's name the real network is searched."""
    if sys.argv[1:]:
        await show([])
        return
    async with sim_maxsmart_fleet(
        2,
        family=("mh_strip_130", "revogi_511"),
        names=("Desk", "Garage"),
        first_host="127.0.0.61",
        http_port=0,
        udp_port=18861,
        broadcast=False,
    ) as fleet:
        fleet.sims[1].faults.delay_s = 0.2
        await show([sim.host for sim in fleet.sims])


anyio.run(main)
