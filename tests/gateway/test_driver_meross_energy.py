"""The energy of Meross meters in the gateway: their own count of today, and the total."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from structiot.gateway.drivers.meross import MerossDriver
from structiot.gateway.drivers.meross.simulated import simulated_account
from structiot.testing.drivers.bench import open_driver_bench
from tests.gateway.meross_house import meross_house

pytestmark = pytest.mark.virtual_time


async def test_energy_goes_on_and_today_is_the_devices_own(virtual_time, tmp_path):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device(loads=[1200.0]) as plug,
        house.gateway(seconds=660) as served,
    ):
        assert served.figure(plug.uuid, "energy") == pytest.approx(0.22, abs=0.011)
        # It is asked for every minute.
        assert 195 <= served.figure(plug.uuid, "energy_today_wh") <= 222
        await plug.reboot(30)
        await anyio.sleep(600)
        assert served.figure(plug.uuid, "energy") == pytest.approx(0.42, abs=0.02)


async def test_today_grows_and_begins_anew_in_a_house_of_short_days(environment):
    async with (
        simulated_account(environment, count=1, day_s=300.0) as section,
        open_driver_bench(MerossDriver, section, environment=environment) as bench,
    ):
        told = []
        for _ in range(15):
            await anyio.sleep(60)
            (figure,) = [
                payload
                for topic, payload in bench.latest.items()
                if topic.endswith("/energy_today_wh/state")
            ]
            told.append(float(figure))
    # The calendar of the house runs ahead of ours.
    assert told[0] < told[2]
    assert sum(later < before for before, later in pairwise(told)) == 3
