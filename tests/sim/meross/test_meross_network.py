"""Simulated devices that come and go, in memory and on real sockets."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.errors import ConnectFailed, UsageError
from structiot.mqtt import open_broker
from structiot.sim import SimClock
from structiot.sim.meross import sim_meross_device
from structiot.testing import cancel_sweep
from tests.sim.meross.raw_meross import (
    NOON,
    NOON_S,
    UUID,
    ask,
    device_at_noon,
    environment,
    get,
)

BROKER = ("127.0.0.1", 1883, None)


@pytest.mark.virtual_time
async def test_an_unplugged_device_is_gone_and_comes_back_as_it_was():
    async with device_at_noon(loads=[100]) as sim:
        await sim.press()
        await sim.unplug()
        with pytest.raises(ConnectFailed):
            await ask(sim, "GET", "System.All")
        await sim.plug_in("192.168.1.61")
        found = (await get(sim, "System.All"))["all"]
        assert found["digest"]["togglex"][0]["onoff"] == 0
        assert found["system"]["firmware"]["innerIp"] == "192.168.1.61"


@pytest.mark.virtual_time
async def test_nothing_is_counted_without_mains():
    async with device_at_noon(loads=[100]) as sim:
        await anyio.sleep(3600)
        await sim.power_cut(3600)
        await anyio.sleep(3600)
        days = (await get(sim, "Control.ConsumptionX"))["consumptionx"]
        assert sum(day["value"] for day in days) == 200


@pytest.mark.virtual_time
async def test_a_device_tells_the_time_of_its_clock():
    clock = SimClock(NOON, speed=60)
    async with device_at_noon("msg100", clock=clock) as sim:
        began = anyio.current_time()
        await anyio.sleep(10)
        system = (await ask(sim, "GET", "System.Time", at_s=NOON_S))["payload"]
        assert system["time"]["timestamp"] == NOON_S + 600
        # Its doors go by the same clock.
        door = {"state": {"channel": 0, "open": 1}}
        await ask(sim, "SET", "GarageDoor.State", door, at_s=NOON_S)
        await anyio.sleep(0.1)
        told = {"channel": 0, "open": 1, "lmTime": NOON_S + 602}
        assert [push.payload for push in sim.pushes] == [{"state": [told]}]
        assert anyio.current_time() - began < 11


@pytest.mark.virtual_time
async def test_requests_and_pushes_are_kept_and_not_for_ever():
    async with device_at_noon(requests_kept=3) as sim:
        for _ in range(5):
            await get(sim, "System.Runtime")
        await sim.press()
        assert len(sim.requests) == 3
        assert {one.transport for one in sim.requests} == {"http"}
        assert sim.requests[0].asked.namespace == "Appliance.System.Runtime"
        assert sim.requests[0].at_utc == NOON
        assert [one.namespace for one in sim.pushes] == ["Appliance.Control.ToggleX"]


@pytest.mark.virtual_time
async def test_a_device_leaves_nothing_behind_wherever_it_is_cancelled():
    async def flow() -> None:
        place = environment()
        async with (
            open_broker("mqtt://127.0.0.1:1883", environment=place),
            sim_meross_device(uuid=UUID, broker=BROKER, environment=place) as sim,
        ):
            await get(sim, "System.All")
            await sim.press()
            await sim.reboot(1)
            sim.faults.delay_s = 1
            await get(sim, "System.All")

    assert await cancel_sweep(flow) > 10


@pytest.mark.virtual_time
async def test_arguments_of_another_class_are_refused():
    refused: list[dict[str, Any]] = [
        {"host": 5},
        {"loads": ["x"]},
        {"broker": "host:1883"},
        {"key": None},
    ]
    for wrong in refused:
        with pytest.raises(UsageError):
            async with sim_meross_device(**wrong):
                pass


@pytest.mark.e2e
async def test_a_device_answers_on_a_real_socket():
    async with sim_meross_device("127.0.0.53", http_port=0, uuid=UUID) as sim:
        at_s = int(sim.clock.now_s())
        answer = await ask(sim, "GET", "System.All", at_s=at_s)
        assert answer["payload"]["all"]["system"]["hardware"]["uuid"] == UUID
