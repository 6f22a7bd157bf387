"""What `watch` tells of a strip that goes away and comes back, under virtual time."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.cli._common.following import follow
from structiot.cli.maxsmart.watch import follow_changes
from structiot.cli.maxsmart.watch_view import Event, plain_line
from structiot.maxsmart import MaxSmartStrip, maxsmart_device
from structiot.sim import sim_maxsmart
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

HOST = "127.0.0.2"


async def test_away_and_back_are_told_between_the_readings():
    network = MemoryNetwork()
    lines: list[str] = []

    def take(event: Event) -> None:
        lines.append(plain_line(event).partition("  ")[2])

    async with (
        sim_maxsmart(
            HOST,
            family="mh_plug_130",
            loads=[5.2],
            environment=Environment(network=network),
        ) as sim,
        maxsmart_device(
            HOST, poll_s=5.0, environment=Environment(network=network)
        ) as strip,
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
        await anyio.sleep(120)
        assert lines[3:5] == ["back", "port 1  off  0.0 W"]
        assert set(lines[5:]) == {"port 1  off  0.0 W"}
        tasks.cancel_scope.cancel()


async def test_changes_are_told_and_nothing_else():
    network = MemoryNetwork()
    lines: list[str] = []

    def take(event: Event) -> None:
        lines.append(plain_line(event).partition("  ")[2])

    async def watch(strip: MaxSmartStrip) -> None:
        await follow_changes(strip, take, min_power_w=1.0)

    async with (
        sim_maxsmart(
            HOST,
            family="mh_plug_130",
            loads=[5.0],
            environment=Environment(network=network),
        ) as sim,
        maxsmart_device(
            HOST, poll_s=5.0, environment=Environment(network=network)
        ) as strip,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(watch, strip)
        await anyio.sleep(60)
        assert lines == []
        sim.set_load(1, 5.9)
        await anyio.sleep(60)
        assert lines == []
        sim.set_load(1, 6.5)
        await anyio.sleep(60)
        assert lines == ["port 1  6.5 W  (+1.5 W)"]
        sim.ports[1] = False
        await anyio.sleep(60)
        assert lines[1:] == ["port 1  0.0 W  (-6.5 W)", "port 1  off"]
        await sim.unplug()
        await anyio.sleep(60)
        (away,) = lines[3:]
        assert away.startswith("away: ")
        await sim.plug_in()
        await anyio.sleep(120)
        assert lines[4:] == ["back"]
        tasks.cancel_scope.cancel()
