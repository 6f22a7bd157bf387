"""Energy in Home Assistant's words: kWh that never decrease, over restarts too."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from structiot import Environment
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.energy_totals import EnergyTotals
from structiot.model import DeviceInfo, Entity, Sensor, State, StateChange
from structiot.sim import sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.gateway.support import AT, INFO

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.7"
TOTAL = Sensor(
    key="total_energy",
    device_class="energy",
    unit="kWh",
    state_class="total_increasing",
)


class Kept:
    """A file in memory, and how often it was written."""

    def __init__(self) -> None:
        self.section: dict[str, Any] = {}
        self.written: list[dict[str, Any]] = []
        self.is_full = False

    async def save(self) -> bool:
        await anyio.lowlevel.checkpoint()
        if not self.is_full:
            self.written.append(json.loads(json.dumps(self.section)))
        return not self.is_full

    def totals(self) -> EnergyTotals:
        """Begin again with what was written last."""
        self.section = self.written[-1] if self.written else {}
        return EnergyTotals(self.section, self.save)


def shown(
    totals: EnergyTotals,
    state: State | None,
    *,
    at_s: float = 0,
    info: DeviceInfo = INFO,
    entity: Entity = TOTAL,
) -> State | None:
    at_utc = AT + timedelta(seconds=at_s)
    change = StateChange(key=entity.key, state=state, at_utc=at_utc)
    return totals.shown(info, entity, change).state


async def test_a_total_is_shown_once_it_is_written_and_goes_on_after_a_restart():
    kept = Kept()
    totals = kept.totals()
    assert shown(totals, 0.0) == 0
    assert shown(totals, 1.25, at_s=60) == 0
    assert await totals.save()
    assert shown(totals, 1.25, at_s=60) == 1.25
    assert not await totals.save()
    again = kept.totals()
    assert shown(again, 0.0, at_s=120) == 1.25
    shown(again, 0.5, at_s=180)
    await again.save()
    assert shown(again, 0.5, at_s=180) == 1.75


async def test_what_could_not_be_written_is_not_shown():
    kept = Kept()
    totals = kept.totals()
    assert shown(totals, 0.0) == 0
    shown(totals, 0.5, at_s=60)
    assert await totals.save()
    kept.is_full = True
    shown(totals, 1.5, at_s=120)
    assert not await totals.save()
    assert shown(totals, 1.5, at_s=120) == 0.5
    assert shown(kept.totals(), 0.0, at_s=180) == 0.5
    kept.is_full = False
    assert await totals.save()
    assert shown(totals, 1.5, at_s=240) == 1.5


async def test_who_is_killed_never_shows_less_than_before():
    kept = Kept()
    shown_before = 0.0
    for life in range(20):
        totals = kept.totals()
        for minute in range(1 + life % 3):
            at_s = life * 600 + minute * 60
            for state in (minute * 0.3, minute * 0.3 + 0.1):
                now = shown(totals, state, at_s=at_s)
                assert isinstance(now, float)
                assert now >= shown_before
                shown_before = now
            if (life + minute) % 2:
                await totals.save()
    assert shown_before > 1


async def test_without_a_file_totals_are_shown_at_once():
    totals = EnergyTotals({}, None)
    assert shown(totals, 0.0) == 0
    assert shown(totals, 1.25, at_s=60) == 1.25
    assert not await totals.save()


async def test_other_entities_are_none_of_its_business():
    totals = EnergyTotals({}, None)
    power = Sensor(key="p", device_class="power", unit="W", state_class="measurement")
    today = Sensor(key="e", device_class="energy", unit="kWh", state_class="total")
    assert shown(totals, 5.0, entity=power) == 5.0
    assert shown(totals, 1.0, entity=today) == 1.0
    assert shown(totals, 0.5, entity=today) == 0.5
    assert shown(totals, "nonsense", entity=power) == "nonsense"


@pytest.mark.parametrize("state", [None, "much", True, -1.0, float("nan")])
async def test_what_is_no_figure_is_not_counted(state):
    totals = EnergyTotals({}, None)
    assert shown(totals, state) is None
    assert shown(totals, 1.0, at_s=60) == 1.0
    assert shown(totals, 1.5, at_s=120) == 1.5


async def test_a_device_that_has_not_said_who_it_is_has_no_total_yet():
    totals = EnergyTotals({}, None)
    stranger = DeviceInfo(
        id="10.0.0.7", system="maxsmart", name="S", is_provisional=True
    )
    assert shown(totals, 1.0, info=stranger) is None
    assert shown(totals, 1.0) == 1.0


@pytest.mark.parametrize(
    "kept",
    [None, 1, [], ["x", 1, None], [1], [-1, 0, None], [float("nan"), 0, None]],
)
async def test_what_is_unreadable_in_the_file_is_left_out(kept):
    name = "maxsmart/SN1/total_energy"
    section = {name: kept, "maxsmart/SN2/total_energy": [5000.0, 1.0, "no time"]}
    totals = EnergyTotals(section, None)
    assert name not in section
    assert shown(totals, 1.0) == 1.0
    other = DeviceInfo(id="SN2", system="maxsmart", name="S")
    assert shown(totals, 0.0, info=other) == 5.0


# ------------------------------------------------------------------------- all together


def in_house(network: MemoryNetwork) -> Environment:
    def clock() -> datetime:
        return AT + timedelta(seconds=anyio.current_time())

    return Environment(network=network, clock=clock)


@asynccontextmanager
async def serving(
    network: MemoryNetwork, state_file: Path | None, **section: Any
) -> AsyncIterator[Gateway]:
    sections: dict[str, Any] = {
        "maxsmart": {"discover": False, "devices": [{"host": HOST, "name": "Desk"}]},
        "gateway": {"retry_max_s": 1},
    }
    sections["maxsmart"] |= section
    if state_file is not None:
        sections["gateway"]["state_file"] = str(state_file)
    config = await anyio.to_thread.run_sync(load_config, sections)
    async with open_gateway(config, environment=in_house(network)) as gateway:
        yield gateway


def figure(gateway: Gateway, key: str = "total_energy") -> float:
    value = gateway.devices["desk"].states[key]
    assert isinstance(value, float)
    return value


async def test_a_strip_has_kilowatt_hours_that_outlast_a_restart(tmp_path: Path):
    network, file = MemoryNetwork("127.0.0.1"), tmp_path / "state.json"
    async with sim_maxsmart(
        HOST,
        loads=[1200.0, 600.0, 0, 0, 0, 0],
        environment=in_house(network),
    ):
        async with serving(network, file) as gateway:
            await anyio.sleep(600)
            first = figure(gateway)
            # Nine to ten minutes of 1,800 W, shown once a minute.
            assert 0.24 < first < 0.31
            assert 0.16 < figure(gateway, "port_1_energy") < 0.21
            assert figure(gateway, "port_3_energy") == 0
            entity = gateway.devices["desk"].entities["port_1_energy"]
            assert isinstance(entity, Sensor)
            assert (entity.unit, entity.state_class, entity.device_class) == (
                "kWh",
                "total_increasing",
                "energy",
            )
        assert stat.S_IMODE((await anyio.Path(file).stat()).st_mode) == 0o600
        # What is not polled is not made up.
        await anyio.sleep(36_000)
        async with serving(network, file) as gateway:
            await anyio.sleep(5)
            assert first <= figure(gateway) < 0.32
            await anyio.sleep(600)
            assert first + 0.24 < figure(gateway) < first + 0.35


async def test_a_strip_that_comes_back_goes_on_where_it_was(tmp_path: Path):
    network = MemoryNetwork("127.0.0.1")
    async with sim_maxsmart(
        HOST, loads=[1000.0, 0, 0, 0, 0, 0], environment=in_house(network)
    ) as sim:
        async with serving(network, None) as gateway:
            await anyio.sleep(300)
            before = figure(gateway)
            assert before > 0
            await sim.power_cut(600)
            await anyio.sleep(30)
            assert figure(gateway) >= before
            assert figure(gateway) < before + 0.02
            await anyio.sleep(300)
            assert figure(gateway) > before + 0.05


async def test_a_port_that_is_renamed_at_the_strip_is_called_so_within_a_minute():
    network = MemoryNetwork("127.0.0.1")
    async with sim_maxsmart(HOST, environment=in_house(network)) as sim:
        async with serving(network, None) as gateway:
            await anyio.sleep(30)
            sim.rename(2, "Lamp")
            await anyio.sleep(60)
            assert gateway.devices["desk"].entities["port_2"].name == "Lamp"


@pytest.mark.parametrize("place", ["all", "one"])
async def test_the_unit_of_a_strip_that_misleads_is_set_in_the_configuration(place):
    network = MemoryNetwork("127.0.0.1")
    unit = {"watt_unit": "mW"}
    section: dict[str, Any] = {"devices": [{"host": HOST, "name": "Desk"}]}
    if place == "all":
        section |= unit
    else:
        section["devices"][0] |= unit
    # It writes "5000.00" and means milliwatts.
    async with sim_maxsmart(
        HOST,
        family="mh_strip_130",
        loads=[5000.0, 0, 0, 0, 0, 0],
        environment=in_house(network),
    ):
        async with serving(network, None, **section) as gateway:
            await anyio.sleep(10)
            assert figure(gateway, "port_1_power") == 5.0


async def test_what_a_device_counts_by_the_day_is_shown_as_it_is():
    today = Sensor(
        key="energy_today_wh",
        device_class="energy",
        unit="Wh",
        state_class="total_increasing",
        is_periodic=True,
    )
    kept = Kept()
    totals = kept.totals()
    for at_s, told in ((0, 800.0), (60, 810.0), (120, 0.0), (180, 5.0)):
        assert shown(totals, told, at_s=at_s, entity=today) == told
    assert not await totals.save()
