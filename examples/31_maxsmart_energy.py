"""Count the energy of a strip whose firmware counts none.

Run:
    python examples/31_maxsmart_energy.py

Prints:
    Kettle has no statistics
    a watt-hour in ... s at 3600 W
    power was unknown for 0 s
"""

from __future__ import annotations

import anyio

from structiot import UnsupportedDevice, maxsmart_device
from structiot.energy import EnergyMeter
from structiot.sim import sim_maxsmart

HOST = "127.0.0.74"


async def main() -> None:
    """Firmware 5.11 reports power by UDP and has no statistics."""
    async with (
        sim_maxsmart(
            HOST, family="mh2_plug", name="Kettle", loads=[3600], udp_port=18888
        ),
        maxsmart_device(HOST, http_port=18080, udp_port=18888, poll_s=0.25) as plug,
        plug.readings() as readings,
    ):
        try:
            await plug.get_statistics(1)
        except UnsupportedDevice:
            print(f"{plug.info.name} has no statistics")

        # Lost polls are bridged; what happens in a longer gap is not made up.
        meter = EnergyMeter(max_gap_s=10)
        async for reading in readings:
            meter.add(reading)
            if meter.energy_wh(channel=1) >= 1:
                break
        print(f"a watt-hour in {meter.measured_s():.2f} s at {reading.power_w:.0f} W")
        print(f"power was unknown for {meter.unknown_s():.0f} s")


anyio.run(main)
