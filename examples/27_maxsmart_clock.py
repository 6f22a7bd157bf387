"""Read and set the clock of a power strip.

Run:
    python examples/27_maxsmart_clock.py

Prints:
    set when it was opened: right within a minute
    after a night without power: 2000-01-01 06:00
    set anew: right within a minute
"""

from __future__ import annotations

import sys
from datetime import datetime

import anyio

from structiot import maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import sim_maxsmart

HOST = "127.0.0.71"


def judged(shown: datetime | None) -> str:
    """The strip's clock has no zone: it shows local time, as it was told it."""
    if shown is None:
        return "not told by this firmware"
    off_s = abs(
        (datetime.now().astimezone().replace(tzinfo=None) - shown).total_seconds()
    )
    return "right within a minute" if off_s < 60 else f"{shown:%Y-%m-%d %H:%M}"


async def show(strip: MaxSmartStrip) -> None:
    """Opening a strip asks it who it is, which sets its clock."""
    print("set when it was opened:", judged(await strip.get_device_time()))


async def main() -> None:
    """Give the address of a strip, or none to have one simulated."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            await show(strip)
            print("set anew:", judged(await strip.set_device_time()))
        return
    async with (
        sim_maxsmart(HOST, http_port=18071, udp_port=18871) as sim,
        maxsmart_device(HOST, http_port=18071, udp_port=18871) as strip,
    ):
        await show(strip)
        sim.set_local_time(datetime.fromisoformat("2000-01-01T06:00"))
        print("after a night without power:", judged(await strip.get_device_time()))
        print("set anew:", judged(await strip.set_device_time()))


anyio.run(main)
