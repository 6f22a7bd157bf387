"""A device that floods has a budget of its own; the others do not notice."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot.gateway import DeviceUpdate
from structiot.model import Availability, Occurrence, StateChange, Switch
from tests.gateway.asked_house import asked, plug_of
from tests.gateway.memory_house import followed
from tests.gateway.support import AT, ScriptedDevice

pytestmark = pytest.mark.virtual_time


def press() -> Occurrence:
    return Occurrence(key="button", event_type="press", at_utc=AT)


async def flood(device: ScriptedDevice, for_s: int) -> float:
    """Have a device tell its power 500 times a second, and a press each time."""
    power = 0.0
    for _ in range(for_s * 50):
        for _ in range(10):
            power += 1
            device.tell(StateChange(key="power", state=power, at_utc=AT), press())
        await anyio.sleep(0.02)
    return power


async def test_of_a_flood_the_latest_state_wins_and_it_is_said_once(caplog):
    caplog.set_level(logging.INFO)
    device = plug_of("Desk")
    async with asked(device) as (gateway, asker):
        last = await flood(device, 12)
        desk = gateway.devices["desk"]
        assert [slug for slug, one in gateway.devices.items() if one.budget.is_flooding]
        await anyio.sleep(2)
        assert desk.states["power"] == last
        assert asker.told("desk/power/state")[-1] == last
        # 500 at once, and 50 a second.
        presses = len(asker.told("desk/button/event"))
        assert desk.budget.dropped == 6_000 - presses
        assert len(asker.told("desk/power/state")) + presses <= 500 + 50 * 15
        (said,) = [one for one in caplog.messages if " floods: " in one]
        assert said.startswith("Desk (plug Desk) floods: of more than 50 events")
        await anyio.sleep(60)
        assert not desk.budget.is_flooding
        assert f"no more; {desk.budget.dropped} events lost" in caplog.text
        device.tell(press())
        await anyio.sleep(1)
        assert len(asker.told("desk/button/event")) == presses + 1


async def test_who_floods_with_what_it_does_not_have_fills_nothing():
    device = plug_of("Desk")
    async with asked(device) as (gateway, _):
        for number in range(5000):
            device.tell_state(f"made_up_{number}", number)
            if number % 50 == 0:
                await anyio.sleep(0.001)
        device.tell(Availability(is_available=False, at_utc=AT, reason="it is hot"))
        await anyio.sleep(60)
        desk = gateway.devices["desk"]
        assert desk.availability.reason == "it is hot"
        assert desk.budget.dropped > 2000


async def test_what_is_much_for_few_entities_is_little_for_many():
    device = plug_of("Desk", [Switch(key=f"port_{n}") for n in range(300)])
    async with asked(device) as (gateway, _):
        for second in range(30):
            for number in range(300):
                device.tell_state(f"port_{number}", bool(second % 2))
            await anyio.sleep(1)
        desk = gateway.devices["desk"]
        assert not desk.budget.is_flooding
        assert set(desk.states.values()) == {True}


@pytest.mark.timeout(60)
@pytest.mark.thorough
async def test_a_flood_holds_up_none_of_300_others(watched_loop):
    loud, *others = [plug_of(f"P{number}") for number in range(301)]
    async with (
        asked(loud, *others) as (gateway, asker),
        followed(gateway) as events,
        watched_loop(0.05),
    ):
        await anyio.sleep(2)
        asker.heard.clear()
        events.clear()

        async def speak() -> None:
            for number, device in enumerate(others):
                device.tell_state("power", float(number))
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak)
            await flood(loud, 3)
        await anyio.sleep(0.1)
        told = [one for one in events if isinstance(one, DeviceUpdate)]
        changed = {one.device for one in told if isinstance(one.event, StateChange)}
        assert len(changed) == 301
        for number in range(1, 301):
            assert len(asker.told(f"p{number}/power/state")) == 1
        assert gateway.devices["p0"].budget.is_flooding
