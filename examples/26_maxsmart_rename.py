"""Rename a power strip and one of its ports, and learn what a firmware takes.

Run:
    python examples/26_maxsmart_rename.py

Prints:
    renamed: TV & "Hi-Fi" +1
    the strip itself: Living room
    1: Port 1, 2: TV & "Hi-Fi" +1, 3: Port 3
    UsageError: 'a name of this length does not fit' has 34 characters; ...
    can a strip of firmware 5.11 be renamed? False
"""

from __future__ import annotations

import sys

import anyio

from structiot import UsageError, maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import sim_maxsmart

HOST, OTHER = "127.0.0.68", "127.0.0.69"


async def rename(strip: MaxSmartStrip) -> None:
    """What comes back is the name that the strip tells from now on."""
    print("renamed:", await strip.change_port_name(2, 'TV & "Hi-Fi" +1'))
    print("the strip itself:", await strip.change_port_name(0, "Living room"))
    names = enumerate((await strip.retrieve_port_names())[:3], start=1)
    print(", ".join(f"{port}: {name}" for port, name in names))
    try:
        await strip.change_port_name(3, "a name of this length does not fit")
    except UsageError as error:
        print(f"{type(error).__name__}: {error}")


async def main() -> None:
    """Give the address of a strip to rename it, or none to have one simulated."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            await rename(strip)
        return
    async with (
        sim_maxsmart(HOST, http_port=18068, udp_port=18868),
        maxsmart_device(HOST, http_port=18068, udp_port=18868) as strip,
    ):
        await rename(strip)
    async with (
        sim_maxsmart(OTHER, family="revogi_511", udp_port=18869),
        maxsmart_device(OTHER, http_port=18069, udp_port=18869) as strip,
    ):
        print("can a strip of firmware 5.11 be renamed?", strip.supports("rename"))


anyio.run(main)
