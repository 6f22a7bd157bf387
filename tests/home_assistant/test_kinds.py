"""Every kind of entity, there and back: what Home Assistant tells it, and what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.gateway.energy_totals import SAVE_S
from structiot.gateway.entities.commands import takes_commands
from structiot.model import (
    ClimateState,
    Command,
    CoverAction,
    FanDirection,
    FanState,
    LightState,
    LockAction,
    SirenState,
    State,
)
from tests.home_assistant.conftest import Home
from tests.home_assistant.core import Api
from tests.home_assistant.kinds import KINDS, kinds_driver
from tests.home_assistant.obedient import ObedientDevice

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PREFIX = "structiot_kinds_K1_"
# A total of energy is shown once it has been written down, every minute.
_WITHIN_S = SAVE_S + 15


class Order(NamedTuple):
    """What Home Assistant is told, what the device gets, and what is shown then."""

    key: str
    service: str
    data: dict[str, Any]
    command: Command
    state: str
    attributes: Mapping[str, Any] = MappingProxyType({})


RED = (255, 0, 0)
ORDERS = (
    Order("relay", "turn_off", {}, False, "off"),
    Order("relay", "turn_on", {}, True, "on"),
    Order("relay", "toggle", {}, False, "off"),
    Order(
        "lamp",
        "turn_on",
        {"brightness_pct": 20},
        LightState(is_on=True, brightness_percent=20),
        "on",
        {"brightness": 51},
    ),
    Order(
        "lamp",
        "turn_on",
        {"color_temp_kelvin": 4000},
        LightState(is_on=True, color_temp_k=4000),
        "on",
        {"color_mode": "color_temp", "color_temp_kelvin": 4000, "brightness": 51},
    ),
    Order(
        "lamp",
        "turn_on",
        {"rgb_color": RED},
        LightState(is_on=True, rgb=RED),
        "on",
        {"color_mode": "rgb", "rgb_color": list(RED), "brightness": 51},
    ),
    Order(
        "lamp",
        "turn_on",
        {"effect": "rainbow"},
        LightState(is_on=True, effect="rainbow"),
        "on",
        {"effect": "rainbow"},
    ),
    Order("lamp", "turn_off", {}, LightState(is_on=False), "off"),
    Order("bulb", "turn_on", {}, LightState(is_on=True), "on", {"color_mode": "onoff"}),
    Order("bulb", "toggle", {}, LightState(is_on=False), "off"),
    Order(
        "blind", "open_cover", {}, CoverAction.OPEN, "open", {"current_position": 100}
    ),
    Order(
        "blind", "stop_cover", {}, CoverAction.STOP, "open", {"current_position": 55}
    ),
    Order(
        "blind",
        "set_cover_position",
        {"position": 40},
        40,
        "open",
        {"current_position": 40},
    ),
    Order(
        "blind", "close_cover", {}, CoverAction.CLOSE, "closed", {"current_position": 0}
    ),
    Order(
        "valve",
        "set_temperature",
        {"temperature": 19.5},
        ClimateState(target_c=19.5),
        "heat",
        {"temperature": 19.5, "current_temperature": 20.5},
    ),
    Order(
        "valve",
        "set_preset_mode",
        {"preset_mode": "away"},
        ClimateState(preset="away"),
        "heat",
        {"preset_mode": "away"},
    ),
    Order(
        "valve",
        "set_hvac_mode",
        {"hvac_mode": "off"},
        ClimateState(mode="off"),
        "off",
    ),
    Order("valve", "turn_on", {}, ClimateState(mode="heat"), "heat"),
    Order(
        "fan",
        "set_percentage",
        {"percentage": 66},
        FanState(speed_percent=200 / 3),
        "on",
        {"percentage": 66},
    ),
    Order(
        "fan",
        "set_preset_mode",
        {"preset_mode": "breeze"},
        FanState(preset="breeze"),
        "on",
        {"preset_mode": "breeze"},
    ),
    Order(
        "fan",
        "oscillate",
        {"oscillating": False},
        FanState(is_oscillating=False),
        "on",
        {"oscillating": False},
    ),
    Order(
        "fan",
        "set_direction",
        {"direction": "reverse"},
        FanState(direction=FanDirection.REVERSE),
        "on",
        {"direction": "reverse"},
    ),
    Order("fan", "turn_off", {}, FanState(is_on=False), "off"),
    Order("gate", "unlock", {}, LockAction.UNLOCK, "unlocked"),
    Order("gate", "open", {}, LockAction.OPEN, "open"),
    Order("gate", "lock", {}, LockAction.LOCK, "locked"),
    Order(
        "siren",
        "turn_on",
        {"tone": 1, "volume_level": 0.8},
        SirenState(is_on=True, tone="1", volume_percent=80),
        "on",
    ),
    Order("siren", "turn_off", {}, SirenState(is_on=False), "off"),
    Order(
        "firmware",
        "install",
        {},
        None,
        "off",
        {"installed_version": "1.1", "latest_version": "1.1", "in_progress": False},
    ),
    Order("limit", "set_value", {"value": 42.5}, 42.5, "42.5"),
    Order("spray", "select_option", {"option": "on"}, "on", "on"),
    Order("sign", "set_value", {"value": "Closed"}, "Closed", "Closed"),
    Order("sign", "set_value", {"value": ""}, "", ""),
    Order("pin", "set_value", {"value": "1234"}, "1234", "1234"),
)
# What is only read, and what it is: Home Assistant keeps statistics by it.
READ: tuple[tuple[str, State, str, dict[str, Any]], ...] = (
    (
        "energy",
        13.25,
        "13.25",
        {
            "device_class": "energy",
            "state_class": "total_increasing",
            "unit_of_measurement": "kWh",
        },
    ),
    (
        "power",
        61.5,
        "61.5",
        {
            "device_class": "power",
            "state_class": "measurement",
            "unit_of_measurement": "W",
        },
    ),
    ("phase", "spin", "spin", {"device_class": "enum", "options": ["wash", "spin"]}),
    ("word", "bye", "bye", {}),
    ("leak", True, "on", {"device_class": "moisture"}),
    ("relay", True, "on", {"device_class": "outlet"}),
    ("limit", 7.5, "7.5", {"min": 0, "max": 100, "step": 0.5}),
)


class Kinds:
    """The device, and what Home Assistant shows of it."""

    def __init__(self, api: Api, device: ObedientDevice, ids: dict[str, str]) -> None:
        self.api = api
        self.device = device
        self._ids = ids

    def entity_id(self, key: str) -> str:
        return self._ids[PREFIX + key]

    async def tell(self, key: str, service: str, **data: Any) -> None:
        await self.api.call(self.entity_id(key), service, **data)

    async def shows(self, key: str, state: str, attributes: Mapping[str, Any]) -> None:
        """Wait until it is shown so."""
        seen: dict[str, Any] = {}

        async def is_so() -> bool:
            seen.update(await self.api.entity(self.entity_id(key)))
            shown = {name: seen["attributes"].get(name) for name in attributes}
            return bool(seen["state"] == state and shown == attributes)

        try:
            await self.api.until(is_so, within_s=_WITHIN_S)
        except AssertionError:
            what = f"{key} is not {state} with {attributes}"
            raise AssertionError(f"{what}: {seen}") from None


@pytest.fixture
async def kinds(home: Home, tmp_path: Path) -> AsyncIterator[Kinds]:
    device = ObedientDevice()
    async with home.assistant.connected() as api, served(home, device, tmp_path):
        ids = await api.until_available(PREFIX, len(KINDS))
        yield Kinds(api, device, ids)


@asynccontextmanager
async def served(
    home: Home, device: ObedientDevice, folder: Path
) -> AsyncIterator[Gateway]:
    mqtt = {"uri": home.broker.uri, "base_topic": "obedient"}
    own = {"id": "obedient", "forget_on_exit": True}
    with with_driver("kinds", kinds_driver(device, "Kinds")):
        config = load_config({"mqtt": mqtt, "gateway": own, "kinds": {}})
        async with open_gateway(config, state_file=folder / "state.json") as gateway:
            yield gateway


async def test_every_order_reaches_the_device_and_its_state_comes_back(kinds):
    told = {entity.key for entity, _ in KINDS if takes_commands(entity)}
    assert {order.key for order in ORDERS} | {"restart"} == told
    for order in ORDERS:
        before = len(kinds.device.commands)
        await kinds.tell(order.key, order.service, **order.data)
        await kinds.shows(order.key, order.state, order.attributes)
        assert kinds.device.commands[before:] == [(order.key, order.command)]


async def test_what_is_only_read_is_shown_with_its_class_and_unit(kinds):
    for key, state, shown, attributes in READ:
        kinds.device.tell_state(key, state)
        await kinds.shows(key, shown, attributes)


async def test_nothing_of_it_is_to_be_repaired(kinds):
    found = await kinds.api.ask("repairs/list_issues")
    assert [one for one in found["issues"] if one["domain"] == "mqtt"] == []


async def test_a_button_is_pressed_and_a_bell_rings_each_time(kinds):
    rung: set[str] = set()
    for _ in range(3):
        before = len(kinds.device.commands)
        await kinds.tell("restart", "press")

        async def has_rung() -> bool:
            bell = await kinds.api.entity(kinds.entity_id("bell"))
            is_new = bell["state"] not in {"unknown", *rung}
            return is_new and bell["attributes"]["event_type"] == "ring"

        await kinds.api.until(has_rung, within_s=10, what="the bell has not rung")
        rung.add((await kinds.api.entity(kinds.entity_id("bell")))["state"])
        assert kinds.device.commands[before:] == [("restart", None)]


async def test_what_is_not_known_any_more_is_shown_as_unknown_and_comes_back(kinds):
    # What Home Assistant has heard of versions it cannot be told to forget.
    for key in kinds.device.usual.keys() - {"firmware"}:
        before = await kinds.api.entity(kinds.entity_id(key))
        kinds.device.tell_state(key, None)
        await kinds.shows(key, "unknown", {})
        kinds.device.tell_state(key, kinds.device.usual[key])
        await kinds.shows(key, before["state"], before["attributes"])
