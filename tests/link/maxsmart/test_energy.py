"""Energy from readings beside that of the strip's own statistics; a year: tests/year."""

from __future__ import annotations

from datetime import date
from random import Random

import pytest

from tests.link.maxsmart.household import IDENTIFY_S, PORTS, Household, household

pytestmark = pytest.mark.virtual_time

POLL_S = 600.0
STEADY_PORTS = {1, 5}


def assert_accounts_agree(home: Household) -> None:
    for port in PORTS:
        own_wh = home.own_wh(port)
        # Few days and few polls meet loads of minutes only by and large.
        rel = 0.005 if port in STEADY_PORTS else 0.05
        assert home.measured_wh(port) == pytest.approx(own_wh, rel=rel), port
        assert home.sim.energy_wh(port) == pytest.approx(own_wh, rel=1e-4), port


@pytest.mark.parametrize(
    ("first_day", "last"),
    [
        (date(2024, 3, 30), "2024-04-02 00:00"),
        (date(2024, 10, 26), "2024-10-29 00:00"),
    ],
    ids=["clocks go forward", "clocks go back"],
)
async def test_days_with_a_change_of_clock(first_day, last):
    async with household(first_day, poll_s=POLL_S) as home:
        home.plan_days(first_day, 3, Random(7))
        await home.live(last)
        assert_accounts_agree(home)
        assert home.sim.local_time() == home.calendar.now().replace(tzinfo=None)
        days = await home.strip.get_statistics(1, "daily")
        lamp_wh = {p.start.day: p.energy_wh for p in days.points if p.energy_wh}
    hours = {day: round((wh or 0) / 9.4, 1) for day, wh in lamp_wh.items()}
    odd = {31: 23.0} if first_day.month == 3 else {27: 25.0}
    assert {day: h for day, h in hours.items() if h != 24} == {**odd}


async def test_days_with_an_outage_a_power_cut_and_a_reset():
    async with household(date(2024, 5, 1), poll_s=POLL_S) as home:
        home.plan_days(date(2024, 5, 1), 6, Random(7))
        home.plan("2024-05-02 01:00", home.sim.unplug)
        home.plan("2024-05-02 02:00", home.sim.plug_in)

        async def lose_mains() -> None:
            await home.sim.power_cut(2 * 3600)

        home.plan("2024-05-03 01:00", lose_mains)

        async def forget() -> None:
            await home.read()
            home.sim.forget_energy()

        home.plan("2024-05-04 14:00", forget)
        await home.live("2024-05-07 00:00")
        lost_s = home.meter.unknown_s(channel=1)
        assert 3 * 3600 < lost_s < 3 * 3600 + 2 * 2 * POLL_S
        lamp_w = 9.4
        assert home.measured_wh(1) == pytest.approx(
            lamp_w * (6 * 24 - lost_s / 3600), rel=0.005
        )
        # The strip has counted while it could not be reached; what it counts after it
        # has lost its clock, until that is set again, is in no bucket of these days.
        own_hours = home.own_wh(1) / lamp_w
        assert 6 * 24 - 2 - IDENTIFY_S / 3600 < own_hours < 6 * 24 - 2 + 0.01
        assert home.own_wh() > home.sim.energy_wh(6) > 0


async def test_a_clock_that_jumps_loses_no_energy():
    async with household(date(2024, 5, 1), poll_s=POLL_S) as home:
        home.plan_days(date(2024, 5, 1), 4, Random(7))

        async def ahead() -> None:
            home.sim.jump_clock(26 * 3600)

        async def back() -> None:
            home.sim.jump_clock(-26 * 3600)

        home.plan("2024-05-02 12:00", ahead)
        home.plan("2024-05-03 12:00", back)
        await home.live("2024-05-05 00:00")
        assert_accounts_agree(home)
