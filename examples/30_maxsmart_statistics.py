"""Read what a power strip has counted by hour, day and month, and plot it.

Run:
    python examples/30_maxsmart_statistics.py

Prints:
    hourly since 2024-04-30 13:00:00: ... Wh for ... CHF
    daily since 2024-04-01 00:00:00: ... Wh for ... CHF
    monthly since 2023-06-01 00:00:00: ... Wh for ... CHF
    plot of the days: ...
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import anyio

from structiot import Environment, maxsmart_device
from structiot.maxsmart import MaxSmartStrip, StripStatistics
from structiot.sim import SimClock, sim_maxsmart

HOST, NOON = "127.0.0.73", datetime(2024, 5, 1, 12, tzinfo=UTC)


def plot(statistics: StripStatistics) -> str:
    """Draw a bar for each point into a file; needs `structiot[plots]`."""
    from matplotlib.figure import Figure

    figure, points_wh = Figure(), [p.energy_wh or 0 for p in statistics.points]
    figure.subplots().bar(range(len(points_wh)), points_wh)
    figure.savefig("statistics.png")
    return "statistics.png"


async def show(strip: MaxSmartStrip) -> None:
    """Port 0 is the sum of all; firmware without statistics is an error."""
    for number in (0, 1, 2):
        found = await strip.get_statistics(0, number)
        cost = f"{found.energy_wh} Wh for {found.cost} {found.currency}"
        print(f"{found.period} since {found.start}: {cost}")
    print("plot of the days:", plot(await strip.get_statistics(0, "daily")))


async def main() -> None:
    """Give the address of a strip; the simulated one has lived for 400 days."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            return await show(strip)
    clock, past = SimClock(NOON), timedelta(days=400)
    then = Environment(clock=clock.utc)
    with_past = sim_maxsmart(HOST, http_port=18073, clock=clock, history=past)
    opened = maxsmart_device(HOST, port=18073, environment=then)
    async with with_past, opened as strip:
        return await show(strip)


anyio.run(main)
