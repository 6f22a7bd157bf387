"""Watch a power strip: polled steadily, and quicker for a while after a command.

Run:
    python examples/25_maxsmart_polling.py

Prints:
    port 2 is on and draws 60.0 W
    ... and some polls later: 60.0 W
    port 2 is off and draws 0.0 W
    4 quick polls follow a command: ...
"""

from __future__ import annotations

import sys

import anyio

from structiot import Reading, maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import sim_maxsmart

HOST, PORT = "127.0.0.67", 2


def show(reading: Reading) -> None:
    """A reading is of one port at one instant."""
    state = "on" if reading.is_on else "off"
    print(f"port {reading.port} is {state} and draws {reading.power_w} W")


async def watch(strip: MaxSmartStrip) -> None:
    """Any number of loops may read along; the strip is asked once for all of them."""
    async with strip.readings() as readings:
        of_port = (reading async for reading in readings if reading.port == PORT)
        show(await anext(of_port))
        for _ in range(2):
            reading = await anext(of_port)
        print(f"... and some polls later: {reading.power_w} W")
        await strip.turn_off(PORT)
        async for reading in of_port:
            if not reading.is_on:
                show(reading)
                break
        times = [(await anext(of_port)).at_utc for _ in range(4)]
        quick_s = (times[-1] - times[0]).total_seconds()
        print(f"4 quick polls follow a command: {quick_s:.1f} s in all")


async def main() -> None:
    """Give the address of a strip to watch it at the usual pace: 5 s, then 2 s."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            await watch(strip)
        return
    async with (
        sim_maxsmart(HOST, loads=[0, 60, 0, 0, 0, 0], http_port=18067, udp_port=18867),
        maxsmart_device(
            HOST, port=18067, udp_port=18867, poll_s=0.5, burst_s=0.1
        ) as strip,
    ):
        await watch(strip)


anyio.run(main)
