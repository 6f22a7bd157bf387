"""List the names of a power strip's ports, as its owner gave them.

Run:
    python examples/22_maxsmart_port_names.py

Prints:
    Desk, firmware 1.30
    1: Port 1
    2: Lamp
    3: Port 3
    4: Port 4
    5: Port 5
    6: Port 6
"""

from __future__ import annotations

import sys

import anyio

from structiot import maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import sim_maxsmart

HOST = "127.0.0.64"


async def show(strip: MaxSmartStrip) -> None:
    """Firmware that keeps no names gives `Port 1` and so on."""
    print(f"{strip.info.name}, firmware {strip.info.firmware}")
    for port, name in enumerate(await strip.retrieve_port_names(), start=1):
        print(f"{port}: {name}")


async def main() -> None:
    """Give the address of a strip, or none to have one simulated."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            await show(strip)
        return
    async with (
        sim_maxsmart(HOST, name="Desk", http_port=18064, udp_port=18864),
        maxsmart_device(HOST, http_port=18064, udp_port=18864) as strip,
    ):
        await strip.change_port_name(2, "Lamp")
        await show(strip)


anyio.run(main)
