"""Switch the ports of a power strip and read what they draw.

Run:
    python examples/04_switch_and_meter.py

Prints:
    lamp: 60.0 W
    lamp switched off: 0.0 W
    port 7 of 6: ...
"""

from __future__ import annotations

import anyio

from structiot import UsageError, maxsmart_device
from structiot.sim import sim_maxsmart

HOST = "127.0.0.41"
LAMP = 2


async def main() -> None:
    """The strip is simulated; a real one needs no more than its address."""
    async with (
        sim_maxsmart(HOST, loads=[0, 60, 0, 0, 0, 0], http_port=18080, udp_port=18888),
        maxsmart_device(HOST, http_port=18080, udp_port=18888) as strip,
    ):
        reading = await strip.get_power_data(LAMP)
        print(f"lamp: {reading.power_w} W")

        await strip.turn_off(LAMP)
        reading = await strip.get_power_data(LAMP)
        print(f"lamp switched off: {reading.power_w} W")

        try:
            await strip.turn_on(7)
        except UsageError as error:
            print(f"port 7 of 6: {error}")


anyio.run(main)
