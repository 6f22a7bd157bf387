"""Days in the house, in virtual time: what happens when, and what it takes."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import LinkLost
from structiot.manager import Listener, MessageReceived, open_manager
from structiot.meross.wire.payloads import items_of
from structiot.sim.house.cloud import house_account
from structiot.sim.house.day import Diary, hour_of, house_clock, living
from structiot.sim.house.dialled import (
    DIALLED,
    dialled_uuid,
    house_fleet,
    is_native,
)
from structiot.sim.house.strips import house_strips

pytestmark = pytest.mark.virtual_time

PORTS = (8595, 8596)
SECRET = "known to all"
DAY_IN_S = 600.0
# One of each type.
DEVICES = 14


def hour_in_s(hours: float) -> float:
    """Give how long so many hours of the house take."""
    return hours / 24 * DAY_IN_S


# ------------------------------------------------------------ the diary


async def test_what_is_daily_happens_once_a_day_at_its_hour(environment):
    clock = house_clock(environment, DAY_IN_S)
    diary = Diary(clock, Random(1))
    hours: list[float] = []
    diary.daily(8.0, lambda: hours.append(hour_of(clock.now_s())), within_h=0.5)
    async with living(diary):
        await anyio.sleep(3 * DAY_IN_S)
    assert len(hours) == 3
    assert all(8.0 <= hour <= 8.6 for hour in hours)
    assert len(set(hours)) == 3


async def test_what_fails_costs_only_itself(environment, caplog):
    diary = Diary(house_clock(environment, DAY_IN_S), Random(1))
    done = 0

    async def fail() -> None:
        raise LinkLost("gone")

    def count() -> None:
        nonlocal done
        done += 1

    diary.every(60, fail)
    diary.every(60, count)
    async with living(diary):
        await anyio.sleep(DAY_IN_S)
    assert 23 <= done <= 25
    assert "something does not happen in the house: gone" in caplog.text


# ------------------------------------------------------------ strips


async def test_a_day_of_the_strips(environment):
    async with house_strips(environment, count=3, day_s=DAY_IN_S) as sims:
        kitchen, workbench, _ = sims
        assert kitchen.port_names[:2] == ("Fridge", "Freezer")
        await anyio.sleep(hour_in_s(7.0))  # it is half past one
        is_there = [workbench.is_plugged_in]
        await anyio.sleep(hour_in_s(2.0))
        is_there.append(workbench.is_plugged_in)
        assert is_there == [False, True]
        await anyio.sleep(hour_in_s(15.0))
        kwh = {sim.name: sum(map(sim.energy_wh, sim.ports)) / 1000 for sim in sims}
    assert 2.5 < kwh["Kitchen counter"] < 6
    assert 1 < kwh["Workbench"] < 6
    assert 0.5 < kwh["Media corner"] < 2


# ------------------------------------------------------------ the account


async def test_a_day_of_the_account(environment):
    opened = house_account(environment, count=10, day_s=DAY_IN_S)
    async with opened as account:
        sims = {sim.device.name: sim for sim in account.devices}
        await anyio.sleep(DAY_IN_S)
        pushed = {
            name: {push.namespace.rpartition(".")[2] for push in sim.pushes}
            for name, sim in sims.items()
        }
        doors = [
            items_of(push.payload, "state")[0]["open"]
            for push in sims["Garage door"].pushes
            if push.namespace == "Appliance.GarageDoor.State"
        ]
    assert doors == [1, 0] * 3
    assert "Position" in pushed["Bedroom shutter"]
    assert "Fan" in pushed["Air purifier"]
    assert "Mode" in pushed["Bathroom floor"]
    assert "Sensor" in pushed["Diffuser"]
    assert {"DoorWindow", "WaterLeak", "Smoke", "TempHum"} <= pushed["Hub"]


# ------------------------------------------------------------ what dials in


async def a_day_of_the_fleet(environment: Environment) -> tuple[list[Any], set[str]]:
    """Give how the devices are in the evening, and what was said that is no state."""
    own = Listener("127.0.0.1", PORTS[1], "structiot")
    secrets = {
        dialled_uuid(number): SECRET
        for number, plan in enumerate(DIALLED[:DEVICES])
        if is_native(plan.kind)
    }
    words: set[str] = set()
    async with (
        open_manager(
            None,
            port=PORTS[0],
            listeners=[own],
            secrets=secrets,
            environment=environment,
        ) as manager,
        manager.events() as events,
        house_fleet(
            environment, count=DEVICES, ports=PORTS, secret=SECRET, day_s=DAY_IN_S
        ) as fleet,
    ):
        with anyio.move_on_after(hour_in_s(16.8)):
            async for event in events:
                if isinstance(event, MessageReceived) and event.data[:1] != b"{":
                    words.add(event.data.decode())
        assert [sim for sim in fleet if not sim.is_connected] == []
        return [dict(sim.state) for sim in fleet], words


async def test_a_day_of_the_fleet_is_the_same_with_the_same_seed(environment):
    days = [
        await a_day_of_the_fleet(
            Environment(
                network=environment.network,
                clock=environment.clock,
                random=Random(7),
            )
        )
        for _ in range(2)
    ]
    (states, words), (others, _) = days
    assert [one["name"] for one in states] == [one["name"] for one in others]
    assert words == {"motion", "single", "double", "long", "ring", "finished"}
    by_name = {one["name"]: one for one in states}
    assert by_name["Bedroom climate"]["temperature_c"] == pytest.approx(18.5, abs=2)
    assert by_name["Balcony solar"]["today_kwh"] == pytest.approx(5.2, abs=0.5)
    assert by_name["Balcony solar"]["power_w"] == 0
    assert by_name["Chest freezer"]["temperature_c"] == pytest.approx(-18, abs=2)
    assert 15 < by_name["Fan heater"]["temperature_c"] < 22
    assert by_name["Front door lock"]["lock"] in {"locked", "unlocked"}
