"""What hubs say of the valves and sensors that are paired with them."""

from __future__ import annotations

import anyio
import pytest

from structiot.sim.meross.parts.hub import Hub
from structiot.sim.meross.parts.subdevices import (
    DoorSensor,
    LeakSensor,
    SmokeSensor,
    TemperatureSensor,
)
from structiot.sim.meross.parts.valve import Valve
from tests.sim.meross.raw_meross import NOON_S, get, heard, put

pytestmark = pytest.mark.virtual_time

VALVE = "01000A0B"
CLIMATE = "1200AABBCCDD"


async def test_a_valve_hears_of_a_command_when_it_wakes_up():
    async with heard("msh300hk") as (sim, said):
        item = {"id": VALVE, "custom": 235}
        ack = await put(sim, "Hub.Mts100.Temperature", {"temperature": [item]})
        assert ack["temperature"][0]["custom"] == 200
        assert ack["temperature"][0]["currentSet"] == 220
        await anyio.sleep(11)
        # Another mode is on: only the preset has changed.
        assert said == [
            (
                10,
                "Hub.Mts100.Temperature",
                {"temperature": [{"id": VALVE, "custom": 235}]},
            )
        ]
        mode = {"mode": [{"id": VALVE, "state": 0}]}
        assert await put(sim, "Hub.Mts100.Mode", mode) == {}
        await anyio.sleep(11)
        assert said[1:] == [
            (21, "Hub.Mts100.Mode", mode),
            (
                21,
                "Hub.Mts100.Temperature",
                {"temperature": [{"id": VALVE, "currentSet": 235}]},
            ),
        ]
        found = (await get(sim, "Hub.Mts100.All", {"all": [{"id": VALVE}]}))["all"]
        assert [row["id"] for row in found] == [VALVE]
        assert found[0]["mode"] == {"state": 0}
        assert found[0]["temperature"]["currentSet"] == 235
        digest = (await get(sim, "System.All"))["all"]["digest"]["hub"]["subdevice"]
        assert digest[0]["mts100v3"] == {"mode": 0}


async def test_a_valve_tells_only_what_has_changed():
    async with heard("msh300hk") as (sim, said):
        valve = sim.subdevices[VALVE]
        assert isinstance(valve, Valve)
        valve.measure(23.0)
        valve.open_window(is_open=True)
        assert [payload["temperature"] for _, _, payload in said] == [
            [{"id": VALVE, "room": 230, "heating": 0}],
            [{"id": VALVE, "openWindow": 1}],
        ]


async def test_sensors_tell_what_happens():
    async with heard("msh300hk") as (sim, said):
        by_kind = {one.kind: one for one in sim.subdevices.values()}
        climate, door = by_kind["ms100"], by_kind["ms200"]
        leak, smoke = by_kind["ms405"], by_kind["gs559"]
        assert isinstance(climate, TemperatureSensor)
        assert isinstance(door, DoorSensor)
        assert isinstance(leak, LeakSensor)
        assert isinstance(smoke, SmokeSensor)
        climate.measure(19.5, 61.0)
        door.move(is_open=True)
        leak.leak(is_wet=True)
        smoke.alarm(25)
        climate.set_battery(40)
        assert [name for _, name, _ in said] == [
            "Hub.Sensor.TempHum",
            "Hub.Sensor.DoorWindow",
            "Hub.Sensor.WaterLeak",
            "Hub.Sensor.Smoke",
            "Hub.Battery",
        ]
        rows = [next(iter(payload.values()))[0] for _, _, payload in said]
        assert rows[0]["latestTemperature"] == 195
        assert rows[0]["latestHumidity"] == 610
        assert rows[1]["status"] == 1
        assert rows[2]["latestWaterLeak"] == 1
        assert rows[3]["status"] == 25
        assert [*said[3][2]] == ["smokeAlarm"]
        everything = (await get(sim, "Hub.Sensor.All", {"all": []}))["all"]
        assert [row["id"] for row in everything] == [
            one.id for one in sim.subdevices.values() if one.id != VALVE
        ]
        assert everything[0]["temperature"]["latest"] == 195
        assert everything[1]["temperature"]["latest"] == 2140
        assert everything[2]["doorWindow"] == {"status": 1, "lmTime": NOON_S}
        muted = {"smokeAlarm": [{"id": smoke.id, "status": 27}]}
        await put(sim, "Hub.Sensor.Smoke", muted)
        status = (await get(sim, "Hub.Sensor.Smoke"))["smokeAlarm"][0]["status"]
        assert status == 27


async def test_an_offset_is_added_to_the_one_there_is():
    async with heard("msh300hk") as (sim, _):
        for _ in range(2):
            item = {"id": CLIMATE, "temperature": -3, "humidity": 5}
            await put(sim, "Hub.Sensor.Adjust", {"adjust": [item]})
        rows = await get(sim, "Hub.Sensor.Adjust", {"adjust": [{"id": CLIMATE}]})
        assert rows["adjust"] == [{"id": CLIMATE, "temperature": -6, "humidity": 10}]
        rows = (await get(sim, "Hub.Sensor.All", {"all": [{"id": CLIMATE}]}))["all"]
        assert rows[0]["temperature"]["latest"] == 208


async def test_a_subdevice_that_is_lost_has_little_to_say():
    async with heard("msh300hk") as (sim, said):
        sim.subdevices[CLIMATE].set_online(is_online=False)
        assert [name for _, name, _ in said] == ["Hub.Online", "Hub.Exception"]
        assert said[0][2]["online"][0]["status"] == 2
        assert said[1][2] == {"exception": [{"id": CLIMATE, "code": 5061}]}
        hub = (await get(sim, "Digest.Hub"))["hub"]
        assert hub["subdevice"][1] == {"id": CLIMATE, "status": 2}


async def test_what_is_paired_or_forgotten_is_told():
    async with heard("msh300") as (sim, said):
        hub = sim.device.parts_of(Hub)[0]
        hub.pair("ms130", "1A00000000FF")
        hub.forget(CLIMATE)
        assert said == [
            (0, "Hub.Bind", {"bind": [{"id": "1A00000000FF", "deviceType": "ms130"}]}),
            (0, "Hub.Unbind", {"bind": [{"id": CLIMATE, "deviceType": "ms100"}]}),
        ]
        rows = (await get(sim, "Digest.Hub"))["hub"]["subdevice"]
        assert [row["id"] for row in rows] == [VALVE, "1A00000000FF"]
