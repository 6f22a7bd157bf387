"""What most users want of a device: `turn_on`, energy by day and hour, timers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
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
    DeviceEvent,
    LightState,
    Occurrence,
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


async def test_timers_are_asked_for_and_may_be_deleted(surroundings):
    async with (
        sim_meross_device(HOST, key=KEY, environment=surroundings) as sim,
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
    ):
        timer = Timer(id="timer0123456789a", at=time(6, 30))
        trigger = Trigger(id="trigger012345678", after_s=900)
        await plug.set_rule(timer)
        await plug.set_rule(trigger)
        assert [one.id for one in await plug.timers()] == [timer.id]
        assert [one.id for one in await plug.triggers()] == [trigger.id]
        assert (plug.states["timers"], plug.states["triggers"]) == (1, 1)
        await plug.remove_rule(timer)
        await plug.remove_rule(trigger)
        assert (await plug.timers(), await plug.triggers()) == ((), ())
        # What was changed by somebody else, as in the app, is asked for as well.
        sim.device.part("Appliance.Control.TimerX").set(
            "Appliance.Control.TimerX", {"timerx": {"id": "of_the_app"}}
        )
        await plug.timers()
        assert plug.states["timers"] == 1


@pytest.mark.parametrize(
    "rule",
    [
        "x",
        Timer(id="", at=time(7)),
        Timer(id="a" * 40, at=time(7)),
        Timer(id="b", at="07:00"),  # type: ignore[arg-type]
        Timer(id="c", at=time(7), weekdays=frozenset({9})),
        Timer(id="d", at=time(7), channel=5),
        Timer(id="e", at=time(7), channel=-1),
        Trigger(id="f", after_s=-5),
        Trigger(id="g", after_s=1.5),  # type: ignore[arg-type]
    ],
)
async def test_a_rule_that_no_device_could_carry_out_is_not_sent(
    rule: Any, surroundings
):
    async with (
        sim_meross_device(HOST, key=KEY, environment=surroundings) as sim,
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
    ):
        sim.requests.clear()
        with pytest.raises(UsageError):
            await plug.set_rule(rule)
        assert not sim.requests


@pytest.mark.parametrize("payload", [{"x": object()}, {"x": {1, 2}}, [], "x"])
async def test_a_payload_that_is_no_json_is_not_sent(payload: Any, surroundings):
    async with (
        sim_meross_device(HOST, key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
    ):
        with pytest.raises(UsageError, match="JSON"):
            await plug.request("Appliance.Control.ToggleX", "SET", payload)


async def test_all_states_are_asked_for_at_once(surroundings):
    async with sim_meross_cloud(**ACCOUNT, environment=surroundings) as cloud:
        async with (
            sim_meross_device(
                HOST,
                name="Kitchen",
                cloud=cloud,
                loads=[60.0],
                environment=surroundings,
            ),
            open_meross(
                **ACCOUNT,
                url=cloud.url,
                policy="cloud_only",
                environment=surroundings,
            ) as meross,
        ):
            plug = meross.device("Kitchen")
            await plug.turn_on()
            await plug.refresh()
            assert plug.states["power_w"] == pytest.approx(60, abs=3)
            assert sum(cloud.messages.values()) <= 6


async def test_a_channel_that_is_not_metered_is_refused_by_name(surroundings):
    async with (
        sim_meross_device(HOST, model="em06", key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as meter,
    ):
        with pytest.raises(UsageError, match="meters channel 1, 2, 3, 4, 5, 6, not 0"):
            await meter.hourly_energy()
        assert await meter.hourly_energy(1) is not None


async def test_what_a_device_does_not_list_is_said_so(surroundings):
    async with (
        sim_meross_device(HOST, key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
    ):
        with pytest.raises(LinkLost, match=r"the device does not list Appliance\.No"):
            await plug.request("Appliance.No")


async def test_a_door_has_opened_when_its_time_is_over_through_the_cloud_as_well(
    surroundings,
):
    async with sim_meross_cloud(**ACCOUNT, environment=surroundings) as cloud:
        async with (
            sim_meross_device(
                HOST,
                model="msg100",
                name="Garage",
                cloud=cloud,
                environment=surroundings,
            ) as sim,
            open_meross(
                **ACCOUNT,
                url=cloud.url,
                policy="cloud_only",
                environment=surroundings,
            ) as meross,
        ):
            door = meross.device("Garage")
            await door.command("garage_door", CoverAction.OPEN)
            async with door.events() as events:
                happened = await occurrences(events, for_s=40)
                state = door.states["garage_door"]
                assert isinstance(state, CoverState)
                assert state.motion == "open"
                await sim.close_door()
                happened += await occurrences(events, for_s=40)
            assert happened == ["opened", "closed"]


async def occurrences(events: AsyncIterator[DeviceEvent], *, for_s: float) -> list[str]:
    found: list[str] = []
    with anyio.move_on_after(for_s):
        async for event in events:
            found += [event.event_type] if isinstance(event, Occurrence) else []
    return found
