"""Ask a Meross plug what it has metered, by the day and by the hour.

Run:
    python examples/46_meross_energy.py

Prints:
    2026-03-01: 600 Wh
    2026-03-02: 2400 Wh
    2026-03-03: 1800 Wh
    16:00: 100 Wh
    17:00: 100 Wh
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import anyio

from structiot import UnsupportedDevice, open_meross, open_meross_lan
from structiot.meross import MerossDevice
from structiot.sim import SimClock, sim_meross_device


async def show(plug: MerossDevice) -> None:
    """Days are those of the plug's own calendar; it remembers about a month."""
    for day in await plug.daily_energy():
        print(f"{day.date}: {day.energy_wh:.0f} Wh")
    try:
        hours = await plug.hourly_energy()
    except UnsupportedDevice as error:
        print(error)
    else:
        for hour in hours[-3:-1]:
            print(f"{hour.at_utc:%H:%M}: {hour.energy_wh:.0f} Wh")


async def main() -> None:
    """Give the file in which example 40 keeps the token, and the name of a plug."""
    if len(sys.argv) > 2:
        store, name = sys.argv[1:]
        async with open_meross(store=store) as meross:
            return await show(meross.device(name))
    clock = SimClock(datetime(2026, 3, 1, 18, 0, tzinfo=UTC))
    async with (
        sim_meross_device(
            "127.0.0.86", model="mss305", loads=[100], clock=clock, http_port=0
        ) as sim,
        open_meross_lan(sim.host, sim.http_port, key=sim.key) as plug,
    ):
        clock.jump(2 * 86_400)
        return await show(plug)


anyio.run(main)
