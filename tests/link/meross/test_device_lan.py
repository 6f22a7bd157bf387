"""Devices in the local network, without a cloud: `open_meross_lan` and the simulator."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.errors import UnsupportedDevice, UsageError
from structiot.meross.opening import open_meross, open_meross_lan
from structiot.model import Availability, StateChange
from structiot.sim.meross import MEROSS_MODELS, sim_meross_device
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

HOST = "192.168.1.60"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("model", ["mss310", "mss310_hw1", "mss110"])
async def test_a_plug_is_switched_and_its_button_seen(model: str):
    surroundings = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model=model, key=KEY, environment=surroundings) as sim,
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
        plug.events() as events,
    ):
        assert plug.info.id == sim.uuid
        await plug.turn_on()
        assert plug.states.get("switch") is True
        await plug.turn_off()
        assert dict(plug.states)["switch"] is False
        await sim.press()
        with anyio.fail_after(30):
            async for event in events:
                if event == StateChange(key="switch", state=True, at_utc=event.at_utc):
                    break


@pytest.mark.parametrize("model", sorted(MEROSS_MODELS))
async def test_each_model_is_opened_and_its_states_are_known(model: str):
    surroundings = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model=model, key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as device,
        device.events(),
    ):
        await anyio.sleep(10)
        assert device.is_available
        keys = {entity.key for entity in device.entities}
        assert len(keys) == len(device.entities)
        assert set(device.states) <= keys
        assert set(device.states)
        for sub in device.subdevices.values():
            assert sub.states, sub


@pytest.mark.parametrize("model", sorted(MEROSS_MODELS))
async def test_readings_come_or_are_refused_at_once(model: str):
    """Nobody waits for ever for a meter that is not there."""
    surroundings = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model=model, key=KEY, environment=surroundings),
        open_meross_lan(HOST, key=KEY, environment=surroundings) as device,
    ):
        if any(entity.key.startswith("power") for entity in device.entities):
            with anyio.fail_after(30):
                async with device.readings() as readings:
                    assert (await anext(readings)).device == device.info.id
        else:
            for listening in (device.readings, device.changes):
                with pytest.raises(UnsupportedDevice, match="has no meter"):
                    async with listening():
                        pytest.fail("there is none")
        for sub in device.subdevices.values():
            with pytest.raises(UnsupportedDevice, match="has no meter"):
                async with sub.readings():
                    pytest.fail("there is none")


async def test_a_device_that_is_away_is_told_and_comes_back():
    surroundings = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, key=KEY, environment=surroundings) as sim,
        open_meross_lan(HOST, key=KEY, environment=surroundings) as plug,
        plug.events() as events,
    ):
        await sim.unplug()
        seen = []
        with anyio.fail_after(300):
            async for event in events:
                if isinstance(event, Availability):
                    seen.append(event.is_available)
                    if seen == [True, False]:
                        await sim.plug_in()
                    if seen == [True, False, True]:
                        break


@pytest.mark.parametrize("poll_s", [1, 60, 180])
async def test_a_watched_device_is_asked_as_often_as_wanted_and_not_stale(poll_s: int):
    surroundings = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, key=KEY, environment=surroundings) as sim,
        open_meross_lan(HOST, key=KEY, poll_s=poll_s, environment=surroundings) as plug,
        plug.events(),
    ):
        await anyio.sleep(poll_s / 2)
        for _ in range(5):
            before = len(sim.requests)
            await anyio.sleep(poll_s)
            asked = [one.asked.namespace for one in list(sim.requests)[before:]]
            assert asked.count("Appliance.System.All") == 1, asked
            silent_s = plug.silent_s("power_w")
            assert silent_s is not None
            assert silent_s < poll_s <= (plug.stale_after_s("power_w") or 0)


@pytest.mark.parametrize("poll_s", [0, 0.9, 181, float("nan"), float("inf")])
async def test_a_pace_that_cannot_be_is_refused(poll_s: float):
    with pytest.raises(UsageError, match="poll_s is 1 to 180 s"):
        async with open_meross_lan(HOST, key=KEY, poll_s=poll_s):
            pass
    with pytest.raises(UsageError, match="poll_s is 1 to 180 s"):
        async with open_meross(poll_s=poll_s):
            pass
