"""What takes time and follows from something: doors, shutters, lamps, rooms."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.sim.meross.raw_meross import NOON_S, ask, get, heard, put

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- garage doors


async def test_a_garage_door_opens_after_two_seconds_and_closes_after_ten():
    async with heard("msg100") as (sim, said):
        # The dialog of the reference, 5.2.
        ack = await put(
            sim,
            "GarageDoor.State",
            {"state": {"channel": 0, "open": 1, "uuid": sim.uuid}},
        )
        assert ack == {
            "state": {"channel": 0, "open": 0, "lmTime": NOON_S, "execute": 1}
        }
        await anyio.sleep(1.5)
        assert said == []
        await anyio.sleep(1)
        opened = [{"channel": 0, "open": 1, "lmTime": NOON_S + 2}]
        assert said == [(2, "GarageDoor.State", {"state": opened})]
        digest = (await get(sim, "System.All"))["all"]["digest"]
        assert digest["garageDoor"] == opened
        assert (await get(sim, "GarageDoor.State"))["state"] == opened[0]
        await put(sim, "GarageDoor.State", {"state": {"channel": 0, "open": 0}})
        await anyio.sleep(9.5)
        assert len(said) == 1
        await anyio.sleep(1)
        assert said[1][2]["state"][0]["open"] == 0


async def test_a_door_that_is_called_back_does_not_arrive():
    async with heard("msg100") as (sim, said):
        await put(sim, "GarageDoor.State", {"state": {"channel": 0, "open": 1}})
        await anyio.sleep(1)
        await put(sim, "GarageDoor.State", {"state": {"channel": 0, "open": 0}})
        await anyio.sleep(60)
        assert said == []


async def test_a_door_can_be_stuck_or_moved_by_hand():
    async with heard("msg100") as (sim, said):
        sim.faults.is_stuck = True
        await put(sim, "GarageDoor.State", {"state": {"channel": 0, "open": 1}})
        await anyio.sleep(60)
        assert said == []
        await sim.open_door()
        assert [payload["state"][0]["open"] for _, _, payload in said] == [1]
        await sim.close_door()
        assert [payload["state"][0]["open"] for _, _, payload in said] == [1, 0]


async def test_channel_0_of_three_doors_moves_all_and_one_that_is_none_is_told():
    async with heard("msg200") as (sim, said):
        ack = await put(sim, "GarageDoor.State", {"state": {"channel": 0, "open": 1}})
        assert [row["channel"] for row in ack["state"]] == [1, 2, 3]
        await anyio.sleep(3)
        rows = (await get(sim, "GarageDoor.State"))["state"]
        assert [row["open"] for row in rows] == [1, 1, 1]
        bogus = [p for _, _, p in said if p["state"][0]["channel"] == 0]
        assert bogus[0]["reason"] == {"online": {"timestamp": NOON_S + 2}}
        wanted = {"config": [{"channel": 2}]}
        config = (await get(sim, "GarageDoor.MultipleConfig", wanted))["config"]
        assert [row["channel"] for row in config] == [2]


# ---------------------------------------------------------------- shutters


async def test_a_shutter_runs_for_30_seconds_up_and_20_down_and_stops():
    async with heard("mrs100") as (sim, said):

        async def now() -> tuple[int, int]:
            position = (await get(sim, "RollerShutter.Position"))["position"]
            state = (await get(sim, "RollerShutter.State", {"state": []}))["state"]
            return position[0]["position"], state[0]["state"]

        async def run(position: int) -> None:
            item = {"channel": 0, "position": position}
            assert await put(sim, "RollerShutter.Position", {"position": item}) == {}

        assert await now() == (0, 0)
        await run(100)
        await anyio.sleep(15)
        assert await now() == (50, 1)
        await anyio.sleep(15.5)
        assert await now() == (100, 0)
        assert said == [
            (0, "RollerShutter.State", {"state": [{"channel": 0, "state": 1}]}),
            (
                30,
                "RollerShutter.Position",
                {"position": [{"channel": 0, "position": 100}]},
            ),
            (30, "RollerShutter.State", {"state": [{"channel": 0, "state": 0}]}),
        ]
        await run(0)
        await anyio.sleep(5)
        assert await now() == (75, 2)
        await run(-1)
        await anyio.sleep(60)
        assert await now() == (75, 0)
        await run(40)
        await anyio.sleep(7.1)
        assert await now() == (40, 0)
        config = {"config": {"channel": 0, "signalOpen": 60_000, "signalClose": 10_000}}
        await put(sim, "RollerShutter.Config", config)
        await run(100)
        await anyio.sleep(18)
        assert await now() == (70, 1)


async def test_an_old_shutter_runs_to_the_ends():
    async with heard("mrs100_hw2") as (sim, _):
        item = {"channel": 0, "position": 60}
        await put(sim, "RollerShutter.Position", {"position": item})
        await anyio.sleep(31)
        rows = (await get(sim, "RollerShutter.Position"))["position"]
        assert rows == [{"channel": 0, "position": 100}]


# ---------------------------------------------------------------- lamps


async def test_a_lamp_takes_what_its_bits_say_and_goes_on():
    async with heard("msl120") as (sim, said):
        await put(sim, "Control.ToggleX", {"togglex": {"channel": 0, "onoff": 0}})
        said.clear()
        light = {"channel": 0, "capacity": 5, "rgb": 255, "luminance": 40, "gradual": 0}
        assert await put(sim, "Control.Light", {"light": light}) == {}
        await anyio.sleep(1)
        assert (await get(sim, "Control.Light"))["light"] == {
            "capacity": 5,
            "channel": 0,
            "rgb": 255,
            "temperature": 55,
            "luminance": 40,
            "transform": 0,
        }
        assert [(name, [*payload]) for _, name, payload in said] == [
            ("Control.ToggleX", ["togglex"]),
            ("Control.Light", ["light"]),
        ]
        white = {"channel": 0, "capacity": 2, "temperature": 1}
        await put(sim, "Control.Light", {"light": white})
        assert (await get(sim, "Control.Light"))["light"]["capacity"] == 6
        # Out of range: it stays as it is.
        white = {"channel": 0, "capacity": 2, "temperature": 101}
        await put(sim, "Control.Light", {"light": white})
        assert (await get(sim, "Control.Light"))["light"]["temperature"] == 1


async def test_one_effect_at_most_is_shown():
    async with heard("msl320cpr") as (sim, _):
        effects = (await get(sim, "Control.Light.Effect", {"effect": []}))["effect"]
        for index in (1, 2):
            item = {"Id": effects[index]["Id"], "enable": 1}
            await put(sim, "Control.Light.Effect", {"effect": [item]})
            light = (await get(sim, "Control.Light"))["light"]
            assert (light["capacity"] & 8, light["effect"]) == (8, index)
        effects = (await get(sim, "Control.Light.Effect"))["effect"]
        assert [effect["enable"] for effect in effects] == [0, 0, 1]
        digest = (await get(sim, "System.All"))["all"]["digest"]
        assert digest["light.effect"] == [{"Id": effects[2]["Id"], "enable": 1}]
        light = {"channel": 0, "capacity": 1, "rgb": 1}
        await put(sim, "Control.Light", {"light": light})
        assert (await get(sim, "Control.Light"))["light"]["capacity"] == 5


# ---------------------------------------------------------------- thermostats


async def test_a_floor_is_heated_up_to_its_set_point():
    async with heard("mts200") as (sim, said):

        async def now() -> dict[str, Any]:
            wanted = {"mode": [{"channel": 0}]}
            found = (await get(sim, "Control.Thermostat.Mode", wanted))["mode"][0]
            digest = (await get(sim, "System.All"))["all"]["digest"]["thermostat"]
            assert digest["mode"] == [found]
            return dict(found)

        item = {"channel": 0, "mode": 4, "manualTemp": 215}
        ack = await put(sim, "Control.Thermostat.Mode", {"mode": [item]})
        assert (ack["mode"][0]["targetTemp"], ack["mode"][0]["state"]) == (215, 1)
        await anyio.sleep(3600)
        found = await now()
        assert 212 <= found["currentTemp"] <= 216
        assert said[0][1] == "Control.Thermostat.Mode"
        # 0 heatTemp, 1 coolTemp, 2 ecoTemp.
        for mode, target in [(0, 220), (1, 170), (2, 120)]:
            item = {"channel": 0, "mode": mode}
            await put(sim, "Control.Thermostat.Mode", {"mode": [item]})
            assert (await now())["targetTemp"] == target
        assert (await now())["state"] == 0
        await anyio.sleep(24 * 3600)
        assert (await now())["currentTemp"] == 150
        # Out of range: refused whole.
        item = {"channel": 0, "mode": 4, "manualTemp": 400}
        await put(sim, "Control.Thermostat.Mode", {"mode": [item]})
        assert (await now())["mode"] == 2


async def test_a_floor_draws_power_while_it_is_heated_and_none_while_it_rests():
    async with heard("mts200", loads=[420]) as (sim, _):

        async def now() -> tuple[int, int]:
            mode = (await get(sim, "Control.Thermostat.Mode"))["mode"][0]
            meter = (await get(sim, "Control.Electricity"))["electricity"]
            return mode["state"], meter["power"]

        seen = set()
        for _ in range(60):
            seen.add(await now())
            await anyio.sleep(60)
        assert seen == {(1, 420_000), (0, 0)}
        item = {"channel": 0, "onoff": 0}
        await put(sim, "Control.Thermostat.Mode", {"mode": [item]})
        assert await now() == (0, 0)


async def test_a_thermostat_follows_its_schedule_and_rests_while_a_window_is_open():
    # It is 22:13 UTC on a Tuesday.
    async with heard("mts200") as (sim, _):
        name = "Control.Thermostat.Mode"
        ack = await put(sim, name, {"mode": [{"channel": 0, "mode": 3}]})
        assert ack["mode"][0]["targetTemp"] == 170
        await anyio.sleep(9 * 3600)
        assert (await get(sim, name))["mode"][0]["targetTemp"] == 220
        assert (await get(sim, name))["mode"][0]["state"] == 1
        sim.set_state("Appliance.Control.Thermostat.WindowOpened", {"status": 1})
        await anyio.sleep(61)
        assert (await get(sim, name))["mode"][0]["state"] == 0


async def test_a_socket_with_a_thermostat_counts_hundredths_and_2_is_off():
    async with heard("mts960", loads=[1000]) as (sim, _):
        name = "Control.Thermostat.ModeB"
        item = {"channel": 0, "targetTemp": 2500}
        ack = await put(sim, name, {"modeB": [item]})
        assert (ack["modeB"][0]["targetTemp"], ack["modeB"][0]["state"]) == (2500, 1)
        assert (await get(sim, "Control.Electricity"))["electricity"]["power"] == 1e6
        ack = await put(sim, name, {"modeB": [{"channel": 0, "onoff": 2}]})
        assert ack["modeB"][0]["state"] == 2
        assert (await get(sim, "Control.Electricity"))["electricity"]["power"] == 0


async def test_a_large_thermostat_heats_and_cools():
    async with heard("mts300") as (sim, _):
        name = "Control.Thermostat.ModeC"
        item = {"channel": 0, "mode": 3, "targetTemp": {"heat": 1800, "cold": 1900}}
        ack = await put(sim, name, {"control": [item]})
        more = ack["control"][0]["more"]
        assert (more["hStatus"], more["cStatus"], more["fStatus"]) == (0, 1, 1)
        ack = await put(sim, name, {"control": [{"channel": 0, "mode": 1}]})
        assert ack["control"][0]["more"]["cStatus"] == 0


# ---------------------------------------------------------------- sensors


async def test_presence_is_told_when_asked_for_by_channel_and_name():
    async with heard("ms600") as (sim, said):
        refused: list[Any] = [{}, {"latest": []}, {"latest": [{"channel": 0}]}]
        for payload in refused:
            answer = await ask(sim, "GET", "Control.Sensor.LatestX", payload)
            assert answer["header"]["method"] == "ERROR"
        sim.set_state(
            "Appliance.Control.Sensor.LatestX",
            {"presence": {"value": 2, "distance": 760}},
        )
        row = {"value": 2, "distance": 760, "times": 0, "timestamp": NOON_S}
        assert said == [
            (
                0,
                "Control.Sensor.LatestX",
                {"latest": [{"channel": 0, "data": {"presence": [row]}}]},
            )
        ]
        wanted = {"latest": [{"channel": 0, "data": ["presence"]}]}
        assert (await get(sim, "Control.Sensor.LatestX", wanted))["latest"][0][
            "data"
        ] == {"presence": [row]}


async def test_six_circuits_are_metered_and_one_gives_back():
    async with heard("em06") as (sim, _):
        wanted = {"electricity": [{"channel": 65535}]}
        rows = (await get(sim, "Control.ElectricityX", wanted))["electricity"]
        assert [row["channel"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert {row["voltage"] for row in rows} == {230_400}
        assert [row["power"] > 0 for row in rows] == [True] * 5 + [False]
        sim.set_load(-500, 2)
        wanted = {"electricity": [{"channel": 2}]}
        rows = (await get(sim, "Control.ElectricityX", wanted))["electricity"]
        assert [row["power"] for row in rows] == [-500_000]
        await anyio.sleep(3 * 3600)
        hours = {"consumptionH": [{"channel": 2}]}
        rows = (await get(sim, "Control.ConsumptionH", hours))["consumptionH"]
        assert len(rows[0]["data"]) == 12
        assert rows[0]["total"] == pytest.approx(-1500, abs=1)


async def test_without_mains_a_shutter_stands_and_a_room_grows_cold():
    async with heard("mrs100") as (sim, _):
        item = {"channel": 0, "position": 100}
        await put(sim, "RollerShutter.Position", {"position": item})
        await anyio.sleep(15)
        await sim.power_cut(60)
        await anyio.sleep(60)
        rows = (await get(sim, "RollerShutter.Position"))["position"]
        assert rows == [{"channel": 0, "position": 50}]
    async with heard("mts200") as (sim, _):
        await sim.power_cut(60)
        before = (await get(sim, "Control.Thermostat.Mode"))["mode"][0]["currentTemp"]
        await anyio.sleep(600)
        after = (await get(sim, "Control.Thermostat.Mode"))["mode"][0]["currentTemp"]
        assert after > before
