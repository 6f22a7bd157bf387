"""`[devices]`: rooms go to Home Assistant, and sections of nothing are said once."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from structiot.gateway import load_config
from structiot.gateway.reloading import change_between
from structiot.mqtt import MqttClient
from tests.gateway.memory_house import House, retained
from tests.gateway.shelf import Shelf, open_house, reload, toy

pytestmark = pytest.mark.virtual_time

CONFIG = "homeassistant/device/structiot_toy_{}/config"


async def area_of(client: MqttClient, name: str) -> Any:
    topic = CONFIG.format(name)
    payload = json.loads((await retained(client, topic))[topic])
    return payload["device"].get("suggested_area")


async def test_home_assistant_is_told_the_room():
    house, shelf = House(), Shelf()
    devices = {"desk": {"room": "Büro"}}
    async with (
        house.broker(),
        house.client() as client,
        open_house(house, shelf, toy=toy("Desk", "Hall"), devices=devices),
    ):
        assert await area_of(client, "Desk") == "Büro"
        assert await area_of(client, "Hall") is None


async def test_another_room_is_taken_up_and_touches_nothing_else():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        house.client() as client,
        open_house(house, shelf, toy=toy("Desk", "Hall")) as (gateway, _),
    ):
        hall = (await retained(client, "homeassistant/#"))[CONFIG.format("Hall")]
        devices = {"desk": {"room": "Attic"}}
        assert await reload(gateway, toy=toy("Desk", "Hall"), devices=devices) == ()
        assert await area_of(client, "Desk") == "Attic"
        assert gateway.config.devices["desk"].room == "Attic"
        there = await retained(client, "homeassistant/#", "structiot/#")
        assert there[CONFIG.format("Hall")] == hall
        assert there["structiot/desk/availability"] == "online"
        assert [one.opened for one in shelf.plugs.values()] == [1, 1]
        assert shelf.starts == 1
        await reload(gateway, toy=toy("Desk", "Hall"))
        assert await area_of(client, "Desk") is None


async def test_a_room_of_a_device_that_is_away_is_taken_up():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        house.client() as client,
        open_house(house, shelf, toy=toy("Desk")) as (gateway, _),
    ):
        shelf.plugs["Desk"].end_events()
        await anyio.sleep(1)
        await reload(gateway, toy=toy("Desk"), devices={"desk": {"room": "Attic"}})
        assert await area_of(client, "Desk") == "Attic"


async def test_what_is_of_no_device_is_said_once_when_all_had_time(caplog):
    house, shelf = House(), Shelf()
    devices = {
        "dsk": {"room": "Attic"},
        "desk": {"entities": {"relais": {"confirm": True}, "relay": {}}},
    }
    async with (
        house.broker(),
        open_house(house, shelf, toy=toy("Desk"), devices=devices) as (gateway, _),
    ):
        said = {
            "[devices.dsk]: there is no such device so far; did you mean 'desk'?",
            (
                "[devices.desk.entities.relais]: desk has no such entity so far; "
                "did you mean 'relay'?"
            ),
        }
        await anyio.sleep(50)
        assert not said & set(caplog.messages)
        await anyio.sleep(20)
        assert said <= set(caplog.messages)
        caplog.clear()
        # Something else is new; these are known.
        devices["attic"] = {"room": "Attic"}
        await reload(gateway, toy=toy("Desk"), devices=devices)
        await anyio.sleep(3600)
        about = [line for line in caplog.messages if line.startswith("[devices.")]
        assert about == ["[devices.attic]: there is no such device so far"]
        caplog.clear()
        await reload(gateway, toy=toy("Desk", "dsk"), devices=devices)
        await anyio.sleep(3600)
        assert not any(line.startswith("[devices.") for line in caplog.messages)


async def test_a_device_of_an_earlier_run_may_come_again(caplog):
    house, shelf = House(), Shelf()
    devices = {"desk": {"room": "Attic"}}
    async with house.broker():
        async with open_house(house, shelf, toy=toy("Desk")):
            pass
        caplog.clear()
        searching = toy(takes_s=7200.0)
        async with open_house(house, shelf, toy=searching, devices=devices):
            await anyio.sleep(3600)
            assert not any("[devices." in line for line in caplog.messages)


def test_a_change_of_places_is_named():
    before, after = load_config({}), load_config({"devices": {"a": {"room": "b"}}})
    change = change_between(before, after)
    assert (change.sections, change.systems, change.at_restart) == (
        ("devices",),
        (),
        (),
    )
    assert change.config.devices == after.devices
