"""Any to any: each kind of device by each way out, commands and states; and each to each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from tests.gateway.link_house import until
from tests.gateway.matrix_house import LAMP, PLACES, Matrix, Place, matrix

pytestmark = pytest.mark.virtual_time


def words(is_on: bool) -> str:
    return "ON" if is_on else "OFF"


async def by_mqtt(house: Matrix, system: str, *, is_on: bool) -> None:
    topic = f"structiot/{PLACES[system].key}/set"
    await house.client.publish(topic, words(is_on), 1)


def at_mqtt(house: Matrix, system: str) -> bool:
    return house.heard[f"structiot/{PLACES[system].key}/state"] == "ON"


def announced(house: Matrix, place: Place) -> dict[str, Any]:
    """Give the component of an entity as Home Assistant has it."""
    state_topic = f"structiot/{place.key}/state"
    for topic, text in house.heard.items():
        if topic.startswith("homeassistant/device/"):
            components = json.loads(text)["components"]
            one = components.get(place.entity, {})
            if one.get("state_topic") == state_topic:
                assert one["platform"] == "switch"
                return dict(one)
    raise AssertionError(f"{place.key} is not announced")


async def by_home_assistant(house: Matrix, system: str, *, is_on: bool) -> None:
    component = announced(house, PLACES[system])
    payload = component.get(f"payload_{words(is_on).lower()}", words(is_on))
    await house.client.publish(component["command_topic"], payload, 1)


def at_home_assistant(house: Matrix, system: str) -> bool:
    component = announced(house, PLACES[system])
    is_on = component.get("payload_on", "ON")
    return bool(house.heard[component["state_topic"]] == is_on)


async def by_platform(house: Matrix, system: str, *, is_on: bool) -> None:
    data = {"metadata": "", "data": json.dumps(is_on)}
    uri, service = house.uri(system), PLACES[system].entity
    answer = await house.platform.send_command(uri, service, data)
    assert answer.data == '{"status":0}'


def at_platform(house: Matrix, system: str) -> bool:
    place = (house.uri(system), PLACES[system].entity)
    told = [e for e in house.platform.events if (e.device_uri, e.service_uri) == place]
    return told[-1].data == "true"


async def by_page(house: Matrix, system: str, *, is_on: bool) -> None:
    answer = await house.browser.set(PLACES[system].key, is_on)
    assert answer.status == 200, answer.text


def at_page(house: Matrix, system: str) -> bool:
    shown = house.shown[PLACES[system].key]
    assert shown["state"] == "live"
    return bool(shown["value"] == "ON")


def has_become(house: Matrix, system: str, is_on: bool) -> bool:
    return house.is_on(system) is is_on


Command = Callable[..., Awaitable[None]]
WAYS: dict[str, tuple[Command, Callable[[Matrix, str], bool]]] = {
    "mqtt": (by_mqtt, at_mqtt),
    "home_assistant": (by_home_assistant, at_home_assistant),
    "platform": (by_platform, at_platform),
    "page": (by_page, at_page),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_device_by_every_way_out(way: str):
    command, is_shown_on = WAYS[way]
    async with matrix() as house:
        for system in PLACES:
            before = house.is_on(system)
            assert is_shown_on(house, system) is before, system
            # What is commanded comes back as a state, by every way out.
            await command(house, system, is_on=not before)
            await until(partial(has_become, house, system, not before))
            await anyio.sleep(3)
            for _, shown in WAYS.values():
                assert shown(house, system) is not before, system
            # What is done at the device itself is told.
            await house.press[system]()
            await until(partial(has_become, house, system, before))
            await anyio.sleep(3)
            assert is_shown_on(house, system) is before, system


async def test_each_follows_another_of_any_system():
    order = ["maxsmart", "meross", "manager", "mqtt"]
    chain = [
        {"from": PLACES[one].key, "to": PLACES[other].key}
        for one, other in itertools.pairwise(order)
    ]
    async with matrix(*chain) as house:
        for _ in range(2):
            await house.press["maxsmart"]()
            wanted = not house.is_on("maxsmart")
            for one in order:
                await until(partial(has_become, house, one, wanted))
        assert not any(one.reason for one in house.gateway.link_status)


@pytest.mark.parametrize("system", PLACES)
async def test_a_button_that_dials_in_switches_any_system(system: str):
    """The light's message is an occurrence; nobody but the link connects them."""
    target = PLACES["meross" if system == "manager" else system].key
    link = {"from": f"{LAMP}/light", "on": "ON", "to": target, "set": "TOGGLE"}
    async with matrix(link) as house:
        of = "meross" if system == "manager" else system
        before = house.is_on(of)
        await house.press["manager"]()
        await until(lambda: house.is_on(of) is not before)
        await house.press["manager"]()
        await anyio.sleep(5)
        assert house.is_on(of) is not before
