"""Cancelling any command at any moment leaves nothing behind and the strip usable."""

from __future__ import annotations

import anyio
import pytest

from structiot.testing import cancel_sweep
from tests.link.maxsmart.strips import Bench, bench

pytestmark = pytest.mark.virtual_time


async def use(b: Bench) -> None:
    async with b.strip.changes() as changes:
        await b.strip.turn_off(1)
        await anext(changes)
    await b.strip.get_device_identifiers()
    await b.strip.set_device_time()
    await b.strip.health_check()
    if b.strip.supports("statistics"):
        await b.strip.get_statistics()
    if b.strip.supports("rename"):
        await b.strip.change_port_name(1, "TV")


@pytest.mark.parametrize("family", ["mh_plug_130", "revogi_511"])
async def test_nothing_is_left_wherever_a_command_is_cancelled(family):
    async def flow() -> None:
        async with bench(family) as b:
            await use(b)

    assert await cancel_sweep(flow) > 20


@pytest.mark.parametrize("family", ["mh_strip_130", "revogi_511"])
async def test_a_strip_goes_on_wherever_a_command_was_cancelled(family):
    async with bench(family) as b:
        b.sim.faults.delay_s = 0.1
        for tenths in range(1, 12):
            with anyio.move_on_after(tenths / 10 - 0.05):
                await use(b)
            assert await b.strip.check_state(2) is True
        b.sim.faults.delay_s = 0.0
        await use(b)


async def test_cancelling_a_command_leaves_it_to_the_next_poll_to_tell_what_came_of_it():
    async with bench() as b, b.strip.readings() as readings:
        b.sim.faults.delay_s = 0.2
        with anyio.move_on_after(0.35):
            await b.strip.turn_off(1)
        b.sim.faults.delay_s = 0.0
        await anyio.sleep(6)
        told = {}
        while len(readings):
            reading = readings.receive_nowait()
            told[reading.port] = reading.is_on
        assert told == dict(b.sim.ports)
