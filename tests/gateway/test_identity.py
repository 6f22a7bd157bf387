"""One identity, one place: whatever is renamed, moved or replaced between two runs.

Each story runs with a state file and, where what is on the broker tells enough, without.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.gateway import load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.gateway.state_file import StateFile
from tests.gateway.houses import (
    HOST,
    OTHER,
    OTHER_HOST,
    SERIAL,
    URI,
    config_topic,
    house,
)
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    plug,
    scripted,
    source_of,
    stay,
)

pytestmark = pytest.mark.virtual_time

MIGRATE = '{"migrate_discovery": true}'
SLUG = f"maxsmart_{SERIAL.lower()}"
CONFIG = config_topic()


@pytest.fixture(params=["kept", "none"])
def state_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "state.json" if request.param == "kept" else None


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


async def test_a_found_strip_that_is_listed_afterwards_is_announced_once(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway(discover=True):
            assert home.announced == {CONFIG: f"structiot/{SLUG}"}
        async with home.gateway({"host": HOST, "name": "Kitchen"}, discover=True):
            assert home.announced == {CONFIG: "structiot/kitchen"}
            assert home.roots == {"structiot/kitchen"}
        assert "" not in home.of(CONFIG), "Home Assistant would delete its entities"
        assert MIGRATE not in home.of(CONFIG)


async def test_a_renamed_strip_keeps_its_announcement(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway({"host": HOST, "name": "Plug"}):
            assert home.announced == {CONFIG: "structiot/plug"}
        home.history.clear()
        async with home.gateway({"host": HOST, "name": "Lamp"}):
            assert home.announced == {CONFIG: "structiot/lamp"}
            assert home.roots == {"structiot/lamp"}
        # First it points to the new topics, then the old ones go.
        old = "structiot/plug/port_1/state"
        new = "structiot/lamp/port_1/state"
        assert home.order(CONFIG, old) == [CONFIG, old]
        assert home.of(new)[0] == "ON"
        assert "" not in home.of(CONFIG)


async def test_a_renamed_strip_that_is_away_is_waited_for(state_file):
    async with house(state_file) as home:
        async with home.strip(), home.gateway({"host": HOST, "name": "Plug"}):
            pass
        async with home.gateway({"host": HOST, "name": "Lamp"}, seconds=120):
            assert home.announced == {CONFIG: "structiot/plug"}
            assert home.retained["structiot/plug/availability"] == "offline"
            async with home.strip():
                await anyio.sleep(30)
                assert home.announced == {CONFIG: "structiot/lamp"}
                assert home.roots == {"structiot/lamp"}
        assert "" not in home.of(CONFIG)


async def test_a_new_id_or_base_topic_leaves_nothing_behind(state_file):
    async with house(state_file) as home, home.strip():
        device = {"host": HOST, "name": "Plug"}
        async with home.gateway(device, gateway={"id": "old"}):
            pass
        async with home.gateway(device, gateway={"id": "new"}):
            assert home.announced == {CONFIG: "structiot/plug"}
        async with home.gateway(device, mqtt={"base_topic": "iot/new"}):
            assert home.announced == {CONFIG: "iot/new/plug"}
            assert home.roots == {"iot/new/plug"}
            if state_file is not None:
                assert not [one for one in home.retained if one.startswith("structiot")]
        assert "" not in home.of(CONFIG)


async def test_a_new_prefix_leaves_nothing_behind(kept):
    async with house(kept) as home, home.strip():
        device = {"host": HOST, "name": "Plug"}
        async with home.gateway(device):
            pass
        home.history.clear()
        async with home.gateway(device, mqtt={"discovery_prefix": "ha"}):
            new = config_topic(prefix="ha")
            assert home.announced == {new: "structiot/plug"}
            assert CONFIG not in home.retained
        assert home.of(CONFIG) == [MIGRATE, ""]
        assert home.order(CONFIG, new)[:3] == [CONFIG, CONFIG, new]


async def test_without_discovery_nothing_is_left_of_the_old_name(kept):
    off = {"discovery": False}
    async with house(kept) as home, home.strip():
        async with home.gateway({"host": HOST, "name": "Plug"}, mqtt=off):
            assert home.roots == {"structiot/plug"}
        async with home.gateway({"host": HOST, "name": "Lamp"}, mqtt=off):
            assert home.roots == {"structiot/lamp"}
        async with home.gateway({"host": HOST}, mqtt=off | {"base_topic": "b"}):
            assert home.roots == {f"b/{SLUG}"}


async def test_announcements_go_when_discovery_is_switched_off(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway({"host": HOST, "name": "Plug"}):
            pass
        async with home.gateway(
            {"host": HOST, "name": "Lamp"}, mqtt={"discovery": False}
        ):
            assert home.announcements == {}
            assert home.roots == {"structiot/lamp"}


async def test_a_strip_replaced_by_a_plug_under_its_id_leaves_no_ports(state_file):
    device = {"host": HOST, "name": "Desk", "id": "desk"}
    config = config_topic("desk")
    async with house(state_file) as home:
        async with home.strip(), home.gateway(device):
            assert "structiot/desk/port_6/state" in home.retained
        async with home.strip(serial=OTHER, family="mh_plug_130"), home.gateway(device):
            found = home.announcements[config]["components"]
            assert found["port_6"] == {"platform": "switch"}
            assert found["port_1"]["unique_id"] == "structiot_maxsmart_desk_port_1"
            states = [t for t in home.retained if t.startswith("structiot/desk/port_")]
            assert states
            assert not [one for one in states if one.split("/")[2][5] in "23456"]
            # What has just been taken away is not taken away for ever.
        async with home.strip(serial=OTHER, family="mh_plug_130"), home.gateway(device):
            assert "port_6" not in home.announcements[config]["components"]


async def test_a_strip_replaced_by_another_one_gives_up_its_place(state_file):
    device = {"host": HOST, "name": "Desk"}
    async with house(state_file) as home:
        async with home.strip(), home.gateway(device):
            pass
        async with home.strip(serial=OTHER), home.gateway(device):
            assert home.announced == {config_topic(OTHER): "structiot/desk"}


async def test_two_strips_that_swapped_their_names_keep_their_entities(state_file):
    hosts = (HOST, OTHER_HOST)
    async with house(state_file) as home, home.strip(), home.strip(OTHER_HOST, OTHER):
        for names in (("Desk", "Sofa"), ("Sofa", "Desk")):
            devices = [
                {"host": host, "name": name}
                for host, name in zip(hosts, names, strict=True)
            ]
            async with home.gateway(*devices):
                first, second = (f"structiot/{name.lower()}" for name in names)
                assert home.announced == {CONFIG: first, config_topic(OTHER): second}
                assert home.roots == {first, second}
        assert "" not in [*home.of(CONFIG), *home.of(config_topic(OTHER))]


async def test_a_listed_strip_with_another_address_is_followed(state_file, caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    device = {"host": HOST, "name": "Desk"}
    async with house(state_file) as home:
        async with home.strip(), home.gateway(device, discover=True):
            pass
        async with home.strip(OTHER_HOST), home.gateway(device, discover=True):
            assert home.announced == {CONFIG: "structiot/desk"}
            assert home.retained["structiot/desk/availability"] == "online"
            assert home.roots == {"structiot/desk"}
        assert "STRIP has moved to 10.0.0.8" in caplog.messages
        assert "" not in home.of(CONFIG)


async def test_a_listed_strip_without_a_name_is_followed_too(kept):
    async with house(kept) as home:
        for host in (HOST, OTHER_HOST):
            async with home.strip(host), home.gateway({"host": HOST}, discover=True):
                assert home.announced == {CONFIG: f"structiot/{SLUG}"}
                assert home.retained[f"structiot/{SLUG}/availability"] == "online"


async def test_another_strip_is_taken_for_a_listed_one_that_is_not_found(kept, caplog):
    device = {"host": HOST, "name": "Desk"}
    async with house(kept) as home:
        async with home.strip(), home.gateway(device, discover=True):
            pass
        async with home.strip(serial=OTHER), home.gateway(device, discover=True):
            assert home.announced == {config_topic(OTHER): "structiot/desk"}
            assert home.retained["structiot/desk/availability"] == "online"
    said = f"the strip at {HOST} is {OTHER}, not {SERIAL}, which is not found"
    assert caplog.messages.count(said) == 1


async def test_listed_strips_that_swapped_their_addresses_are_followed(kept):
    devices = [{"host": HOST, "name": "Desk"}, {"host": OTHER_HOST, "name": "Sofa"}]
    right = {CONFIG: "structiot/desk", config_topic(OTHER): "structiot/sofa"}
    async with house(kept) as home:
        async with (
            home.strip(HOST, SERIAL),
            home.strip(OTHER_HOST, OTHER),
            home.gateway(*devices, discover=True),
        ):
            assert home.announced == right
        async with (
            home.strip(OTHER_HOST, SERIAL),
            home.strip(HOST, OTHER),
            home.gateway(*devices, discover=True, seconds=60),
        ):
            assert home.announced == right
            assert home.roots == set(right.values())
            assert home.retained["structiot/desk/availability"] == "online"
        # At no time did one show what the other is.
        assert set(home.of(CONFIG)) == {home.of(CONFIG)[0]}


async def test_a_chosen_place_stays_whoever_comes_first(kept):
    first, second = plug("a-b"), plug("a_b")
    for one in (first, second):
        one.info = replace(one.info, serial=None)
    devices = [first, second]

    async def name_them(driver: ScriptedDriver) -> None:
        for device in devices:
            driver.registry.add(source_of(device))
        await stay(driver)

    seen = []
    async with house(kept) as home:
        for present in ([first, second], [second], [second, first], [first]):
            devices[:] = present
            with with_driver("toy", scripted(name_them)):
                config = load_config({"mqtt": {"uri": URI}, "toy": {}})
                async with open_gateway(
                    config, state_file=kept, environment=home.environment
                ):
                    await anyio.sleep(30)
                    seen.append(home.announced)
    assert seen == [seen[0]] * 4
    assert sorted(seen[0].values()) == ["structiot/toy_a_b", "structiot/toy_a_b_2"]


async def test_a_device_that_gets_another_name_meanwhile_keeps_its_announcement(
    state_file,
):
    device = plug()
    renamed = anyio.Event()

    async def name_it(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Plug"))
        driver.registry.started()
        await renamed.wait()
        driver.registry.add(source_of(device, name="Lamp"))
        await anyio.sleep_forever()

    async with house(state_file) as home:
        with with_driver("toy", scripted(name_it)):
            config = load_config({"mqtt": {"uri": URI}, "toy": {}})
            async with open_gateway(
                config, state_file=state_file, environment=home.environment
            ):
                await anyio.sleep(30)
                (topic,) = home.announced
                renamed.set()
                await anyio.sleep(30)
                assert home.announced == {topic: "structiot/lamp"}
                assert home.roots == {"structiot/lamp"}
        assert "" not in home.of(topic)
        assert home.doubled == []


async def test_what_a_killed_gateway_could_not_clear_any_more_is_cleared_later(kept):
    old, used = "structiot/old/port_1/state", "structiot/desk/availability"
    state = await StateFile.open(kept)
    state.section("cleared").update({old: 0, used: 0})
    await state.save()
    state.close()
    async with house(kept) as home, home.strip():
        for topic in (old, used):
            await home.client.publish(topic, b"ON", qos=1, retain=True)
        async with home.gateway({"host": HOST, "name": "Desk"}):
            assert old not in home.retained
        assert "" not in home.of(used)


async def test_a_gateway_that_forgets_takes_back_announcements_first(state_file):
    async with house(state_file) as home, home.strip():
        forget = {"forget_on_exit": True}
        async with home.gateway({"host": HOST, "name": "Desk"}, gateway=forget):
            home.history.clear()
        assert home.retained == {}
        assert home.history[-1][0] != CONFIG
        cleared = [topic for topic, payload in home.history if not payload]
        assert cleared[0] == CONFIG
        async with home.gateway(discover=True):
            assert home.roots == {f"structiot/{SLUG}"}


async def test_what_another_gateway_has_announced_and_serves_is_left_to_it(caplog):
    async with house() as home, home.strip():
        device = {"host": HOST, "name": "Desk"}
        other: Any = {"mqtt": {"base_topic": "other"}, "gateway": {"id": "other"}}
        async with home.gateway(device, **other):
            assert home.announced == {CONFIG: "other/desk"}
            async with home.gateway(device):
                assert home.announced == {CONFIG: "other/desk"}
                assert home.retained["structiot/desk/availability"] == "online"
        assert len(set(home.of(CONFIG))) == 1
        assert "has announced the same device, and is online" in caplog.text


async def test_what_others_announced_is_never_touched(state_file):
    async with house(state_file) as home, home.strip():
        topic = "homeassistant/device/zigbee2mqtt_1/config"
        announcement = {
            "device": {"identifiers": ["structiot_maxsmart_X"]},
            "origin": {"name": "zigbee2mqtt"},
            "availability": [
                {"topic": "structiot/gateway/availability"},
                {"topic": "structiot/x/availability"},
            ],
            "components": {"x": {"platform": "switch", "unique_id": "x"}},
        }
        text = json.dumps(announcement)
        await home.client.publish(topic, text, qos=1, retain=True, codec="utf8")
        for name in ("Desk", "Sofa"):
            async with home.gateway({"host": HOST, "name": name}):
                pass
        assert home.of(topic) == [text]
