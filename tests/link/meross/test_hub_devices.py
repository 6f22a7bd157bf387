"""What hangs on a hub, as the hub is lost, found, and gets others."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment, UsageError
from structiot.meross import MemoryStore, open_meross, open_meross_lan
from structiot.model import ClimateState, EntitiesChanged, StateChange
from structiot.sim import sim_meross_cloud, sim_meross_device
from structiot.sim.meross.parts.hub import Hub
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_clock
from tests.link.meross.test_account import house, known

pytestmark = pytest.mark.virtual_time

HOST = "192.168.1.60"
LEAK = "1A00AABBCC03"


async def test_what_hangs_on_a_hub_is_away_with_it():
    environment = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model="msh300hk", environment=environment) as sim,
        open_meross_lan(HOST, key=sim.key, environment=environment) as hub,
        hub.events(),
    ):
        await anyio.sleep(30)
        assert all(sub.is_available for sub in hub.subdevices.values())
        sim.subdevices[LEAK].set_online(is_online=False)
        await anyio.sleep(30)
        leak = hub.subdevices[LEAK]
        assert not leak.is_available
        await sim.unplug()
        await anyio.sleep(300)
        assert hub.availability.is_available is False
        for sub in hub.subdevices.values():
            assert not sub.is_available
            assert sub.availability.reason.startswith(f"{hub.info.name}: ")
        await sim.plug_in()
        await anyio.sleep(120)
        away = [key for key, sub in hub.subdevices.items() if not sub.is_available]
        assert away == [LEAK]
        assert leak.availability.reason == f"{hub.info.name} does not reach it"


async def test_whoever_goes_through_them_may_wait_meanwhile():
    async with house(["msh300hk"]) as home, home.account() as meross:
        hub = await known(meross)
        async with hub.events():
            await anyio.sleep(60)
            (paired,) = home.sims[0].device.parts_of(Hub)
            before = dict(hub.subdevices)
            for sub_id in hub.subdevices:
                if len(hub.subdevices) == len(before):
                    paired.forget([*before][-1])
                    home.cloud.devices[hub.info.id].subdevices = ()
                    await anyio.sleep(120)
                assert sub_id in before
            assert len(hub.subdevices) == len(before) - 1


async def test_that_a_hub_has_others_is_told_of_the_hub():
    environment = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model="msh300hk", environment=environment) as sim,
        open_meross_lan(HOST, key=sim.key, environment=environment) as hub,
        hub.events() as events,
    ):
        await anyio.sleep(30)
        before = dict(hub.subdevices)
        (paired,) = sim.device.parts_of(Hub)
        paired.forget(LEAK)
        with anyio.fail_after(60):
            async for event in events:
                if isinstance(event, EntitiesChanged) and LEAK not in hub.subdevices:
                    break
        assert dict(hub.subdevices) == {k: v for k, v in before.items() if k != LEAK}


async def test_a_hub_that_is_described_anew_keeps_what_hangs_on_it():
    environment = Environment(network=MemoryNetwork())
    async with (
        sim_meross_cloud(environment=environment) as cloud,
        sim_meross_device(HOST, model="msh300hk", cloud=cloud, environment=environment),
        open_meross(
            email=cloud.email,
            password=cloud.password,
            store=MemoryStore(),
            url=cloud.url,
            environment=environment,
        ) as meross,
    ):
        (hub,) = meross.devices.values()
        await hub.known()
        await anyio.sleep(10)
        before = dict(hub.subdevices)
        assert len(before) == 6
        zones = [hub.about.zone]
        async with hub.events():
            await anyio.sleep(60)
            zones.append(hub.about.zone)
            assert [zone is None for zone in zones] == [True, False]
            assert dict(hub.subdevices) == before


async def test_what_a_sleeping_valve_was_ordered_overrides_what_the_hub_still_says():
    environment = Environment(network=MemoryNetwork(), clock=virtual_clock)
    async with (
        sim_meross_device(HOST, model="msh300hk", environment=environment) as sim,
        open_meross_lan(HOST, key=sim.key, environment=environment) as hub,
    ):
        valve = next(one for one in hub.subdevices.values() if "valve" in one.states)
        told: list[tuple[float | None, str | None]] = []
        async with valve.events() as events, anyio.create_task_group() as tg:

            async def watch() -> None:
                async for event in events:
                    state = event.state if isinstance(event, StateChange) else None
                    if isinstance(state, ClimateState):
                        news = (state.target_c, state.preset)
                        told.extend([news] if news not in told[-1:] else [])

            tg.start_soon(watch)
            await anyio.sleep(5)
            await valve.command("valve", ClimateState(target_c=19))
            await anyio.sleep(60)
            tg.cancel_scope.cancel()
        assert told[-2:] == [(22.0, "comfort"), (19.0, "custom")]
        assert len(told) <= 3


async def test_what_hangs_on_a_hub_is_turned_on_and_off():
    environment = Environment(network=MemoryNetwork())
    async with (
        sim_meross_device(HOST, model="msh300hk", environment=environment) as sim,
        open_meross_lan(HOST, key=sim.key, environment=environment) as hub,
    ):
        valve = next(one for one in hub.subdevices.values() if "valve" in one.states)
        for turn, mode in ((valve.turn_off, "off"), (valve.turn_on, "heat")):
            await turn()
            state = valve.states["valve"]
            assert isinstance(state, ClimateState)
            assert state.mode == mode
        with pytest.raises(UsageError, match="nothing to turn on"):
            await hub.subdevices[LEAK].turn_on()
