"""What happens to devices in houses, and what their client makes of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from structiot.errors import DeviceReplaced
from structiot.maxsmart import SwitchStuck
from structiot.model import Availability
from structiot.sim import SimClock
from tests.link.maxsmart.strips import (
    SERIAL,
    Bench,
    WallClock,
    bench,
    is_there,
    waiting,
)

pytestmark = pytest.mark.virtual_time

OTHER = "SWP6000000000099"


def in_time() -> dict[str, Any]:
    """Let a simulated strip live at the time that its client believes in."""
    return {"clock": SimClock(WallClock().start)}


def clock_error(b: Bench) -> timedelta:
    shown: datetime = b.sim.local_time()
    told = b.sim.clock.utc() + timedelta(hours=2)
    return shown - told.replace(tzinfo=None)


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=1.5)


async def test_a_device_that_becomes_another_is_an_event_and_an_error():
    async with bench() as b, b.strip.events() as events, b.strip.readings() as readings:
        await anyio.sleep(7)
        await waiting(readings)
        await waiting(events)
        b.sim.become(OTHER)
        await anyio.sleep(40)
        (told,) = [e for e in await waiting(events) if isinstance(e, Availability)]
        assert not told.is_available
        assert OTHER in told.reason
        with pytest.raises(DeviceReplaced) as caught:
            await b.strip.turn_off(1)
        assert (caught.value.expected, caught.value.found) == (SERIAL, OTHER)
        assert b.sim.ports[1] is True
        assert {reading.device for reading in await waiting(readings)} <= {SERIAL}
        b.sim.become(SERIAL)
        await anyio.sleep(61)
        assert is_there(b.strip)


async def test_a_power_cut_is_an_absence_and_the_clock_is_right_again_after_it():
    async with bench(sim=in_time()) as b, b.strip.readings() as readings:
        await b.strip.turn_off(3)
        await anyio.sleep(10)
        energy_wh = b.sim.energy_wh(1)
        async with anyio.create_task_group() as tg:
            tg.start_soon(b.sim.power_cut, 120.0)
            await anyio.sleep(60)
            assert not is_there(b.strip)
            assert not b.sim.is_plugged_in
            assert b.sim.power_w(1) == 0
            assert b.sim.energy_wh(1) == energy_wh
        assert b.sim.local_time().year == 2000
        await waiting(readings)
        await anyio.sleep(310)
        assert is_there(b.strip)
        assert await waiting(readings)
        assert await b.strip.check_state(3) is False
        assert clock_error(b).total_seconds() == near(0)


async def test_a_clock_that_survives_a_power_cut_needs_nobody():
    async with bench() as b:
        before = clock_error(b)
        await b.sim.power_cut(60.0, loses_clock=False)
        assert clock_error(b) == before


@pytest.mark.parametrize("seconds", [3600, -3600, 86_400 * 40])
async def test_a_clock_that_jumps_is_set_right_with_the_next_names(seconds):
    async with bench(sim=in_time(), identify_s=300) as b, b.strip.events():
        await anyio.sleep(1)
        b.sim.jump_clock(seconds)
        assert clock_error(b).total_seconds() == near(seconds)
        await anyio.sleep(305)
        assert clock_error(b).total_seconds() == near(0)
        assert is_there(b.strip)


@pytest.mark.parametrize("lag_s", [0.2, 1.5])
async def test_a_late_relay_is_waited_for(lag_s):
    async with bench() as b:
        b.sim.faults.relay_lag_s = lag_s
        began_at = anyio.current_time()
        await b.strip.turn_off(1)
        assert b.sim.ports[1] is False
        assert anyio.current_time() - began_at >= lag_s


async def test_a_relay_that_is_too_late_is_stuck_as_far_as_one_can_tell():
    async with bench() as b:
        b.sim.faults.relay_lag_s = 10.0
        with pytest.raises(SwitchStuck, match="port 1 is not off"):
            await b.strip.turn_off(1)
        await anyio.sleep(10)
        assert await b.strip.check_state(1) is False


async def test_statistics_that_were_reset_begin_at_nothing():
    async with bench(sim={"loads": [3600.0] * 6}) as b:
        await anyio.sleep(100)
        assert (await b.strip.get_statistics(1)).energy_wh == pytest.approx(100)
        b.sim.forget_energy()
        assert (await b.strip.get_statistics(1)).energy_wh == 0
        await anyio.sleep(50)
        assert (await b.strip.get_statistics(1)).energy_wh == pytest.approx(50)
