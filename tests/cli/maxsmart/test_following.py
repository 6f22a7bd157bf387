"""What `watch` tells of a strip that goes away and comes back, under virtual time."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.memory_network import MemoryNetwork
from structiot.cli.maxsmart.watch import follow
from structiot.cli.maxsmart.watch_view import plain_line
from structiot.maxsmart import maxsmart_device
from structiot.model import Availability, Reading
from structiot.sim import sim_maxsmart

pytestmark = pytest.mark.virtual_time

HOST = "127.0.0.2"


async def test_away_and_back_are_told_between_the_readings():
    network = MemoryNetwork()
    lines: list[str] = []

    def take(event: Reading | Availability) -> None:
        lines.append(plain_line(event).partition("  ")[2])

    async with (
        sim_maxsmart(HOST, family="mh_plug_130", loads=[5.2], network=network) as sim,
        maxsmart_device(HOST, poll_s=5.0, network=network) as strip,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(follow, strip, take, take)
        await anyio.sleep(7)
        assert lines == ["port 1  on   5.2 W"] * 2
        sim.ports[1] = False
        await sim.unplug()
        await anyio.sleep(3600)
        (away,) = lines[2:]
        assert away.startswith("away: ")
        await sim.plug_in()
        await anyio.sleep(61)
        assert lines[3:5] == ["back", "port 1  off  0.0 W"]
        assert set(lines[5:]) == {"port 1  off  0.0 W"}
        tasks.cancel_scope.cancel()
