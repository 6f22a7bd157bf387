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
from importlib.util import find_spec

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
    series = [await strip.get_statistics(0, number) for number in (0, 1, 2)]
    for s in series:
        print(f"{s.period} since {s.start}: {s.energy_wh} Wh for {s.cost} {s.currency}")
    print("plot of the days:", plot(series[1]) if find_spec("matplotlib") else "none")


async def main() -> None:
    """Give the address of a strip; the simulated one has lived for 400 days."""
    if len(sys.argv) > 1:
        async with maxsmart_device(sys.argv[1]) as strip:
            return await show(strip)
    clock, past = SimClock(NOON), timedelta(days=400)
    environment = Environment(clock=clock.utc)
    opened = maxsmart_device(HOST, http_port=18073, environment=environment)
    sim = sim_maxsmart(HOST, http_port=18073, clock=clock, history=past)
    async with sim, opened as strip:
        return await show(strip)


anyio.run(main)
