"""What most users want of a device: `turn_on`, energy by day and hour, timers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
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
from structiot.model import (
    Command,
    CoverAction,
    CoverState,
    Device,
    LightState,
    StateChange,
)
from structiot.sim import sim_meross_cloud, sim_meross_device
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

HOST = "192.168.1.60"
KEY = "0123456789abcdef0123456789abcdef"
ACCOUNT: dict[str, Any] = {"email": "user@example.com", "password": "correct horse"}


@pytest.fixture
def surroundings(virtual_time: Callable[[], datetime]) -> Environment:
    return Environment(network=MemoryNetwork(), clock=virtual_time)


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
            with pytest.raises(LinkLost, match="no answer of 0000"):
                await meross.device("Cellar").turn_on()
            assert anyio.current_time() - begun <= 60


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


async def motions_of(
    device: Device, key: str, command: Command | None = None
) -> list[str]:
    """Command a cover, and give what it says that it does in the next minute."""
    found: list[str] = []

    async def watch() -> None:
        async with device.events() as events:
            async for event in events:
                if isinstance(event, StateChange) and event.key == key:
                    state = event.state
                    motion = str(state.motion) if isinstance(state, CoverState) else ""
                    if motion not in found[-1:]:
                        found.append(motion)

    async with anyio.create_task_group() as tg:
        tg.start_soon(watch)
        # Into the middle of the first poll, where the device takes its time.
        await anyio.sleep(0.1)
        if command is not None:
            await device.command(key, command)
        await anyio.sleep(60)
        tg.cancel_scope.cancel()
    return found


async def test_an_answer_that_a_command_has_overtaken_is_not_believed(surroundings):
    async with (
        sim_meross_device(
            HOST, model="mrs100", key=KEY, environment=surroundings
        ) as sim,
        open_meross_lan(HOST, key=KEY, environment=surroundings) as shutter,
    ):
        sim.faults.delay_s = 0.3
        motions = await motions_of(shutter, "shutter", CoverAction.OPEN)
        assert motions == ["closed", "opening", "open"]


async def test_what_is_under_way_is_not_forgotten_when_the_zone_is_known(surroundings):
    async with (
        sim_meross_cloud(**ACCOUNT, environment=surroundings) as cloud,
        sim_meross_device(
            HOST,
            model="msg100",
            timezone="Europe/Rome",
            cloud=cloud,
            environment=surroundings,
        ) as sim,
        open_meross(
            **ACCOUNT, url=cloud.url, store=None, environment=surroundings
        ) as meross,
    ):
        door = meross.devices[sim.uuid]
        await door.command("garage_door", CoverAction.OPEN)
        motions = await motions_of(door, "garage_door")
        assert motions == ["opening", "open"]
