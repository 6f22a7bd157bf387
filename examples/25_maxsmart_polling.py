"""Watch a power strip: polled steadily, and quicker for a while after a command.

Run:
    python examples/25_maxsmart_polling.py

Prints:
    port 2 is on and draws 60.0 W
    port 2 is on and draws 60.0 W
    switched off; now it comes quicker
    port 2 is off and draws 0.0 W
    port 2 is off and draws 0.0 W
    port 2 is off and draws 0.0 W
"""

from __future__ import annotations

import sys

import anyio

from structiot import maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import sim_maxsmart

HOST, PORT = "127.0.0.67", 2


async def watch(strip: MaxSmartStrip) -> None:
    """Any number of loops may read along; the strip is asked once for all of them."""
    shown = 0
    async with strip.readings() as readings:
        async for reading in readings:
            if reading.port != PORT or (shown >= 2 and reading.is_on):
                continue
            state = "on" if reading.is_on else "off"
            print(f"port {PORT} is {state} and draws {reading.power_w} W")
            shown += 1
            if shown == 2:
                await strip.turn_off(PORT)
                print("switched off; now it comes quicker")
            elif shown == 5:
                break


async def main() -> None:
    """Give the address of a strip to watch it at the usual pace: 5 s, then 2 s."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            await watch(strip)
        return
    async with (
        sim_maxsmart(HOST, loads=[0, 60, 0, 0, 0, 0], http_port=18067, udp_port=18867),
        maxsmart_device(HOST, http_port=18067, udp_port=18867, poll_s=0.5) as strip,
    ):
        await watch(strip)


anyio.run(main)
