"""A capture that is served again: what was answered, and what is changed from then on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import LinkLost, UsageError
from structiot.meross.errors import MerossRefused
from structiot.meross.opening import open_meross_lan
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import object_of
from structiot.model import LightState
from structiot.sim.meross import sim_meross_replay
from structiot.testing import MemoryNetwork
from tests.link.meross.eavesdropping import LIGHT, TOGGLE, UUID, room, write
from tests.sim.meross.captures import PLACEHOLDER, capture_of, exchange, said

pytestmark = pytest.mark.virtual_time

HOST = "192.168.1.77"
DOORS = "Appliance.GarageDoor.State"


ABILITIES: dict[str, Any] = {
    TOGGLE: {},
    DOORS: {},
    "Appliance.Hub.Mts100.Temperature": {},
}
ALL = {
    "all": {
        "system": {
            "hardware": {"type": "mss310", "uuid": "x", "macAddress": "y"},
            "firmware": {"version": "6.1", "innerIp": "192.0.2.1", "more": "kept"},
            "time": {"timestamp": 1, "timezone": "Europe/Rome"},
        },
        "digest": {
            "togglex": [{"channel": 0, "onoff": 1, "lmTime": 5}],
            "garageDoor": [{"channel": 0, "open": 0}],
        },
    }
}
BASE = [
    *exchange("Appliance.System.Ability", {"ability": ABILITIES}),
    *exchange("Appliance.System.All", ALL),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.zip"


async def test_a_captured_plug_is_opened_and_switched(path: Path):
    async with room() as here:
        async with here.sniffing(path):
            await here.app.ask(TOGGLE, Method.GET, UUID)
            await here.switch(is_on=False)
            await anyio.sleep(20)
        place = here.environment
        async with (
            sim_meross_replay(path, host=HOST, environment=place) as sim,
            open_meross_lan(HOST, key=sim.key, environment=place) as plug,
        ):
            assert sim.uuid == plug.info.id == PLACEHOLDER
            assert plug.about.model == "mss310"
            assert plug.about.abilities == here.device.about.abilities
            async with plug.events():
                await anyio.sleep(15)
                seen = [plug.states["switch"]]
                await plug.turn_on()
                assert sim.device.digest()["togglex"][0]["onoff"] == 1
                await anyio.sleep(15)
                seen.append(plug.states["switch"])
            assert seen == [False, True]
            reply = await plug.request("Appliance.System.All")
            assert object_of(reply, "all", "system", "firmware")["innerIp"] == HOST


async def test_a_captured_lamp_is_dimmed(path: Path):
    async with room("msl120") as here:
        async with here.sniffing(path):
            light = {"channel": 0, "capacity": 4, "luminance": 40, "gradual": 0}
            await here.order(LIGHT, {"light": light})
        place = here.environment
        async with (
            sim_meross_replay(path, host=HOST, environment=place) as sim,
            open_meross_lan(HOST, key=sim.key, environment=place) as lamp,
            lamp.events(),
        ):
            await anyio.sleep(15)
            state = lamp.states["light"]
            assert isinstance(state, LightState)
            assert state.brightness_percent == 40
            await lamp.command("light", LightState(is_on=True, brightness_percent=70))
            await anyio.sleep(15)
            assert sim.device.digest()["light"]["luminance"] == 70


async def test_a_captured_device_is_encrypted_as_it_was(path: Path):
    async with room("mss110") as here:
        async with here.sniffing(path):
            await here.switch(is_on=False)
        place, key = here.environment, "another key of 32 characters ..."
        async with (
            sim_meross_replay(path, host=HOST, key=key, environment=place) as sim,
            open_meross_lan(HOST, key=key, environment=place) as plug,
        ):
            await plug.turn_on()
            assert sim.device.is_encrypted
            assert all(one.is_encrypted for one in list(sim.requests)[1:])


async def test_it_is_a_device_of_an_account_as_well(path: Path):
    async with room() as here:
        async with here.sniffing(path):
            await here.switch(is_on=False)
        cloud = here.cloud
        cloud.register(uuid=PLACEHOLDER, name="Replayed")
        async with sim_meross_replay(
            path,
            host=HOST,
            key=cloud.key,
            user_id=cloud.user_id,
            broker=(cloud.broker.host, cloud.broker.port, None),
            environment=here.environment,
        ) as sim:
            await here.account.refresh()
            await anyio.sleep(30)
            plug = here.account.device("Replayed")
            async with plug.events(), plug.notifications() as notes:
                await plug.turn_on()
                note = await anext(notes)
                assert (note.namespace, sim.pushes[-1].namespace) == (TOGGLE, TOGGLE)


# ---------------------------------------------------------------- what it answers


async def answers(
    path: Path, lines: Sequence[dict[str, Any]], *asked: tuple[str, str, Any]
) -> list[Any]:
    """Serve a capture made by hand, ask it, and give the payloads of the answers."""
    write(path, capture_of(*BASE, *lines))
    place = Environment(network=MemoryNetwork())
    found: list[Any] = []
    async with (
        sim_meross_replay(path, host=HOST, environment=place) as sim,
        open_meross_lan(HOST, key=sim.key, environment=place) as device,
    ):
        for method, namespace, payload in asked:
            found.append(await device.request(namespace, method, payload))
    return found


async def test_it_is_as_it_was_at_the_end(path: Path):
    lines = [
        *exchange(TOGGLE, {"togglex": {"channel": 0, "onoff": 0, "lmTime": 6}}),
        said("push", "PUSH", TOGGLE, {"togglex": [{"channel": 0, "onoff": 1}]}),
        *exchange(TOGGLE, {}, {"togglex": {"channel": 0, "onoff": 0}}, "SET"),
        said("request", "SET", TOGGLE, {"togglex": {"channel": 0, "onoff": 7}}, "lost"),
    ]
    toggle, everything = await answers(
        path, lines, ("GET", TOGGLE, {}), ("GET", "Appliance.System.All", {})
    )
    assert toggle == {"togglex": {"channel": 0, "onoff": 0, "lmTime": 6}}
    found = everything["all"]
    assert found["digest"]["togglex"] == [{"channel": 0, "onoff": 0, "lmTime": 5}]
    assert found["system"]["firmware"]["more"] == "kept"
    assert found["system"]["hardware"]["uuid"] == PLACEHOLDER
    assert found["system"]["time"]["timestamp"] > 1_000_000_000


async def test_what_was_told_in_batches_counts(path: Path):
    inner = [one["message"] for one in exchange(TOGGLE, {"togglex": {"onoff": 0}})]
    multiple = "Appliance.Control.Multiple"
    lines = [
        said("request", "SET", multiple, {"multiple": [inner[0]]}, "2"),
        said("answer", "SETACK", multiple, {"multiple": [inner[1], 7, {}]}, "2"),
    ]
    (toggle,) = await answers(path, lines, ("GET", TOGGLE, {}))
    assert toggle == {"togglex": {"onoff": 0}}


async def test_of_several_those_are_told_that_are_asked_for(path: Path):
    name, key = "Appliance.Hub.Mts100.Temperature", "temperature"
    lines = [
        *exchange(name, {key: [{"id": "a", "room": 1}]}, {key: [{"id": "a"}]}),
        *exchange(name, {key: [{"id": "b", "room": 2}]}, {key: [{"id": "b"}]}),
    ]
    every, one, none, changed, after = await answers(
        path,
        lines,
        ("GET", name, {key: []}),
        ("GET", name, {key: [{"id": "b"}]}),
        ("GET", name, {key: [{"id": "c"}]}),
        ("SET", name, {key: [{"id": "a", "room": 9, "new": 1}]}),
        ("GET", name, {}),
    )
    assert every == {key: [{"id": "a", "room": 1}, {"id": "b", "room": 2}]}
    assert one == {key: [{"id": "b", "room": 2}]}
    assert none == {key: []}
    assert changed == {}
    assert after == {key: [{"id": "a", "room": 9}, {"id": "b", "room": 2}]}


async def test_what_is_only_in_the_digest_is_told_and_changed_as_well(path: Path):
    door = {"state": {"channel": 0, "open": 1}}
    lines = exchange(DOORS, {"state": [{"channel": 0, "open": 0}]}, door, "SET")
    before, order, after, everything = await answers(
        path,
        lines,
        ("GET", DOORS, {}),
        ("SET", DOORS, {"state": {"channel": 0, "open": 0}}),
        ("GET", DOORS, {}),
        ("GET", "Appliance.System.All", {}),
    )
    assert before == {"state": [{"channel": 0, "open": 1}]}
    assert order == after == {"state": [{"channel": 0, "open": 0}]}
    assert everything["all"]["digest"]["garageDoor"] == [{"channel": 0, "open": 0}]


async def test_a_thermostat_s_digest_follows_and_its_sensor_is_asked_by_push(
    path: Path,
):
    mode, lock = "Appliance.Control.Thermostat.Mode", "Appliance.Control.PhysicalLock"
    everything = {
        "all": {"digest": {"thermostat": {"mode": [{"channel": 0, "onoff": 1}]}}}
    }
    lines = [
        *exchange("Appliance.System.Ability", {"ability": {mode: {}, lock: {}}}),
        *exchange("Appliance.System.All", everything),
        said("push", "PUSH", mode, {"mode": [{"channel": 0, "targetTemp": 200}]}),
        said("request", "PUSH", lock, {}, "2"),
        said("push", "PUSH", lock, {"lock": [{"channel": 0, "onoff": 1}]}, "2"),
    ]
    asked, ordered, found = await answers(
        path,
        lines,
        ("PUSH", lock, {}),
        ("SET", mode, {"mode": [{"channel": 0, "targetTemp": 215, "onoff": "on"}]}),
        ("GET", "Appliance.System.All", {}),
    )
    assert asked == {"lock": [{"channel": 0, "onoff": 1}]}
    assert ordered == {}
    assert object_of(found, "all", "digest", "thermostat")["mode"] == [
        {"channel": 0, "onoff": 1, "targetTemp": 215}
    ]


async def test_whoever_asks_without_end_is_forgotten_first(path: Path):
    first = said("request", "SET", TOGGLE, {"togglex": {"channel": 0, "onoff": 0}}, "0")
    many = [said("request", "GET", TOGGLE, {}, str(one)) for one in range(1, 2_000)]
    lines = [first, *many, said("answer", "SETACK", TOGGLE, {}, "0")]
    (toggle,) = await answers(path, lines, ("GET", TOGGLE, {}))
    assert toggle == {"togglex": [{"channel": 0, "onoff": 1, "lmTime": 5}]}


async def test_a_device_that_is_stuck_confirms_and_does_nothing(path: Path):
    write(path, capture_of(*BASE))
    place = Environment(network=MemoryNetwork())
    async with (
        sim_meross_replay(path, host=HOST, environment=place) as sim,
        open_meross_lan(HOST, key=sim.key, environment=place) as device,
    ):
        sim.faults.is_stuck = True
        order = {"togglex": {"channel": 0, "onoff": 0}}
        assert await device.request(TOGGLE, "SET", order) == {}
        assert sim.device.digest()["togglex"][0]["onoff"] == 1


async def test_what_was_not_captured_it_does_not_know(path: Path):
    write(path, capture_of(*BASE))
    place = Environment(network=MemoryNetwork())
    async with (
        sim_meross_replay(path, host=HOST, environment=place) as sim,
        open_meross_lan(HOST, key=sim.key, environment=place) as device,
    ):
        with pytest.raises(LinkLost):
            await device.request("Appliance.Hub.Mts100.Temperature")
        with pytest.raises(MerossRefused):
            await device.request(TOGGLE, "SET", {"togglex": {"channel": 4, "onoff": 0}})
        sim.set_state(TOGGLE, {"onoff": 0}, 0)
        assert sim.device.digest()["togglex"][0]["onoff"] == 0
        with pytest.raises(UsageError, match=r"ToggleX has no 5"):
            sim.set_state(TOGGLE, {"onoff": 0}, 5)


async def test_a_capture_without_any_answer_is_served_all_the_same(path: Path):
    abilities: dict[str, Any] = {
        TOGGLE: {},
        "Appliance.System.All": {},
        "Appliance.System.Ability": {},
    }
    write(path, capture_of(abilities=abilities))
    place = Environment(network=MemoryNetwork())
    async with (
        sim_meross_replay(path, host=HOST, environment=place) as sim,
        open_meross_lan(HOST, key=sim.key, environment=place) as device,
    ):
        assert set(device.about.abilities) == set(abilities)
        assert device.about.model == "mss310"
