"""A short day of all troubles for one device of each kind; `nox -s month` has a month."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.endurance_devices import LAN_LOAD, now_s
from tests.gateway.endurance_house import POLL_S, endurance_house
from tests.gateway.history_house import of

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(90)]

DAY_S = 2400.0


async def test_a_day_of_all_troubles_ends_with_the_truth(tmp_path: Path):
    async with endurance_house(tmp_path) as house:
        began_s, began_wh = now_s(), house.strip_wh()
        tasks = house.held()["tasks"]
        await house.day(DAY_S, 0)
        assert house.wrong() == []
        assert house.held()["tasks"] == tasks
        assert of(house.gateway).status().is_writing
        # A short gap is bridged; of a longer one nothing is made up.
        counted_wh, _ = await house.energy("local/energy")
        # The house has lived for a while when it is handed over.
        own_wh = LAN_LOAD.energy_wh(began_s - 3 * POLL_S, now_s())
        assert 0.85 * own_wh < counted_wh < 1.01 * own_wh
        power_wh, heard_s = await house.energy("local/power_w")
        assert heard_s < DAY_S + 3 * POLL_S - DAY_S / 24
        assert power_wh == pytest.approx(LAN_LOAD.high_w * heard_s / 3600, rel=0.005)
        for key, counter in house.counters.items():
            counted_wh, _ = await house.energy(key)
            assert counter.resets == 1
            assert 0.85 * counter.own_wh < counted_wh <= counter.own_wh, key
        strip_wh, _ = await house.energy("strip/total_energy")
        own_wh = house.strip_wh() - began_wh
        assert own_wh - house.unheard_wh < 1.02 * strip_wh < 1.1 * own_wh
