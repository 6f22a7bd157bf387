"""What a broker takes only entity by entity: one announcement stands at a time all the same.

Each story runs with a state file and, where what is on the broker tells enough, without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.mqtt.broker import BrokerLimits
from tests.gateway.houses import HOST, OTHER, SERIAL, House, config_topic, house

pytestmark = pytest.mark.virtual_time

MIGRATE = '{"migrate_discovery": true}'
CONFIG = config_topic()
PARTS = 26
DESK: dict[str, Any] = {"host": HOST, "name": "Desk"}


@pytest.fixture(params=["kept", "none"])
def state_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "state.json" if request.param == "kept" else None


def part(key: str = "port_1", platform: str = "switch", id_: str = SERIAL) -> str:
    return f"homeassistant/{platform}/structiot_maxsmart_{id_}/{key}/config"


def narrow(home: House, packet_bytes: int = 3000) -> None:
    home.broker.core.limits = BrokerLimits(packet_bytes=packet_bytes)


def widen(home: House) -> None:
    home.broker.core.limits = BrokerLimits()


def places(home: House) -> set[str]:
    """Give the level in topics that the parts point to."""
    found = [one["availability"][1]["topic"] for one in home.parts.values()]
    return {topic.rpartition("/")[0] for topic in found}


def moved(home: House, topic: str) -> bool:
    """Whether Home Assistant was told to let go of what it was to keep."""
    said = home.of(topic)
    return said.count("") == 1 and said[said.index("") - 1] == MIGRATE


async def test_the_whole_follows_its_parts_when_the_limit_is_gone(state_file):
    async with house(state_file) as home, home.strip():
        narrow(home)
        async with home.gateway(DESK):
            assert home.announced == {}
            assert (places(home), len(home.parts)) == ({"structiot/desk"}, PARTS)
            parts = set(home.parts)
        widen(home)
        async with home.gateway(DESK):
            assert home.announced == {CONFIG: "structiot/desk"}
            assert not parts & home.retained.keys()
        assert all(moved(home, one) for one in parts)
        assert home.order(part(), CONFIG)[-4:] == [part(), part(), CONFIG, CONFIG]


async def test_parts_follow_the_whole_when_there_is_a_limit(state_file):
    async with house(state_file) as home, home.strip():
        async with home.gateway(DESK):
            assert home.announced == {CONFIG: "structiot/desk"}
        narrow(home)
        async with home.gateway(DESK):
            assert (CONFIG in home.retained, len(home.parts)) == (False, PARTS)
        assert moved(home, CONFIG)


@pytest.mark.parametrize("how", ["another client", "another connection"])
async def test_the_limit_changes_while_it_runs(state_file, how):
    async with house(state_file) as home, home.strip():
        async with home.gateway(DESK) as gateway:
            for number, limit in enumerate((narrow, widen, narrow)):
                limit(home)
                mqtt: dict[str, Any] = {}
                if how == "another client":
                    mqtt = {"keep_alive_s": 20 + number}
                else:
                    await home.break_down()
                await home.reload(gateway, DESK, mqtt=mqtt)
                is_whole = limit is widen
                assert (CONFIG in home.retained) == is_whole
                assert len(home.parts) == (0 if is_whole else PARTS)
        assert home.of(CONFIG).count("") == 2
        assert home.of(part()).count("") == 1
        assert moved(home, part())


async def test_parts_of_a_renamed_strip_stay_where_they_are(state_file):
    async with house(state_file) as home, home.strip():
        narrow(home)
        async with home.gateway(DESK):
            home.history.clear()
        async with home.gateway({"host": HOST, "name": "Sofa"}) as gateway:
            assert places(home) == home.roots == {"structiot/sofa"}
            await home.reload(gateway, {"host": HOST, "name": "Lamp"})
            assert places(home) == home.roots == {"structiot/lamp"}
        assert "" not in home.of(part())
        assert MIGRATE not in home.of(part())


async def test_a_new_name_and_a_new_limit_at_once(state_file):
    async with house(state_file) as home, home.strip():
        narrow(home)
        async with home.gateway(DESK):
            pass
        widen(home)
        async with home.gateway({"host": HOST, "name": "Sofa"}):
            assert home.announced == {CONFIG: "structiot/sofa"}
            assert (home.roots, home.parts) == ({"structiot/sofa"}, {})
        assert moved(home, part())


async def test_parts_take_a_new_base_and_a_new_prefix(tmp_path):
    async with house(tmp_path / "state.json") as home, home.strip():
        narrow(home)
        async with home.gateway(DESK):
            parts = set(home.parts)
        async with home.gateway(DESK, mqtt={"base_topic": "iot"}):
            assert places(home) == home.roots == {"iot/desk"}
        async with home.gateway(
            DESK, mqtt={"base_topic": "iot", "discovery_prefix": "ha/x"}
        ):
            assert {one.partition("/x/")[0] for one in home.parts} == {"ha"}
            assert len(home.parts) == len(parts)
        assert all(moved(home, one) for one in parts)


@pytest.mark.parametrize("packet_bytes", [1500, 3000], ids=["parts", "whole"])
async def test_entities_that_are_gone_are_taken_away_and_not_moved(
    state_file, packet_bytes
):
    device = {"host": HOST, "name": "Desk", "id": "desk"}
    gone, state = part("port_6", id_="desk"), "structiot/desk/port_6/state"
    async with house(state_file) as home:
        narrow(home, packet_bytes)
        async with home.strip(), home.gateway(device):
            assert gone in home.retained
        home.history.clear()
        async with home.strip(serial=OTHER, family="mh_plug_130"), home.gateway(device):
            is_whole = packet_bytes == 3000
            assert (config_topic("desk") in home.retained) == is_whole
            assert (part(id_="desk") in home.retained) == (not is_whole)
            assert home.of(gone) == [""]
            assert home.order(gone, state) == [gone, state]
        assert moved(home, part(id_="desk")) == is_whole


async def test_parts_go_with_the_strip_and_with_discovery(state_file):
    async with house(state_file) as home, home.strip():
        narrow(home)
        async with home.gateway(DESK):
            assert home.parts
        async with home.gateway(DESK, mqtt={"discovery": False}):
            assert (home.parts, home.roots) == ({}, {"structiot/desk"})
        async with home.gateway(DESK) as gateway:
            assert home.parts
            await home.reload(gateway)
            assert (home.parts, home.roots) == ({}, set())
        async with home.gateway(DESK, gateway={"forget_on_exit": True}):
            assert home.parts
        assert home.retained == {}


async def test_parts_of_another_gateway_that_serves_them_are_left_to_it(caplog):
    async with house() as home, home.strip():
        narrow(home)
        async with home.gateway(DESK, mqtt={"base_topic": "b"}, gateway={"id": "b"}):
            async with home.gateway(DESK):
                assert places(home) == {"b/desk"}
            assert len(home.parts) == PARTS
        assert "has announced the same device, and is online" in caplog.text
        assert len(set(home.of(part()))) == 1
        async with home.gateway(DESK):
            # Nobody serves them any more.
            assert places(home) == home.roots == {"structiot/desk"}


async def test_a_strip_that_is_away_keeps_its_parts(state_file):
    async with house(state_file) as home:
        narrow(home)
        async with home.strip(), home.gateway(DESK):
            pass
        home.history.clear()
        async with home.gateway({"host": HOST, "name": "Lamp"}, seconds=120):
            assert places(home) == {"structiot/desk"}
            assert home.retained["structiot/desk/availability"] == "offline"
            async with home.strip():
                await anyio.sleep(30)
                assert places(home) == home.roots == {"structiot/lamp"}
        assert "" not in home.of(part())
