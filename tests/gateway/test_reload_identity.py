"""What is renamed, moved or replaced by a reload keeps what it would over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.gateway import open_gateway
from structiot.gateway.drivers import with_driver
from structiot.mqtt import open_broker
from tests.gateway.houses import (
    HOST,
    OTHER,
    OTHER_HOST,
    SERIAL,
    config_topic,
    house,
)
from tests.gateway.memory_house import House, retained
from tests.gateway.shelf import Shelf, open_house, reload, toy

pytestmark = pytest.mark.virtual_time

MIGRATE = '{"migrate_discovery": true}'
SLUG = f"structiot/maxsmart_{SERIAL.lower()}"
CONFIG = config_topic()
DESK: dict[str, Any] = {"host": HOST, "name": "Desk"}


@pytest.fixture(params=["kept", "none"])
def state_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "state.json" if request.param == "kept" else None


async def test_a_renamed_strip_keeps_its_announcement(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway(DESK) as gateway:
            home.history.clear()
            await home.reload(gateway, {"host": HOST, "name": "Lamp"})
            assert home.announced == {CONFIG: "structiot/lamp"}
            assert home.roots == {"structiot/lamp"}
            old = "structiot/desk/port_1/state"
            assert home.order(CONFIG, old) == [CONFIG, old]
            # And back, before anything has settled.
            await home.reload(gateway, DESK, seconds=0)
            await home.reload(gateway, {"host": HOST, "name": "Lamp"}, seconds=0)
            await home.reload(gateway, DESK)
            assert home.announced == {CONFIG: "structiot/desk"}
            assert home.roots == {"structiot/desk"}
        assert set(home.of(CONFIG)) & {"", MIGRATE} == set()


async def test_a_strip_that_loses_its_name_keeps_its_announcement(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway(DESK) as gateway:
            await home.reload(gateway, {"host": HOST})
            assert home.announced == {CONFIG: SLUG}
            assert home.roots == {SLUG}
        assert "" not in home.of(CONFIG)


async def test_a_renamed_strip_that_is_away_is_waited_for(state_file):
    async with house(state_file) as home:
        async with home.strip(), home.gateway(DESK):
            pass
        async with home.gateway(DESK) as gateway:
            await home.reload(gateway, {"host": HOST, "name": "Lamp"}, seconds=120)
            assert home.announced == {CONFIG: "structiot/desk"}
            assert home.retained["structiot/desk/availability"] == "offline"
            async with home.strip():
                await anyio.sleep(30)
                assert home.announced == {CONFIG: "structiot/lamp"}
                assert home.roots == {"structiot/lamp"}
        assert "" not in home.of(CONFIG)


async def test_strips_that_swapped_their_names_have_each_others_places(state_file):
    hosts = (HOST, OTHER_HOST)
    async with house(state_file) as home, home.strip(), home.strip(OTHER_HOST, OTHER):
        names = ("Desk", "Sofa")
        devices = [{"host": h, "name": n} for h, n in zip(hosts, names, strict=True)]
        async with home.gateway(*devices) as gateway:
            for names in (("Sofa", "Desk"), ("Desk", "Sofa")):
                devices = [
                    {"host": h, "name": n} for h, n in zip(hosts, names, strict=True)
                ]
                await home.reload(gateway, *devices)
                first, second = (f"structiot/{name.lower()}" for name in names)
                assert home.announced == {CONFIG: first, config_topic(OTHER): second}
                assert home.roots == {first, second}
        assert "" not in [*home.of(CONFIG), *home.of(config_topic(OTHER))]


async def test_a_strip_that_is_listed_at_another_address_keeps_its_place(state_file):
    async with house(state_file) as home, home.strip(), home.strip(OTHER_HOST, OTHER):
        async with home.gateway(DESK) as gateway:
            home.history.clear()
            await home.reload(gateway, {"host": OTHER_HOST, "name": "Desk"})
            assert home.announced == {config_topic(OTHER): "structiot/desk"}
        async with home.gateway(DESK) as gateway:
            assert home.announced == {CONFIG: "structiot/desk"}
    async with house(state_file) as home:
        async with home.strip(), home.gateway(DESK):
            home.history.clear()
        async with home.gateway(DESK) as gateway, home.strip(OTHER_HOST):
            await home.reload(gateway, {"host": OTHER_HOST, "name": "Desk"})
            assert home.announced == {CONFIG: "structiot/desk"}
            assert home.retained["structiot/desk/availability"] == "online"
            assert home.roots == {"structiot/desk"}
        assert "" not in home.of(CONFIG)


async def test_a_found_strip_is_listed_and_is_found_again(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway(discover=True) as gateway:
            assert home.announced == {CONFIG: SLUG}
            await home.reload(gateway, DESK, discover=True)
            assert home.announced == {CONFIG: "structiot/desk"}
            assert home.roots == {"structiot/desk"}
            await home.reload(gateway, discover=True, seconds=120)
            assert home.announced == {CONFIG: SLUG}
            assert home.roots == {SLUG}
        assert set(home.of(CONFIG)) & {"", MIGRATE} == set()


async def test_a_strip_that_is_not_listed_any_more_goes(state_file):
    other = {"host": OTHER_HOST, "name": "Sofa"}
    async with house(state_file) as home, home.strip(), home.strip(OTHER_HOST, OTHER):
        async with home.gateway(DESK, other) as gateway:
            await home.reload(gateway, other)
            assert home.announced == {config_topic(OTHER): "structiot/sofa"}
            assert home.roots == {"structiot/sofa"}
            # First the announcement goes, then the states behind it.
            gone = home.order(CONFIG, "structiot/desk/port_1/state")
            assert gone[-2:] == [CONFIG, "structiot/desk/port_1/state"]


async def test_a_new_state_file_is_said_and_taken_up_at_the_next_restart(
    tmp_path, caplog
):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    async with house() as home, home.strip():
        async with home.gateway(DESK, gateway={"state_file": str(before)}) as gateway:
            said = await home.reload(
                gateway,
                {"host": HOST, "name": "Lamp"},
                gateway={"state_file": str(after)},
            )
            assert said == ("state_file in [gateway]",)
            line = "state_file in [gateway] is taken up at the next restart only"
            assert line in caplog.messages
            assert gateway.state.path == before
        assert "structiot/lamp" in before.read_text("utf-8")
        assert not after.exists()
        async with home.gateway(DESK, gateway={"state_file": str(after)}):
            assert home.announced == {CONFIG: "structiot/desk"}
        assert "structiot/desk" in after.read_text("utf-8")
        assert "" not in home.of(CONFIG)


async def test_what_forgets_at_its_exit_forgets_nothing_at_a_reload(state_file):
    forget = {"forget_on_exit": True}
    async with house(state_file) as home, home.strip():
        async with home.gateway(DESK, gateway=forget) as gateway:
            home.history.clear()
            await home.reload(gateway, DESK, gateway=forget, mqtt={"keep_alive_s": 20})
            assert home.announced == {CONFIG: "structiot/desk"}
            assert "" not in [payload for _, payload in home.history]
            await home.reload(gateway, {"host": HOST, "name": "Lamp"}, gateway=forget)
            assert home.announced == {CONFIG: "structiot/lamp"}
        assert home.retained == {}


async def test_another_broker_is_read_before_anything_is_announced_there(caplog):
    uri = "mqtt://127.0.0.1:1884/"
    forget = {"forget_on_exit": True}
    async with house() as home, home.strip():
        environment = home.environment
        async with open_broker("mqtt://127.0.0.1:1884", environment=environment):
            theirs = home.config(
                DESK, mqtt={"uri": uri, "base_topic": "b"}, gateway={"id": "b"}
            )
            async with (
                open_gateway(theirs, environment=environment) as other,
                home.gateway(DESK, gateway=forget) as gateway,
            ):
                await home.reload(gateway, DESK, mqtt={"uri": uri}, gateway=forget)
                # It does not come back to where it was.
                assert home.retained == {}
                assert gateway.is_connected
                assert other.is_connected
                assert "has announced the same device, and is online" in caplog.text
                await home.reload(gateway, DESK, gateway=forget)
                assert home.announced == {CONFIG: "structiot/desk"}
                assert home.roots == {"structiot/desk"}


async def test_what_was_cleared_while_there_was_no_broker_is_cleared_at_the_next(
    state_file,
):
    async with house(state_file) as home, home.strip():
        async with home.gateway(DESK) as gateway:
            away = {"uri": "mqtt://127.0.0.1:1999/"}
            await home.reload(gateway, DESK, mqtt=away)
            await home.reload(gateway, {"host": HOST, "name": "Lamp"}, mqtt=away)
            await home.reload(gateway, {"host": HOST, "name": "Lamp"})
            assert home.announced == {CONFIG: "structiot/lamp"}
            assert home.roots == {"structiot/lamp"}
            found = await retained(home.client, "structiot/desk/#")
            assert found == {}
        assert "" not in home.of(CONFIG)


async def test_what_is_renamed_and_back_while_there_was_no_broker_is_there(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway(DESK) as gateway:
            standing = set(home.retained)
            away = {"uri": "mqtt://127.0.0.1:1999/"}
            for name in ("Desk", "Lamp", "Desk"):
                await home.reload(gateway, {"host": HOST, "name": name}, mqtt=away)
            await home.reload(gateway, DESK)
            assert set(home.retained) == standing


async def test_a_plug_under_another_key_is_taken_over_while_its_driver_starts():
    house, shelf = House(), Shelf()
    shelf.plugs["New"] = shelf.plug("Old")
    async with (
        house.broker(),
        house.client() as client,
        open_house(house, shelf, toy=toy("Old", takes_s=10.0)) as (gateway, _),
    ):
        await anyio.sleep(30)
        before = await retained(client, "homeassistant/#")
        await reload(gateway, toy=toy("New", takes_s=10.0))
        assert set(gateway.devices) == {"new"}
        assert gateway.devices["new"].is_available
        after = await retained(client, "homeassistant/#")
        assert after.keys() == before.keys()
        assert await retained(client, "structiot/old/#") == {}


@pytest.mark.parametrize("order", [("toy", "lab"), ("lab", "toy")])
async def test_a_name_goes_from_one_system_to_another_and_back(order):
    house, shelves = House(), {system: Shelf(system) for system in order}
    async with house.broker(), house.client() as client:
        with with_driver("lab", shelves["lab"].driver):
            here, there = order
            sections = {here: toy("Lamp"), there: toy()}
            async with open_house(house, shelves["toy"], **sections) as (gateway, _):
                for _ in range(2):
                    sections = {there: toy("Lamp"), here: toy()}
                    await reload(gateway, **sections)
                    assert set(gateway.devices) == {"lamp"}
                    assert gateway.devices["lamp"].system == there
                    assert gateway.devices["lamp"].is_available
                    found = await retained(client, "homeassistant/#")
                    assert set(found) == {
                        f"homeassistant/device/structiot_{there}_Lamp/config"
                    }
                    here, there = there, here
