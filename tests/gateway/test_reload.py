"""Other settings without a restart: only what differs is touched."""

from __future__ import annotations

import json
import logging

import anyio
import pytest

from structiot import Environment
from structiot.errors import AuthRefused, ConfigError
from structiot.gateway import (
    BrokerConnected,
    BrokerLost,
    DeviceUpdate,
    DriverUpdate,
    GatewayEvent,
    load_config,
    open_gateway,
)
from structiot.gateway.drivers import with_driver
from structiot.gateway.entities.topics import REPORTS
from structiot.model import Availability
from structiot.mqtt import ReasonCode
from structiot.mqtt.wire.messages import Subscribe
from structiot.sim import sim_maxsmart
from tests._support.fake_broker import fake_broker
from tests.gateway.memory_house import (
    URI,
    House,
    followed,
    of_kind,
    retained,
)
from tests.gateway.scripted_driver import scripted, stay
from tests.gateway.shelf import Shelf, open_house, reload, toy

pytestmark = pytest.mark.virtual_time


def lost(events: list[GatewayEvent], name: str) -> list[DeviceUpdate]:
    updates = [one for one in of_kind(events, DeviceUpdate) if one.device == name]
    gone = [one for one in updates if isinstance(one.event, Availability)]
    return [one for one in gone if not one.event.is_available]


# ---------------------------------------------------------------- devices and drivers


async def test_the_same_settings_touch_nothing(caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    house, shelf = House(), Shelf()
    async with (
        house.broker() as broker,
        open_house(house, shelf, toy=toy("Desk")) as (gateway, events),
    ):
        events.clear()
        assert await reload(gateway, toy=toy("Desk")) == ()
        assert (events, shelf.starts, shelf.plugs["Desk"].opened) == ([], 1, 1)
        assert broker.clients == ["structiot-structiot"]
        assert (
            "the configuration was read again; nothing is different" in caplog.messages
        )


async def test_a_device_is_added_and_another_taken_away_beside_one_that_stays():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        house.client() as client,
        open_house(house, shelf, toy=toy("Desk", "Old")) as (gateway, events),
    ):
        events.clear()
        await reload(gateway, toy=toy("Desk", "New"))
        assert set(gateway.devices) == {"desk", "new"}
        assert (shelf.plugs["Desk"].opened, lost(events, "desk")) == (1, [])
        assert gateway.devices["new"].is_available
        assert not shelf.plugs["Old"].is_open
        assert await retained(client, "structiot/old/#") == {}


async def test_a_device_with_other_settings_is_opened_anew_and_only_it(caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    house, shelf = House(), Shelf()
    before = {"names": {"Desk": "fast", "Hall": "fast"}}
    async with (
        house.broker(),
        open_house(house, shelf, toy=before) as (gateway, events),
    ):
        events.clear()
        await reload(gateway, toy={"names": {"Desk": "slow", "Hall": "fast"}})
        opened = {name: one.opened for name, one in shelf.plugs.items()}
        assert opened == {"Desk": 2, "Hall": 1}
        assert all(device.is_available for device in gateway.devices.values())
        assert lost(events, "hall") == []
        # It is no trouble, and nobody waits for another attempt.
        said = [one for one in caplog.records if "Desk" in one.message]
        assert all(one.levelno == logging.INFO for one in said)
        assert [one.message.partition(")")[2] for one in said] == [
            " is open as desk",
            ": it is opened anew",
            " is open as desk",
        ]


async def test_a_driver_that_does_not_tell_settings_has_its_devices_opened_anew():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        open_house(house, shelf, toy=toy("Desk", is_told=False)) as (gateway, _),
    ):
        await reload(gateway, toy=toy("Desk", is_told=False, account="me"))
        assert shelf.plugs["Desk"].opened == 2
        assert gateway.devices["desk"].is_available


async def test_a_system_comes_and_goes():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        house.client() as client,
        open_house(house, shelf) as (gateway, events),
    ):
        await reload(gateway, toy=toy("Desk"))
        assert gateway.devices["desk"].is_available
        assert gateway.drivers["toy"].state == "running"
        await reload(gateway)
        assert (gateway.devices, gateway.drivers) == ({}, {})
        assert of_kind(events, DriverUpdate)[-1].state == "removed"
        assert not shelf.plugs["Desk"].is_open
        left = await retained(client, "structiot/#", "homeassistant/#")
        assert left.pop("structiot/gateway/availability") == "online"
        reports = {f"structiot/gateway/{one}" for one in REPORTS}
        assert left.keys() == reports
        assert json.loads(left["structiot/gateway/devices"])["devices"] == []


@pytest.mark.parametrize("error", [AuthRefused("wrong password"), ConfigError("no")])
async def test_what_is_parked_is_tried_again(error):
    house, shelf = House(), Shelf()
    shelf.plug("Desk").open_error = error
    shelf.error = error
    async with (
        house.broker(),
        open_house(house, shelf, toy=toy("Desk")) as (gateway, _),
    ):
        await anyio.sleep(3600)
        assert (shelf.starts, gateway.drivers["toy"].state) == (1, "parked")
        shelf.error = None
        await reload(gateway, toy=toy("Desk"))
        assert gateway.drivers["toy"].state == "running"
        desk = gateway.devices["desk"]
        await anyio.sleep(3600)
        assert (shelf.plugs["Desk"].opened, desk.is_available) == (1, False)
        shelf.plugs["Desk"].open_error = None
        await reload(gateway, toy=toy("Desk"))
        assert (shelf.plugs["Desk"].opened, desk.is_available) == (2, True)
        assert shelf.starts == 2


async def test_a_strip_that_is_found_stays_when_another_is_listed():
    house = House()
    environment = house.environment
    found = {"broadcast": ["10.0.0.7"], "discover_every_s": 3600.0}
    async with (
        house.broker(),
        sim_maxsmart("10.0.0.7", environment=environment, seed=1),
        sim_maxsmart("10.0.0.8", environment=environment, seed=2),
    ):
        config = load_config({"mqtt": {"uri": URI}, "maxsmart": found})
        async with (
            open_gateway(config, environment=environment) as gateway,
            followed(gateway) as events,
        ):
            await anyio.sleep(30)
            (slug,) = gateway.devices
            events.clear()
            listed = {"devices": [{"host": "10.0.0.8", "name": "Desk"}]}
            await reload(gateway, maxsmart=found | listed)
            await anyio.sleep(30)
            assert set(gateway.devices) == {slug, "desk"}
            assert all(one.is_available for one in gateway.devices.values())
            assert lost(events, slug) == []
            await reload(gateway, maxsmart={"discover": False, **listed})
            assert set(gateway.devices) == {"desk"}


# ---------------------------------------------------------------- the gateway itself


async def test_another_broker_is_gone_to_after_a_goodbye_and_devices_stay():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        house.broker(1884),
        house.client() as old,
        house.client("mqtt://127.0.0.1:1884/") as new,
        open_house(house, shelf, toy=toy("Desk")) as (gateway, events),
    ):
        events.clear()
        uri = "mqtt://127.0.0.1:1884/"
        assert await reload(gateway, mqtt={"uri": uri}, toy=toy("Desk")) == ()
        assert of_kind(events, BrokerConnected)
        assert (shelf.plugs["Desk"].opened, lost(events, "desk")) == (1, [])
        there = await retained(old, "structiot/+/availability")
        assert set(there.values()) == {"offline"}
        here = await retained(new, "structiot/+/availability", "homeassistant/#")
        assert here["structiot/desk/availability"] == "online"
        assert here["structiot/gateway/availability"] == "online"
        assert "homeassistant/device/structiot_toy_Desk/config" in here
        await new.publish("structiot/desk/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        assert shelf.plugs["Desk"].commands == [("relay", True)]


@pytest.mark.parametrize(
    ("retry_refused", "asks"), [(False, 1), (True, 5)], ids=["parked", "retried"]
)
async def test_a_refused_login_is_said_and_the_devices_go_on(retry_refused, asks):
    house, shelf = House(), Shelf()
    async with fake_broker() as broker:
        house.environment = Environment(network=broker.network)
        broker.refuse(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
        mqtt = {"uri": broker.uri, "retry_refused": retry_refused}
        async with open_house(house, shelf, mqtt=mqtt, toy=toy("Desk")) as opened:
            gateway, events = opened
            await anyio.sleep(600)
            losses = of_kind(events, BrokerLost)
            assert len(losses) == 1 if asks == 1 else len(losses) > asks
            assert (losses[-1].retry_in_s is None) == (not retry_refused)
            assert "user name or password" in losses[0].reason
            assert gateway.devices["desk"].is_available
            # What comes later hears of it as well.
            async with gateway.events() as late:
                assert await anext(late) == losses[-1]
            broker.oblige()
            await reload(gateway, mqtt=mqtt, toy=toy("Desk"))
            await anyio.sleep(60)
            assert gateway.is_connected
            assert shelf.plugs["Desk"].opened == 1


@pytest.mark.parametrize(
    "code",
    [
        ReasonCode.BAD_USER_NAME_OR_PASSWORD,
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.BANNED,
    ],
)
@pytest.mark.parametrize("grants", [True, False], ids=["granted", "unanswered"])
# While it subscribes, reads what an earlier run has left, and serves.
@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.6, 60.0])
async def test_a_broker_that_refuses_at_any_moment_costs_no_device(
    after_s, grants, code
):
    house, shelf = House(), Shelf()
    async with fake_broker() as broker:
        house.environment = Environment(network=broker.network)
        if not grants:
            broker.ignore(Subscribe)
        mqtt = {"uri": broker.uri}
        async with open_house(house, shelf, mqtt=mqtt, toy=toy("Desk")) as opened:
            gateway, _ = opened
            connection = await broker.connected(1)
            await anyio.sleep(after_s)
            broker.refuse(code)
            connection.reset()
            await anyio.sleep(600)
            told = gateway.broker_service.told
            assert isinstance(told, BrokerLost)
            assert told.retry_in_s is None
            assert gateway.devices["desk"].is_available
            broker.oblige()
            await reload(gateway, mqtt=mqtt, toy=toy("Desk"))
            await anyio.sleep(60)
            assert gateway.is_connected
            assert shelf.plugs["Desk"].opened == 1


async def test_times_are_taken_up_at_once_and_the_rest_is_said(caplog):
    house, shelf = House(), Shelf()
    shelf.plug("Desk").command_takes_s = 100
    async with (
        house.broker(),
        house.client() as client,
        open_house(house, shelf, toy=toy("Desk")) as (gateway, _),
    ):
        said = await reload(
            gateway,
            mqtt={"uri": URI, "base_topic": "home", "discovery": False},
            gateway={"id": "other", "command_s": 2.0, "forget_on_exit": True},
            toy=toy("Desk"),
        )
        assert said == (
            "base_topic in [mqtt]",
            "discovery in [mqtt]",
            "id in [gateway]",
        )
        line = "base_topic in [mqtt] is taken up at the next restart only"
        assert line in caplog.messages
        assert gateway.config.mqtt.base_topic == "structiot"
        assert gateway.config.gateway.command_s == 2.0
        async with client.subscription("structiot/desk/error", qos=1) as errors:
            await client.publish("structiot/desk/relay/set", b"ON", qos=1)
            with anyio.fail_after(3):
                told = await anext(errors)
        assert b"did not carry it out within 2 s" in told.payload
    async with house.broker(), house.client() as client:
        assert await retained(client, "structiot/#") == {}


async def test_the_embedded_broker_keeps_its_port():
    house, shelf = House(), Shelf()
    with with_driver("toy", shelf.driver):
        config = load_config({"toy": toy("Desk")})
        async with open_gateway(config, environment=house.environment) as gateway:
            await anyio.sleep(5)
            other = {"listen": ["mqtt://127.0.0.1:1999"]}
            said = await gateway.reload(
                load_config({"broker": other, "toy": toy("Desk")})
            )
            assert said == ("listen in [broker]",)
            said = await gateway.reload(
                load_config({"mqtt": {"uri": "mqtt://elsewhere/"}})
            )
            assert said == ("uri in [mqtt]",)
            await anyio.sleep(60)
            assert gateway.is_connected


async def test_a_driver_that_cannot_be_loaded_changes_nothing():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        open_house(house, shelf, toy=toy("Desk")) as (gateway, events),
    ):
        with with_driver("good", scripted(stay, system="good")):
            config = load_config({"mqtt": {"uri": URI}, "toy": toy(), "good": {}})
        events.clear()
        with pytest.raises(ConfigError, match="no driver for 'good' is installed"):
            await gateway.reload(config)
        assert (set(gateway.devices), events) == ({"desk"}, [])


async def test_a_section_that_changes_again_and_again_starts_one_driver_at_a_time():
    house, shelf = House(), Shelf()
    async with (
        house.broker(),
        open_house(house, shelf, toy=toy("Desk")) as (gateway, events),
    ):
        events.clear()
        for number in range(5):
            sections = {"toy": toy("Desk", account=str(number))}
            await gateway.reload(load_config({"mqtt": {"uri": URI}, **sections}))
        await anyio.sleep(60)
        assert gateway.drivers["toy"].state == "running"
        assert shelf.plugs["Desk"].opened == 1
        assert lost(events, "desk") == []
        assert 2 <= shelf.starts <= 6
