"""What most users want of a device: `turn_on`, energy by day and hour, timers."""

from __future__ import annotations

from datetime import time
from typing import Any

import anyio
import pytest

from structiot import (
    Environment,
    LinkLost,
    UnsupportedDevice,
    UsageError,
    open_meross,
    open_meross_lan,
)
from structiot.meross import Timer, Trigger
from structiot.model import LightState
from structiot.sim import sim_meross_cloud, sim_meross_device
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

HOST = "192.168.1.60"
KEY = "0123456789abcdef0123456789abcdef"
ACCOUNT: dict[str, Any] = {"email": "user@example.com", "password": "correct horse"}


@pytest.fixture
def surroundings() -> Environment:
    return Environment(network=MemoryNetwork())


async def test_a_device_is_switched_as_soon_as_its_account_is_open(surroundings):
    async with sim_meross_cloud(**ACCOUNT, environment=surroundings) as cloud:
        async with (
            sim_meross_device(
                HOST, name="Kitchen", cloud=cloud, environment=surroundings
            ) as sim,
            open_meross(**ACCOUNT, url=cloud.url, environment=surroundings) as meross,
        ):
            await meross.device("Kitchen").turn_on()
            assert sim.device.digest()["togglex"][0]["onoff"] == 1


async def test_a_device_that_is_off_is_not_waited_for_without_end(surroundings):
    async with sim_meross_cloud(**ACCOUNT, environment=surroundings) as cloud:
        cloud.register(uuid="0" * 32, name="Cellar")
        async with open_meross(
            **ACCOUNT, url=cloud.url, environment=surroundings
        ) as meross:
            begun = anyio.current_time()
            with pytest.raises(LinkLost, match="not connected to the cloud"):
                await meross.device("Cellar").turn_on()
            assert anyio.current_time() - begun <= 20


@pytest.mark.parametrize("model", ["msl120", "map100"])
async def test_what_is_no_outlet_is_turned_on_as_well(model: str, surroundings):
    async with (
        sim_meross_device(HOST, model=model, key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as device,
    ):
        await device.turn_on()
        (state,) = (
            v for k, v in device.states.items() if k in {"light", "fan", "switch"}
        )
        assert state is True or getattr(state, "is_on", None) is True
        await device.turn_off()
        (state,) = (
            v for k, v in device.states.items() if k in {"light", "fan", "switch"}
        )
        assert state is False or getattr(state, "is_on", None) is False


async def test_a_lamp_is_lit_in_colour(surroundings):
    async with (
        sim_meross_device(HOST, model="msl120", key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as lamp,
    ):
        await lamp.command("light", LightState(rgb=(255, 0, 0), brightness_percent=40))
        state = lamp.states["light"]
        assert isinstance(state, LightState)
        assert (state.rgb, state.brightness_percent) == ((255, 0, 0), 40)


async def test_the_energy_of_days(surroundings):
    async with (
        sim_meross_device(HOST, key=KEY, loads=[1000], environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
    ):
        await plug.turn_on()
        await anyio.sleep(7200)
        days = await plug.daily_energy()
        assert days[-1].energy_wh == pytest.approx(2000, rel=0.02)


async def test_the_energy_of_hours(surroundings):
    async with (
        sim_meross_device(
            HOST, model="em06", key=KEY, loads=[1000], environment=surroundings
        ),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as meter,
    ):
        await anyio.sleep(3 * 3600)
        hours = await meter.hourly_energy(1)
        # The newest is not over yet.
        assert hours[-2].energy_wh == pytest.approx(1000, rel=0.02)


async def test_what_a_device_does_not_remember_is_said(surroundings):
    async with (
        sim_meross_device(HOST, model="msg100", key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as door,
    ):
        with pytest.raises(UnsupportedDevice, match="energy of days"):
            await door.daily_energy()
        with pytest.raises(UnsupportedDevice, match="energy of hours"):
            await door.hourly_energy()
        with pytest.raises(UsageError, match="nothing to turn on"):
            await door.turn_on(7)


async def test_timers_and_triggers_are_set_and_told(surroundings):
    async with (
        sim_meross_device(HOST, key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
    ):
        timer = Timer(
            id="timer0123456789a", at=time(6, 30), weekdays=frozenset({0, 1, 2, 3, 4})
        )
        trigger = Trigger(id="trigger012345678", after_s=900)
        await plug.set_rule(timer)
        await plug.set_rule(trigger)
        with anyio.fail_after(60):
            async with plug.events():
                while plug.states.get("triggers") != 1:  # noqa: ASYNC110 - virtual time
                    await anyio.sleep(1)
        assert [(t.id, t.at, t.weekdays) for t in await plug.timers()] == [
            (timer.id, timer.at, timer.weekdays)
        ]
        assert [(t.id, t.after_s) for t in await plug.triggers()] == [(trigger.id, 900)]
