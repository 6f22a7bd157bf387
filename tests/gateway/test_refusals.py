"""What the broker does not take: read, said once, and healed."""

from __future__ import annotations

import json
import logging

import anyio
import pytest

from structiot import Environment
from structiot.gateway import (
    CommandFailed,
    TopicAccepted,
    TopicRefused,
    load_config,
    open_gateway,
)
from structiot.gateway.drivers import with_driver
from structiot.model import DeviceInfo, Sensor, Switch
from structiot.mqtt import Message, ReasonCode
from structiot.mqtt.broker import BrokerLimits, Permission
from structiot.mqtt.broker.permissions import Permissions
from structiot.mqtt.wire.messages import Puback
from tests._support.fake_broker import FakeConnection, fake_broker
from tests.gateway.memory_house import House, followed, of_kind, retained
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    of_gateway,
    plug,
    scripted,
    source_of,
    stay,
)
from tests.gateway.shelf import Shelf, toy
from tests.gateway.support import ScriptedDevice

pytestmark = pytest.mark.virtual_time

CONFIG = "homeassistant/device/structiot_toy_P1/config"


def serving_one(device: ScriptedDevice) -> type[ScriptedDriver]:
    async def serve_one(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk"))
        await stay(driver)

    return scripted(serve_one)


def only(*patterns: str) -> list[Permission]:
    return [Permission(publish=patterns, subscribe=("#",))]


async def test_an_announcement_that_is_not_allowed_is_said_once_and_heals(caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    house, device = House(), plug()
    async with (
        house.broker(permissions=only("structiot/#")) as broker,
        house.gateway(serving_one(device)) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(30)
        device.tell_state("relay", True)
        await anyio.sleep(30)
        assert gateway.devices["desk"].is_available
        (refused,) = of_kind(events, TopicRefused)
        assert refused == TopicRefused(topic=CONFIG, reason="not authorized")
        async with gateway.events() as late:
            assert refused in [await anext(late) for _ in range(2)]
        line = f"the broker refuses {CONFIG}: not authorized"
        assert caplog.messages.count(line) == 1
        # Mended at the broker: at the next occasion it is taken.
        broker.core.permissions = Permissions(())
        await gateway.reload(gateway.config)
        await anyio.sleep(1)
        assert of_kind(events, TopicAccepted) == [TopicAccepted(topic=CONFIG)]
        assert f"the broker takes {CONFIG} again" in caplog.messages
        async with house.client() as client:
            assert CONFIG in await retained(client, "homeassistant/#")


async def test_states_that_are_not_allowed_are_one_line_a_device(caplog):
    house, device = House(), plug()
    device.entities = tuple(Switch(key=f"port_{n}") for n in range(6))
    async with (
        house.broker(permissions=only("+/+/availability", "homeassistant/#")),
        house.gateway(serving_one(device)) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(1)
        for is_on in (True, False, True):
            for number in range(6):
                device.tell_state(f"port_{number}", is_on)
            await anyio.sleep(1)
        refused = of_kind(events, TopicRefused)
        states = [r.topic.split("/") for r in refused if r.topic.endswith("/state")]
        # The gateway's, the device's, and those of its entities.
        assert sorted(map(len, states)) == [3, 3, *[4] * 6]
        lines = [line for line in of_gateway(caplog) if "desk" in line]
        assert len([line for line in lines if "/state" in line]) == 1


@pytest.mark.parametrize(
    ("code", "is_passing"),
    [
        (ReasonCode.QUOTA_EXCEEDED, True),
        (ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, True),
        (ReasonCode.NOT_AUTHORIZED, False),
        (ReasonCode.TOPIC_NAME_INVALID, False),
    ],
)
async def test_only_what_may_pass_is_tried_again_by_itself(code, is_passing):
    device = plug()
    async with fake_broker() as broker:
        refusing = True

        def puback(connection: FakeConnection, message: Message) -> list[Puback]:
            is_refused = refusing and message.topic == CONFIG
            reason = code if is_refused else ReasonCode.SUCCESS
            return [Puback(packet_id=message.packet_id or 0, reason=reason)]

        def announced() -> int:
            topics = [one.topic for one in broker.connection.of(Message)]
            return topics.count(CONFIG)

        broker.answer(Message, puback)
        environment = Environment(network=broker.network)
        with with_driver("toy", serving_one(device)):
            config = load_config({"mqtt": {"uri": broker.uri}, "toy": {}})
            async with (
                open_gateway(config, environment=environment) as gateway,
                followed(gateway) as events,
            ):
                await anyio.sleep(600)
                assert announced() == (10 if is_passing else 1)
                assert len(of_kind(events, TopicRefused)) == 1
                refusing = False
                await anyio.sleep(60)
                assert len(of_kind(events, TopicAccepted)) == is_passing
                # Another connection is another occasion, whatever it was.
                broker.connection.reset()
                await anyio.sleep(10)
                assert len(of_kind(events, TopicAccepted)) == 1
                assert device.opened == 1


@pytest.mark.parametrize("what", ["structiot/+/+/set", "homeassistant/status"])
async def test_a_subscription_that_is_not_allowed_costs_itself(what):
    house, device = House(), plug()
    filters = {"structiot/+/+/set", "homeassistant/status", "structiot/gateway/#"}
    allowed = Permission(publish=("#",), subscribe=tuple(filters - {what}))
    async with (
        house.broker(permissions=[allowed]) as broker,
        house.gateway(serving_one(device)) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(120)
        assert gateway.devices["desk"].is_available
        assert what in [event.topic for event in of_kind(events, TopicRefused)]
        broker.core.permissions = Permissions(())
        await gateway.reload(gateway.config)
        await anyio.sleep(1)
        assert TopicAccepted(topic=what) in events
        async with house.client() as client:
            await client.publish("structiot/desk/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        assert device.commands == [("relay", True)]
        assert not of_kind(events, CommandFailed)


def strip() -> ScriptedDevice:
    info = DeviceInfo(id="S1", system="toy", name="Strip", serial="S1")
    entities = [Sensor(key=f"port_{n}_power", unit="W") for n in range(20)]
    return ScriptedDevice(info, entities)


async def test_an_announcement_that_is_too_long_goes_out_entity_by_entity():
    house, device = House(), strip()
    async with (
        house.broker(limits=BrokerLimits(packet_bytes=3000)),
        house.gateway(serving_one(device)) as gateway,
        followed(gateway) as events,
        house.client() as client,
    ):
        await anyio.sleep(5)
        assert not of_kind(events, TopicRefused)
        found = await retained(client, "homeassistant/#")
        assert CONFIG not in found
        assert len(found) == 20
        part = json.loads(
            found["homeassistant/sensor/structiot_toy_S1/port_7_power/config"]
        )
        assert part["unique_id"] == "structiot_toy_S1_port_7_power"
        assert part["device"]["identifiers"] == ["structiot_toy_S1"]
        assert part["availability_mode"] == "all"
        assert "platform" not in part
        # An entity that goes is taken away, and so is the device.
        device.entities = device.entities[:-1]
        device.end_events()
        await anyio.sleep(5)
        assert len(await retained(client, "homeassistant/#")) == 19
        # Home Assistant has restarted: it gets all of them again.
        async with client.subscription("homeassistant/sensor/#", qos=1) as told:
            await anyio.sleep(1)
            before = len(told)
            await client.publish("homeassistant/status", b"online", qos=1)
            await anyio.sleep(1)
            assert len(told) - before >= 19
        await gateway.reload(gateway.config.model_copy(update={"toy": None}))
        await anyio.sleep(1)
        assert await retained(client, "homeassistant/#") == {}


async def test_what_does_not_fit_in_parts_either_is_said(caplog):
    house = House()
    async with (
        house.broker(limits=BrokerLimits(packet_bytes=400)),
        house.gateway(serving_one(strip())) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(5)
        assert gateway.devices["desk"].is_available
        refused = of_kind(events, TopicRefused)
        configs = [one for one in refused if one.topic.endswith("/config")]
        assert len(configs) == 20
        assert "the peer takes 400" in configs[0].reason
        lines = [line for line in of_gateway(caplog) if "/gateway/" not in line]
        assert len([line for line in lines if "takes 400" in line]) == 1


async def test_a_clear_that_was_refused_for_a_while_is_tried_again():
    state = "structiot/desk/relay/state"
    async with fake_broker() as broker:
        refusing = True

        def puback(connection: FakeConnection, message: Message) -> list[Puback]:
            is_refused = refusing and not message.payload
            reason = ReasonCode.QUOTA_EXCEEDED if is_refused else ReasonCode.SUCCESS
            return [Puback(packet_id=message.packet_id or 0, reason=reason)]

        def cleared(topic: str) -> int:
            messages = broker.connection.of(Message)
            return [one.topic for one in messages if not one.payload].count(topic)

        broker.answer(Message, puback)
        environment = Environment(network=broker.network)
        shelf = Shelf()
        shelf.plug("desk").tell_state("relay", True)
        with with_driver("toy", shelf.driver):
            mqtt = {"uri": broker.uri}
            config = load_config({"mqtt": mqtt, "toy": toy("desk")})
            async with open_gateway(config, environment=environment) as gateway:
                await anyio.sleep(10)
                shelf.plug("desk").tell_state("relay", False)
                await gateway.reload(load_config({"mqtt": mqtt, "toy": toy()}))
                await anyio.sleep(10)
                config_topic = "homeassistant/device/structiot_toy_desk/config"
                assert (cleared(state), cleared(config_topic)) == (1, 1)
                refusing = False
                await anyio.sleep(60)
                assert (cleared(state), cleared(config_topic)) == (2, 2)
                await anyio.sleep(300)
                assert (cleared(state), cleared(config_topic)) == (2, 2)
