"""Devices that dial in to the gateway: what is shown of them, and what they are told."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import anyio
import pytest

from structiot.gateway import open_gateway
from structiot.sim import sim_devices
from tests.gateway.manager_house import OTHER, PORT, UUID, Served, manager_house

pytestmark = pytest.mark.virtual_time

LAMP = {
    "switches": [{"name": "Light", "member": "is_on"}],
    "sensors": [
        {"member": "load.power_w", "unit": "W", "device_class": "power"},
        {"member": "/names/0", "name": "First name", "key": "first"},
    ],
    "binary_sensors": [{"member": "is_hot", "device_class": "heat"}],
    "buttons": [{"name": "Blink", "send": {"do": "blink", "times": 3}}],
    "texts": [{"name": "Sign", "send": {"say": "{text}", "n": [1]}}],
    "events": [
        {"name": "Bell", "types": ["ring"], "device_class": "doorbell"},
        {"name": "Key", "types": ["single", "double"], "member": "key"},
    ],
}
MAPPED = {"types": {"lamp": LAMP}}


# ------------------------------------------------------------ what is shown


async def test_without_a_mapping_members_are_sensors_and_messages_an_event(environment):
    data = {"name": "Hall", "t": 21.5, "is_on": True, "wifi": {"ssid": "x"}, "l": [1]}
    async with manager_house(environment) as served, served.device(data) as device:
        about = served.announced()["device"]
        assert (about["name"], about["model"]) == ("Hall", "lamp")
        kinds = {key: one["platform"] for key, one in served.components().items()}
        assert kinds == {
            "send": "text",
            "message": "event",
            "t": "sensor",
            "is_on": "binary_sensor",
            "wifi_ssid": "sensor",
        }
        assert (served.state("t"), served.state("is_on")) == ("21.5", "ON")
        assert served.state("wifi_ssid") == "x"
        await device.say('{"t": 22, "rh": 40}')
        assert (served.state("t"), served.state("rh")) == ("22", "40")
        assert served.components()["rh"]["state_class"] == "measurement"
        await device.say("hello\n")
        assert served.happened("message") == [
            {"event_type": "message", "text": '{"t": 22, "rh": 40}'},
            {"event_type": "message", "text": "hello"},
        ]
        await served.command("send", "on")
        assert await device.hear() == b"on"
        assert json.loads(served.state("send") or "") == {"text": "on"}


async def test_without_a_name_it_is_called_by_type_and_uuid(environment):
    async with manager_house(environment) as served, served.device():
        assert served.announced()["device"]["name"] == "lamp 1862cfe1"


async def test_a_mapping_says_what_is_shown_and_nothing_else_is(environment):
    data = {"is_on": False, "load": {"power_w": "7.5"}, "names": ["a"], "more": 1}
    async with manager_house(environment, MAPPED) as served:
        async with served.device(data) as device:
            kinds = {key: one["platform"] for key, one in served.components().items()}
            assert kinds == {
                "light": "switch",
                "load_power_w": "sensor",
                "first": "sensor",
                "is_hot": "binary_sensor",
                "blink": "button",
                "sign": "text",
                "bell": "event",
                "key": "event",
            }
            power = served.components()["load_power_w"]
            assert (power["name"], power["unit_of_measurement"]) == (
                "Load power w",
                "W",
            )
            assert served.state("light") == "OFF"
            assert served.state("load_power_w") == "7.5"
            assert served.state("first") == "a"
            await device.say('{"is_on": 1, "is_hot": "on", "load": {"power_w": "?"}}')
            assert (served.state("light"), served.state("is_hot")) == ("ON", "ON")
            assert served.state("load_power_w") == "None"
            await device.say("ring")
            await device.say('{"key": "double"}')
            await device.say("nothing that anybody has described")
            assert [one["event_type"] for one in served.happened("bell")] == ["ring"]
            assert [one["event_type"] for one in served.happened("key")] == ["double"]


async def test_commands_are_sent_as_the_mapping_has_them(environment):
    async with manager_house(environment, MAPPED) as served:
        async with served.device({"is_on": False}) as device:
            await served.command("light", "ON")
            assert await device.hear() == b"on"
            # It is what the device says, which has not said so yet.
            assert served.state("light") == "OFF"
            await served.command("blink", "PRESS")
            assert await device.hear() == b'{"do":"blink","times":3}'
            await served.command("sign", 'say "ü"')
            assert json.loads(await device.hear()) == {"say": 'say "ü"', "n": [1]}
            assert json.loads(served.state("sign") or "") == {"text": 'say "ü"'}


async def test_without_a_member_a_switch_is_what_it_was_told(environment):
    switch = {"name": "Pump", "on": [1, "x"], "off": {"pump": False}}
    section = {"types": {"lamp": {"switches": [switch]}}}
    async with manager_house(environment, section) as served:
        async with served.device() as device:
            assert served.state("pump") is None
            await served.command("pump", "ON")
            assert (await device.hear(), served.state("pump")) == (b'[1,"x"]', "ON")
            await served.command("pump", "OFF")
            assert (await device.hear(), served.state("pump")) == (
                b'{"pump":false}',
                "OFF",
            )


async def test_others_are_shown_beside_a_mapping_where_that_is_wanted(environment):
    kind = {"buttons": [{"name": "Send", "send": "x"}], "others": True, "values": False}
    async with manager_house(environment, {"types": {"lamp": kind}}) as served:
        async with served.device({"t": 1}) as device:
            kinds = {key: one["platform"] for key, one in served.components().items()}
            assert kinds == {
                "send": "button",
                "send_2": "text",
                "message": "event",
                "t": "sensor",
            }
            await device.say('{"t": 2}')
            assert served.state("t") == "1"
            assert len(served.happened("message")) == 1


async def test_types_that_are_not_listed_are_refused_and_that_is_said(
    environment, caplog
):
    async with manager_house(environment, MAPPED) as served:
        async with served.device(kind="toaster", uuid=OTHER) as toaster:
            assert await toaster.hear() == b"end\n"
        assert served.announced(OTHER) == {}
        assert "was refused: its type 'toaster' is not taken here" in caplog.text
    async with manager_house(environment, {**MAPPED, "other_types": True}) as served:
        async with served.device(kind="toaster", uuid=OTHER):
            assert served.available(OTHER) == "online"


# ------------------------------------------------------------ coming and going


async def test_it_is_unavailable_while_it_is_away_and_commands_are_refused(environment):
    async with manager_house(environment) as served:
        async with served.device({"t": 1}):
            assert served.available() == "online"
        assert served.available() == "offline"
        await served.command("send", "hello")
        assert served.errors() == ["lamp 1862cfe1 is not available: the peer hung up"]
        async with served.device({"t": 2}) as device:
            assert served.seen("availability")[-3:] == ["online", "offline", "online"]
            assert served.state("t") == "2"
            await served.command("send", "hello")
            assert await device.hear() == b"hello"


def of_devices(served: Served) -> set[str]:
    return {one for one in served.bench.latest if "/gateway/" not in one}


async def test_one_that_is_replaced_is_the_same_and_was_never_away(environment):
    async with manager_house(environment) as served:
        async with served.device({"t": 1}):
            before = of_devices(served)
            async with served.device({"t": 2}) as newer:
                assert of_devices(served) == before
                assert served.seen("availability") == ["online"]
                assert served.state("t") == "2"
                await served.command("send", "hello")
                assert await newer.hear() == b"hello"
                await newer.say("there")
                assert served.happened("message")[-1]["text"] == "there"
        assert served.available() == "offline"


async def test_however_often_it_is_replaced_it_is_never_away(environment):
    """Whatever else is told between the end of one connection and the next."""
    async with manager_house(environment) as served, AsyncExitStack() as stack:
        for number in range(100):
            device = await stack.enter_async_context(served.device())
            await device.say("x" * (100 + number))
            await anyio.sleep(20)
        assert served.seen("availability") == ["online"]
        assert len(served.happened("message")) == 100


async def test_what_comes_together_with_the_info_is_shown_and_told(environment):
    """The gateway opens a device only after it has heard of it."""
    async with manager_house(environment) as served:
        stream = await environment.network.connect_tcp("127.0.0.1", PORT)
        async with stream:
            await stream.receive()
            await stream.send(f'{UUID}##lamp##{{"t": 1}}'.encode())
            await stream.send(b'{"t": 2}')
        await anyio.sleep(5)
        assert served.available() == "offline"
        assert served.state("t") == "2"
        assert [one["text"] for one in served.happened("message")] == ['{"t": 2}']


async def test_another_type_has_what_that_type_has(environment):
    section = {**MAPPED, "other_types": True}
    async with manager_house(environment, section) as served:
        async with served.device({"t": 1}, kind="sensor"):
            assert served.state("t") == "1"
        async with served.device({"is_on": True, "t": 1}):
            assert served.announced()["device"]["model"] == "lamp"
            assert served.state("light") == "ON"
            assert served.state("t") is None


async def test_more_devices_than_may_be_are_not_shown(environment, caplog):
    async with manager_house(environment, {"max_devices": 1}) as served:
        async with served.device(), served.device(uuid=OTHER):
            assert (served.available(), served.available(OTHER)) == ("online", "")
            assert f"{OTHER} is not shown" in caplog.text


async def test_after_a_reload_devices_that_dial_in_again_are_the_same(environment):
    async with manager_house(environment) as served:
        async with sim_devices(uuids=[UUID], environment=environment):
            await served.bench.until(f"{served.root()}/availability", "online")
            identity = served.announced()["device"]["identifiers"]
            await served.reload(MAPPED)
            await served.bench.until(f"{served.root()}/availability", "offline")
            await served.bench.until(f"{served.root()}/availability", "online")
            assert served.announced()["device"]["identifiers"] == identity
            assert "light" in served.components()
            await served.command("light", "ON")
            await anyio.sleep(5)
            assert served.state("light") == "ON"


async def test_a_port_that_is_taken_is_said_and_tried_again(environment):
    async with manager_house(environment) as served:
        async with environment.network.listen_tcp("127.0.0.1", 9000):
            await served.reload({"port": 9000})
            await anyio.sleep(5)
            assert served.driver == "failing"
        await anyio.sleep(120)
        assert served.driver == "running"


async def test_it_runs_as_soon_as_devices_can_dial_in(environment):
    async with manager_house(environment) as served:
        with anyio.fail_after(3):
            async with served.device({"t": 1}):
                assert served.driver == "running"


# ------------------------------------------------------------ secrets


async def test_our_own_dialect_takes_only_who_knows_its_secret(environment, caplog):
    section = {
        "dialect": "structiot",
        "secrets": {UUID: "hunter2", OTHER: "hunter3"},
    }
    devices = {"dialect": "structiot", "environment": environment, "secret": "hunter2"}
    async with (
        manager_house(environment, section) as served,
        sim_devices(uuids=[UUID], **devices),
        sim_devices(uuids=[OTHER], **devices),
    ):
        await anyio.sleep(10)
        assert (served.available(), served.available(OTHER)) == ("online", "")
    assert "it has not proven that it knows its secret" in caplog.text
    assert "hunter" not in caplog.text


async def test_after_a_restart_it_is_offline_until_it_dials_in(environment):
    """And Home Assistant keeps it: nobody says that it is gone for good."""
    async with manager_house(environment) as served:
        mqtt = served.bench.gateway.config.mqtt.model_dump(include={"uri"})
        config = {
            "mqtt": {**mqtt, "base_topic": "second"},
            "gateway": {"id": "second"},
            "manager": {"port": 9000},
        }
        root = f"second/{served.root().partition('/')[2]}"
        async with open_gateway(config, environment=environment):
            await anyio.sleep(1)
            async with served.device({"t": 1}, port=9000):
                await served.bench.until(f"{root}/availability", "online")
        announced = served.announced()
        async with open_gateway(config, environment=environment):
            await anyio.sleep(600)
            assert served.bench.latest[f"{root}/availability"] == "offline"
            assert served.announced() == announced
            async with served.device({"t": 2}, port=9000):
                assert served.bench.latest[f"{root}/availability"] == "online"
                assert served.bench.latest[f"{root}/t/state"] == "2"
                assert served.announced() == announced
