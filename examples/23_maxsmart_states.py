"""Ask which ports of a power strip are on, and switch them.

Run:
    python examples/23_maxsmart_states.py

Prints:
    at first: on on on on on on
    port 3 off: on on off on on on
    all off: off off off off off off
    is port 3 on? no
    all on: on on on on on on
"""

from __future__ import annotations

import sys

import anyio

from structiot import maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import sim_maxsmart

HOST = "127.0.0.65"


async def show(strip: MaxSmartStrip, when: str) -> None:
    """A state that the strip does not tell readably is None."""
    words = {True: "on", False: "off", None: "?"}
    print(f"{when}:", *(words[state] for state in await strip.check_state()))


async def switch(strip: MaxSmartStrip) -> None:
    """Each command returns when the strip shows what was asked."""
    await show(strip, "at first")
    await strip.turn_off(3)
    await show(strip, "port 3 off")
    await strip.turn_off()
    await show(strip, "all off")
    print("is port 3 on?", "yes" if await strip.check_state(3) else "no")
    await strip.turn_on()
    await show(strip, "all on")


async def main() -> None:
    """Give the address of a strip, or none to have one simulated."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            await switch(strip)
        return
    async with (
        sim_maxsmart(HOST, http_port=18065, udp_port=18865),
        maxsmart_device(HOST, http_port=18065, udp_port=18865) as strip,
    ):
        await switch(strip)


anyio.run(main)
