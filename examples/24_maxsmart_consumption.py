"""Read what each port of a power strip draws, and the raw figures behind it.

Run:
    python examples/24_maxsmart_consumption.py

Prints:
    port 1: on, 5.2 W, 0.02 A
    port 2: on, 61.4 W, 0.27 A
    port 3: on, 0.0 W, 0.0 A
    port 4: on, 0.0 W, 0.0 A
    port 5: on, 0.0 W, 0.0 A
    port 6: on, 1800.0 W, 7.83 A
    all together: 1866.6 W
    port 2 alone: 61.4 W
"""

from __future__ import annotations

import sys

import anyio

from structiot import maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import sim_maxsmart

HOST = "127.0.0.66"


async def show(strip: MaxSmartStrip) -> None:
    """One request tells everything; what the firmware does not report is None."""
    data = await strip.get_data()
    for reading in data.readings:
        state = "on" if reading.is_on else "off"
        figures = f"{reading.power_w} W, {reading.current_a} A"
        print(f"port {reading.port}: {state}, {figures}")
    print(f"all together: {data.total_power_w} W")
    print(f"port 2 alone: {(await strip.get_power_data(2)).power_w} W")


async def main() -> None:
    """Give the address of a strip, or none to have one simulated."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            await show(strip)
        return
    loads = [5.2, 61.4, 0.0, 0.0, 0.0, 1800.0]
    async with (
        sim_maxsmart(HOST, loads=loads, http_port=18066, udp_port=18866),
        maxsmart_device(HOST, http_port=18066, udp_port=18866) as strip,
    ):
        await show(strip)


anyio.run(main)
