"""Anybody on the broker announces something in our name; none of it does harm."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.config.values import check_base_topic
from structiot.gateway.drivers import with_driver
from structiot.gateway.entities.announcement import read_announcement
from structiot.gateway.state_file import StateFile
from structiot.mqtt import Message, MqttClient
from tests.gateway.houses import URI, House, house
from tests.gateway.scripted_driver import plug, scripted, source_of, stay

pytestmark = pytest.mark.virtual_time

CONFIG = "homeassistant/device/structiot_toy_P1/config"
EVIL = "homeassistant/device/structiot_evil_1/config"
ESCAPE = "\x1b]0;owned\x07\x1b[2J\nERROR forged"


def announcement(
    slug: str = "gone",
    id_: str = "P9",
    keys: Iterable[str] = ("relay",),
    *,
    base: str = "structiot",
    system: str = "toy",
    platform: str = "switch",
) -> bytes:
    """Write what a gateway would have written."""
    payload = {
        "origin": {"name": "structiot"},
        "device": {"identifiers": [f"structiot_{system}_{id_}"]},
        "availability": [
            {"topic": f"{base}/gateway/availability"},
            {"topic": f"{base}/{slug}/availability"},
        ],
        "components": {key: {"platform": platform, "name": "x"} for key in keys},
    }
    return json.dumps(payload, ensure_ascii=False).encode(errors="surrogatepass")


@asynccontextmanager
async def serving(
    home: House, *, state_file: Path | None = None, finds_more: bool = False
) -> AsyncIterator[Gateway]:
    async def serve_one(driver: object) -> None:
        driver.registry.add(source_of(plug(), name="Desk"))  # type: ignore[attr-defined]
        await stay(driver)  # type: ignore[arg-type]

    driver = scripted(serve_one)
    driver.finds_more = finds_more
    with with_driver("toy", driver):
        config = load_config({"mqtt": {"uri": URI}, "toy": {}})
        async with open_gateway(
            config, state_file=state_file, environment=home.environment
        ) as gateway:
            await anyio.sleep(10)
            yield gateway


def only_recorded(home: House) -> None:
    """Spare what is recorded a look at all announcements at each message."""

    def take(message: Message) -> None:
        payload = message.payload.decode()
        home.history.append((message.topic, payload))
        home.retained[message.topic] = payload
        if not payload:
            del home.retained[message.topic]

    home.take = take  # type: ignore[method-assign]


async def retain(client: MqttClient, topic: str, payload: bytes) -> None:
    await client.publish(topic, payload, qos=1, retain=True)


async def is_served(home: House, gateway: Gateway) -> bool:
    return gateway.is_connected and home.announced.get(CONFIG) == "structiot/desk"


BASES = [
    "$share/",
    "$share/g/x",
    "$SYS/x",
    "/" * 256,
    "/" * 198,
    "a//b",
    "/a",
    "a/",
    "+",
    "a/#",
    "\N{GRINNING FACE}" * 256,
    "a\u00a0b",
    "a\u200bb",
    "a\u202eb",
    ESCAPE,
    "",
]


@pytest.mark.parametrize("base", BASES, ids=ascii)
def test_a_base_topic_is_believed_if_it_could_be_configured(base):
    with pytest.raises(ValueError, match=r"topic|level|wildcard|begins|character"):
        check_base_topic(base)
    assert read_announcement(EVIL, announcement(base=base)) is None


@pytest.mark.parametrize(
    "base", ["structiot", "a/b", "mein haus", "é" * 128, "a/" * 127 + "a"]
)
def test_whatever_can_be_configured_is_recognised(base):
    assert check_base_topic(base) == base
    found = read_announcement(EVIL, announcement(base=base))
    assert found is not None
    assert found.base == base


@pytest.mark.parametrize(
    "topic",
    [
        f"homeassistant/device/structiot_{ESCAPE}/config",
        f"homeassistant/device/structiot_{'é' * 1000}/config",
        f"homeassistant/device/structiot_{'x' * 1000}/config",
        "homeassistant/device/other_structiot_1/config",
        f"homeassistant/switch/structiot_1/{'k' * 65}/config",
        f"homeassistant/{'p' * 33}/structiot_1/relay/config",
    ],
    ids=ascii,
)
def test_a_topic_is_believed_if_we_could_have_chosen_it(topic):
    assert read_announcement(topic, announcement()) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"id_": ESCAPE},
        {"id_": "a\u202eb"},
        {"id_": "x" * 129},
        {"id_": ""},
        {"id_": "\ud800"},
        {"system": "Toy"},
        {"slug": "gateway"},
        {"slug": "a__b"},
        {"slug": "Desk"},
        {"slug": "x" * 200},
        {"platform": "swi tch"},
        {"keys": ["relay", "a/b"]},
        {"keys": [f"k{number}" for number in range(1025)]},
    ],
    ids=ascii,
)
def test_what_we_would_not_have_written_is_not_ours(wrong):
    assert read_announcement(EVIL, announcement(**wrong)) is None


@pytest.mark.parametrize("base", ["$share/", "/" * 256, "a//b"])
async def test_no_base_topic_of_anybody_becomes_a_filter(base):
    async with house() as home:
        payload = announcement(base=base, id_="1", system="evil")
        await retain(home.client, EVIL, payload)
        await retain(home.client, CONFIG, announcement(base=base, id_="P1"))
        async with serving(home) as gateway:
            assert await is_served(home, gateway)
        assert not [one for one in home.history if "//" in one[0]]


async def test_nothing_that_a_screen_obeys_gets_into_the_log(caplog):
    caplog.set_level(logging.INFO, "structiot")
    topic = f"homeassistant/device/structiot_{ESCAPE}/config"
    async with house() as home:
        await retain(home.client, topic, announcement("desk", "Z"))
        await retain(home.client, EVIL, announcement("desk", ESCAPE))
        async with serving(home) as gateway:
            assert await is_served(home, gateway)
        assert topic in home.retained
    assert all(line.isprintable() for line in caplog.messages)


async def test_topics_of_other_programs_are_not_cleared():
    precious = {
        "zigbee2mqtt/lamp/availability": "online",
        "zigbee2mqtt/lamp/bulb/state": "ON",
    }
    async with house() as home:
        for topic, payload in precious.items():
            await retain(home.client, topic, payload.encode())
        claim = announcement("lamp", "P1", ["bulb"], base="zigbee2mqtt")
        await retain(home.client, CONFIG, claim)
        async with serving(home) as gateway:
            assert await is_served(home, gateway)
        assert precious.items() <= home.retained.items()


async def test_what_a_gateway_left_that_is_offline_is_cleared():
    async with house() as home:
        await retain(home.client, "other/gateway/availability", b"offline")
        await retain(home.client, "other/lamp/bulb/state", b"ON")
        await retain(
            home.client, CONFIG, announcement("lamp", "P1", ["bulb"], base="other")
        )
        async with serving(home) as gateway:
            assert await is_served(home, gateway)
            assert "other/lamp/bulb/state" not in home.retained


def _unknown_devices() -> Iterable[tuple[str, bytes]]:
    keys = [f"k{number}" for number in range(512)]
    for number in range(100):
        topic = f"homeassistant/device/structiot_x{number}/config"
        yield topic, announcement(f"g{number}", f"g{number}", keys)


def _other_entities_of_ours() -> Iterable[tuple[str, bytes]]:
    for number in range(100):
        keys = [f"k{number}_{one}" for one in range(512)]
        topic = f"homeassistant/device/structiot_x{number}/config"
        yield topic, announcement("desk", "P1", keys)


@pytest.mark.parametrize("flood", [_unknown_devices, _other_entities_of_ours])
@pytest.mark.parametrize("finds_more", [False, True])
@pytest.mark.thorough
async def test_a_flood_of_announcements_is_believed_in_part(
    tmp_path, watched_loop, flood, finds_more
):
    file = tmp_path / "state.json"
    async with house() as home:
        only_recorded(home)
        for topic, payload in flood():
            await home.client.publish_soon(topic, payload, qos=1, retain=True)
        await anyio.sleep(10)
        async with watched_loop(0.2):
            async with serving(home, state_file=file, finds_more=finds_more) as gateway:
                assert await is_served(home, gateway)
                assert len(home.retained[CONFIG]) < 50_000
                cleared = [topic for topic, payload in home.history if not payload]
                assert len(cleared) < 25_000
    assert file.stat().st_size < 5_000_000


async def test_what_we_know_by_ourselves_is_not_displaced_by_anybody(tmp_path):
    file = tmp_path / "state.json"
    async with house() as home:
        async with serving(home, state_file=file):
            pass
        only_recorded(home)
        for topic, payload in _unknown_devices():
            await home.client.publish_soon(topic, payload, qos=1, retain=True)
        await anyio.sleep(10)
        async with serving(home, state_file=file, finds_more=True):
            pass
    state = await StateFile.open(file)
    devices = state.section("devices")
    state.close()
    assert "believed" not in devices["structiot/desk"]
    assert len(devices) < 60
    assert all(one["believed"] for root, one in devices.items() if "/g" in root)
