"""Find power strips: each as it answers, then all at once, then only the first.

Run:
    python examples/20_maxsmart_discovery.py

Prints:
    Desk at 127.0.0.61: firmware 1.30, 6 ports
    Garage at 127.0.0.62: firmware 5.11, 6 ports
    2 in all
    found Desk and looked no further
"""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

import anyio

from structiot import discover_maxsmart
from structiot.maxsmart import Discovery
from structiot.sim import sim_maxsmart_fleet

FAMILIES = ("mh_strip_130", "revogi_511")


def search(hosts: list[str]) -> Discovery:
    """Search among the simulated strips; without any, ask the whole network."""
    if not hosts:
        return discover_maxsmart()
    return discover_maxsmart(broadcast=hosts, udp_port=18861, window_s=0.5)


async def main() -> None:
    """With any word behind the program's name the real network is searched."""
    async with AsyncExitStack() as stack:
        hosts: list[str] = []
        if len(sys.argv) == 1:
            fleet = sim_maxsmart_fleet(
                2,
                family=FAMILIES,
                names=("Desk", "Garage"),
                first_host="127.0.0.61",
                http_port=18061,
                udp_port=18861,
                broadcast=False,
            )
            desk, garage = (await stack.enter_async_context(fleet)).sims
            hosts = [desk.host, garage.host]
            garage.faults.delay_s = 0.2

        async for device in search(hosts):
            about = f"firmware {device.firmware}, {device.port_count} ports"
            print(f"{device.name} at {device.host}: {about}")
        print(len(await search(hosts)), "in all")
        async for device in search(hosts):
            print("found", device.name, "and looked no further")
            break


anyio.run(main)
