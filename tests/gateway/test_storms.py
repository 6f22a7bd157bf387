"""Peers that ask too much, too often or for too many, and brokers that take little."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from structiot import Environment
from structiot.gateway import TopicRefused, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.model import Sensor, StateChange, Switch
from structiot.mqtt import Message, PublishProperties
from structiot.mqtt.broker import Permission
from structiot.mqtt.wire.messages import Connack, Connect, Puback
from structiot.mqtt.wire.properties import ConnackProperties
from tests._support.fake_broker import FakeConnection, fake_broker
from tests.gateway.asked_house import asked, plug_of
from tests.gateway.link_house import AT, linked, named, plug
from tests.gateway.memory_house import URI, House, followed, of_kind, retained
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    of_gateway,
    scripted,
    source_of,
    stay,
)
from tests.gateway.support import ScriptedDevice

pytestmark = pytest.mark.virtual_time


def serving(device: ScriptedDevice) -> type[ScriptedDriver]:
    async def serve(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name=device.info.name))
        await stay(driver)

    return scripted(serve)


# ---------------------------------------------------------------- commands


async def test_one_message_for_very_many_entities_is_carried_out_whole():
    device = plug_of("Desk", [Switch(key=f"relay_{n}") for n in range(50)])
    device.command_takes_s = 0.01
    async with asked(device) as (_, asker):
        await asker.say("desk/set", {"value": {e.key: "ON" for e in device.entities}})
        await anyio.sleep(1)
        (answer,) = asker.told("desk/result")
        assert (answer["status"], len(answer["entities"])) == ("done", 50)
        assert len(device.commands) == 50


async def test_one_message_for_which_there_is_no_room_is_refused_whole():
    device = plug_of("Desk", [Switch(key=f"relay_{n}") for n in range(20)])
    device.command_takes_s = 1.0
    async with asked(device) as (_, asker):
        many = {"value": {e.key: "ON" for e in device.entities}, "id": 1}
        await asker.say("desk/set", many)
        await asker.say("desk/set", many | {"id": 2})
        await anyio.sleep(30)
        done = {one["id"]: one for one in asker.told("desk/result")}
        assert done[1]["status"] == "done"
        assert {one["status"] for one in done[2]["entities"].values()} == {"refused"}
        assert len(device.commands) == 20


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
async def test_a_number_that_nobody_could_read_is_not_echoed(number):
    async with asked() as (_, asker):
        request = f'{{"transaction": {{"a": [{number}, 1.5]}}}}'
        await asker.say("gateway/request/ping", request)
        (answer,) = asker.told("gateway/response/ping")
        assert answer["transaction"] == {"a": [None, 1.5]}


# ---------------------------------------------------------------- requests


async def test_a_device_and_a_driver_are_started_anew_once_in_a_while():
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        for _ in range(50):
            topic = "structiot/gateway/request/device/reopen"
            await asker.client.publish(topic, '{"device": "desk"}', 0)
            topic = "structiot/gateway/request/driver/restart"
            await asker.client.publish(topic, '{"system": "toy"}', 0)
            await anyio.sleep(0.01)
        await anyio.sleep(1)
        opened = device.opened
        assert 2 <= opened <= 3
        told = asker.told("gateway/response/device/reopen")
        assert [one["status"] for one in told] == ["ok"] + ["error"] * 49
        assert "was done a moment ago" in told[1]["error"]
        await anyio.sleep(5)
        await asker.say("gateway/request/device/reopen", {"device": "desk"})
        assert asker.told("gateway/response/device/reopen")[-1]["status"] == "ok"
        assert device.opened == opened + 1


async def test_reloads_that_are_asked_for_at_once_are_one():
    async with asked() as (gateway, asker):
        reloads = []

        async def reload() -> tuple[str, ...]:
            reloads.append(anyio.current_time())
            await anyio.lowlevel.checkpoint()
            return ()

        gateway.reads_again = reload
        for number in range(6):
            topic = "structiot/gateway/request/reload"
            await asker.client.publish(topic, json.dumps({"transaction": number}), 0)
        await anyio.sleep(5)
        told = asker.told("gateway/response/reload")
        assert [one["transaction"] for one in told] == list(range(6))
        assert {one["status"] for one in told} == {"ok"}
        assert len(reloads) <= 2


async def test_who_asks_much_leaves_others_a_turn_after_each_question():
    """An answer may be about ten thousand devices."""
    async with asked(plug_of("Desk")) as (gateway, asker):
        received = [gateway.broker_service.received]

        async def look() -> None:
            while True:
                await anyio.lowlevel.checkpoint()
                received.append(gateway.broker_service.received)

        for _ in range(32):
            await asker.client.publish("structiot/gateway/request/health", "", 0)
        with anyio.move_on_after(1):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(look)
                while len(asker.told("gateway/response/health")) < 32:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert received[-1] - received[0] == 32
        assert max(b - a for a, b in pairwise(received)) <= 2


# ---------------------------------------------------------------- a narrow broker


async def test_answers_are_told_while_states_change_faster_than_the_broker_takes_them():
    device = plug_of("Desk", [*(Sensor(key=f"s{n}") for n in range(40))])
    taken: list[str] = []

    def connack(_: FakeConnection, __: Connect) -> tuple[Connack]:
        return (Connack(properties=ConnackProperties(receive_maximum=1)),)

    async with fake_broker() as broker, anyio.create_task_group() as tasks:

        async def acknowledge(connection: FakeConnection, packet_id: int) -> None:
            await anyio.sleep(0.05)
            await connection.send(Puback(packet_id=packet_id))

        def take(connection: FakeConnection, message: Message) -> tuple[()]:
            taken.append(message.topic)
            tasks.start_soon(acknowledge, connection, message.packet_id)
            return ()

        async def change() -> None:
            number = 0
            while True:
                number += 1
                for one in device.entities:
                    device.tell_state(one.key, number)
                await anyio.sleep(1)

        broker.answer(Connect, connack)
        broker.answer(Message, take)
        environment = Environment(network=broker.network)
        with with_driver("toy", serving(device)):
            config = load_config({"mqtt": {"uri": broker.uri}, "toy": {}})
            async with open_gateway(config, environment=environment):
                await anyio.sleep(5)
                tasks.start_soon(change)
                await anyio.sleep(15)
                topic = "structiot/gateway/request/ping"
                await broker.connection.send(Message(topic, b""))
                await anyio.sleep(30)
                assert "structiot/gateway/response/ping" in taken
                tasks.cancel_scope.cancel()


async def test_topics_for_answers_that_the_broker_refuses_crowd_out_nothing(caplog):
    house, device = House(), plug_of("Desk")
    may = Permission(publish=("structiot/#", "homeassistant/#"), subscribe=("#",))
    mine = Permission(publish=("structiot/gateway/#",), subscribe=("#",))
    async with (
        house.broker(permissions=[may]) as broker,
        house.client() as client,
        house.gateway(serving(device)) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(5)
        for number in range(300):
            properties = PublishProperties(response_topic=f"nobodys/{number}")
            topic = "structiot/gateway/request/ping"
            await client.publish(topic, "", 1, properties=properties)
        await anyio.sleep(10)
        assert len(of_kind(events, TopicRefused)) <= 100
        assert len([one for one in of_gateway(caplog) if "nobodys" in one]) <= 6
        assert gateway.publisher.refused == 300
        broker.core.permissions = type(broker.core.permissions)((mine,))
        device.tell_state("relay", True)
        await anyio.sleep(5)
        assert [one for one in of_gateway(caplog) if "refuses structiot/desk" in one]


# ---------------------------------------------------------------- links


async def test_a_link_from_very_many_entities_hands_all_of_them_on():
    devices = [plug(f"p{number}", power=0.0) for number in range(30)]
    link = {"from": "*/power", "to": "mqtt:legacy/{device}"}
    async with linked(*devices, links=[link]) as house:
        await anyio.sleep(5)
        for second in range(1, 7):
            for device in devices:
                device.tell_state("power", float(second))
            await anyio.sleep(1)
        for device in devices:
            assert house.on(f"legacy/{device.info.name}")[-1:] == ["6.0"]
        assert house.reasons == [""]


async def test_what_goes_round_outside_is_said(caplog):
    links: list[dict[str, Any]] = [
        {"from": "one/switch", "to": "mqtt:out"},
        {
            "from": "mqtt:back",
            "to": "two/switch",
            "kind": "switch",
            "set_topic": "nobody/hears",
        },
        {"from": "two/switch", "to": "one/switch"},
    ]
    device = plug("one", switch=False)
    async with linked(device, links=links) as house:

        async def answer_back() -> None:
            async with house.client.subscription("out", qos=0) as messages:
                async for message in messages:
                    told = b"OFF" if message.payload == b"ON" else b"ON"
                    await house.client.publish("back", told, 0)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer_back)
            device.tell_state("switch", True)
            await anyio.sleep(25)
            turns = len(house.on("out"))
            await anyio.sleep(5)
            assert len(house.on("out")) - turns <= 26
            tasks.cancel_scope.cancel()
        assert "as in a loop" in house.reasons[0]
        assert len([one for one in of_gateway(caplog) if "as in a loop" in one]) == 1


async def test_links_of_a_reload_hold_nobody_up(watched_loop):
    entities = [Sensor(key=f"s{number}") for number in range(5)]
    devices = [named(f"d{number}", entities) for number in range(40)]
    for device in devices:
        for one in entities:
            device.states[one.key] = 1.0
            device.first.append(StateChange(key=one.key, state=1.0, at_utc=AT))
    links = [{"from": "*/s1", "to": f"mqtt:o{n}/{{device}}"} for n in range(20)]
    async with watched_loop(0.05), linked(*devices) as house:
        await house.reload(links)
        await anyio.sleep(5)
        assert len(house.on("o19/d39")) == 1
        # And links that mean nobody, which is said.
        await house.reload([{"from": f"x{n}/s1", "to": "mqtt:o"} for n in range(40)])
        await anyio.sleep(40)
        assert "there is no device 'x0'" in house.reasons[0]


# ---------------------------------------------------------------- two with one name


async def test_two_gateways_with_one_base_topic_say_so_and_leave_no_harm(caplog):
    house, first, second = House(), plug_of("First"), plug_of("Second")
    own = {"mqtt": {"uri": URI}}
    async with (
        house.broker(),
        house.client() as client,
        house.gateway(serving(first), gateway={"id": "one"}, **own),
    ):
        await anyio.sleep(5)
        async with house.gateway(serving(second), gateway={"id": "two"}, **own):
            await anyio.sleep(60)
            said = [one for one in of_gateway(caplog) if "another gateway" in one]
            assert len(said) == 2
            assert "give each its own, by base_topic in [mqtt]" in said[0]
        await anyio.sleep(5)
        stands = await retained(client, "structiot/#")
        assert stands["structiot/gateway/availability"] == "online"
        assert stands["structiot/first/availability"] == "online"
        assert stands["structiot/second/availability"] == "offline"
        assert json.loads(stands["structiot/gateway/info"])["devices"] == 1


async def test_who_takes_a_gateway_back_all_the_time_costs_little(caplog):
    async with asked(plug_of("Desk")) as (gateway, asker):
        before = gateway.publisher.published
        for _ in range(100):
            topic = "structiot/gateway/availability"
            await asker.client.publish(topic, "offline", 1, True)
            topic = "structiot/gateway/state"
            await asker.client.publish(topic, b"[" * 2000, 1)
            await anyio.sleep(0.1)
        await anyio.sleep(40)
        assert gateway.publisher.published - before < 80
        stands = await retained(asker.client, "structiot/gateway/availability")
        assert list(stands.values()) == ["online"]
        assert len([one for one in of_gateway(caplog) if "said offline" in one]) == 1
