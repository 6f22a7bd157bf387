"""What goes between the devices of a gateway and a platform: events and commands."""

from __future__ import annotations

import json

import anyio
import pytest

from structiot.errors import LinkLost
from structiot.model import (
    Button,
    EntitiesChanged,
    LightState,
    Sensor,
    StateChange,
    Switch,
)
from tests.gateway.bridge_house import AT, TYPE, bridged, offered, pressed, toy
from tests.gateway.memory_house import followed, of_kind
from tests.gateway.scripted_driver import of_gateway

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- events


async def test_states_become_events_in_json():
    device = toy()
    async with bridged(device) as house:
        device.tell_state("relay", True)
        device.tell_state("power", 21.4567)
        device.tell_state("word", 'a "b"')
        device.tell_state("lamp", LightState(is_on=True, brightness_percent=40.0))
        await anyio.sleep(2)
        device.tell_state("power", None)
        await anyio.sleep(2)
        assert house.events("relay") == ["false", "true"]
        assert house.events("power") == ["21.5", "null"]
        assert house.events("word") == ['"a \\"b\\""']
        (lamp,) = house.events("lamp")
        assert json.loads(lamp or "")["brightness"] == 40
        device.tell_state("secret", "hush")
        await anyio.sleep(2)
        assert house.events("secret") == []


async def test_a_state_that_cannot_be_is_no_event():
    device = toy()
    async with bridged(device) as house:
        device.tell_state("relay", "on fire")
        device.tell_state("power", float("nan"))
        await anyio.sleep(2)
        assert house.events("relay") == ["false"]
        assert house.events("power") == []


async def test_of_a_service_there_is_an_event_at_most_every_so_often():
    device = toy()
    async with bridged(device, every_s=5.0) as house:
        await anyio.sleep(5)
        for number in range(1, 1001):
            device.tell_state("power", float(number))
            await anyio.sleep(0.1)
        await anyio.sleep(6)
        told = house.events("power")
        assert 19 <= len(told) <= 22
        assert (told[0], told[-1]) == ("1.0", "1000.0")


async def test_what_happens_twice_is_told_twice():
    device = toy()
    async with bridged(device) as house:
        await anyio.sleep(2)
        device.tell(pressed(), pressed(), pressed("double", force=3))
        await anyio.sleep(5)
        assert [json.loads(one or "") for one in house.events("knob")] == [
            {"event_type": "single"},
            {"event_type": "single"},
            {"event_type": "double", "force": 3},
        ]


async def test_only_the_entities_of_the_link_are_services():
    links = offered({"from": ["*/rel*", "*/word"]})
    device = toy()
    async with bridged(device, links=links) as house:
        device.tell_state("power", 5.0)
        device.tell(pressed())
        await anyio.sleep(3)
        assert {one.service_uri for one in house.platform.events} == {"relay"}
        _, metadata = await house.command("power")
        assert (
            metadata == "error: Plug P1 has no service 'power'; services: relay, word"
        )


async def test_events_that_the_platform_refuses_are_said_once_and_left_out(caplog):
    keys = [f"s{number}" for number in range(12)]
    device = toy(entities=[Switch(key="relay"), *(Sensor(key=one) for one in keys)])
    async with bridged(device, sim={"device_types": {TYPE: ["relay"]}}) as house:
        for number in range(300):
            for key in keys:
                device.tell_state(key, number)
            device.tell_state("relay", bool(number % 2))
            await anyio.sleep(1)
        said = [one for one in of_gateway(caplog) if "events of" in one]
        assert len(said) == len(keys)
        refused = [one for one in house.platform.messages if one.status == 400]
        assert len(refused) <= 2 * len(keys)
        assert len(house.events("relay")) > 130
        assert house.online == ["toy:P1"]


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize(
    ("service", "data", "key", "command"),
    [
        ("relay", "true", "relay", True),
        ("relay", '"OFF"', "relay", False),
        ("relay", "on", "relay", True),
        ("reset", None, "reset", None),
        ("reset", "PRESS", "reset", None),
        ("word", '"a word"', "word", "a word"),
        ("word", "a word", "word", "a word"),
        ("lamp", '{"brightness": 30}', "lamp", LightState(brightness_percent=30.0)),
    ],
)
async def test_a_command_is_carried_out(service, data, key, command):
    device = toy()
    async with bridged(device) as house, followed(house.gateway) as events:
        answer = await house.command(service, data)
        assert (json.loads(answer[0] or ""), answer[1]) == ({"status": 0}, "")
        assert device.commands == [(key, command)]
        # The broker has nothing to do with it.
        topics = house.gateway.publisher.wanted
        assert not [one for one in topics if "error" in one]
        assert of_kind(events, type(None)) == []


@pytest.mark.parametrize(
    ("service", "data", "why"),
    [
        ("relay", "maybe", "relay takes ON or OFF, not 'maybe'"),
        ("relay", '{"on": true}', "relay takes ON or OFF"),
        ("relay", "[" * 5000, "a command has 4096 bytes at most, not 5000"),
        ("relay", "[" * 4000, "relay takes ON or OFF"),
        ("power", "5", "power takes no commands: it is only read"),
        ("knob", "single", "knob takes no commands: it only happens"),
        ("knob", None, "knob of Plug P1 has no state: it only happens"),
        ("secret", "word", "Plug P1 has no service 'secret'"),
        ("none\n", "1", "Plug P1 has no service 'none '"),
        (
            "lamp",
            '{"brightness": 300}',
            "brightness of lamp takes a number from 0 to 100",
        ),
    ],
)
async def test_what_cannot_be_done_is_answered_by_a_failure(service, data, why):
    device = toy()
    async with bridged(device) as house:
        answer = await house.command(service, data)
        assert (answer[1] or "").startswith(f"error: {why}")
        assert device.commands == []


async def test_what_a_device_does_not_do_is_answered_by_a_failure():
    device = toy()
    async with bridged(device) as house:
        device.command_error = LinkLost("it is gone")
        assert await house.command("relay", "true") == ("", "error: it is gone")
        device.command_error = ValueError("nobody knows")
        _, why = await house.command("relay", "true")
        assert why == "error: internal error: ValueError: nobody knows"
        device.command_error, device.command_takes_s = None, 60.0
        _, why = await house.command("relay", "true")
        assert (why or "").endswith("did not carry it out within 15 s")
        device.end_events(LinkLost("it is unplugged"))
        device.open_error = LinkLost("it is unplugged")
        await anyio.sleep(1)
        _, why = await house.command("relay", "true")
        assert "is not available: it is unplugged" in (why or "")
        _, why = await house.command("relay")
        assert why == "error: Plug P1 is not available"


async def test_a_command_without_data_asks_for_the_state():
    device = toy()
    async with bridged(device) as house:
        device.tell_state("power", 21.44)
        await anyio.sleep(1)
        assert await house.command("power") == ("21.4", "")
        assert await house.command("relay", "") == ("false", "")
        assert await house.command("word", "null") == ("null", "")
        assert device.commands == []


async def test_a_device_that_hangs_keeps_no_other_waiting():
    slow, quick = toy("P1"), toy("P2")
    slow.command_takes_s = 14.0
    async with bridged(slow, quick) as house, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(house.command, "relay", "true")
        await anyio.sleep(1)
        with anyio.fail_after(1):
            await house.command("relay", "true", uri="toy:P2")
        assert (slow.commands, quick.commands) == ([], [("relay", True)])


async def test_a_command_from_the_broker_and_one_from_the_platform_take_turns():
    device = toy()
    device.command_takes_s = 2.0
    async with bridged(device) as house:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.command, "relay", "true")
            await anyio.sleep(0.5)
            served = house.gateway.devices["toy_p1"]
            served.request("relay", topic="structiot/toy_p1/relay/set", payload=b"OFF")
        await anyio.sleep(3)
        assert device.commands == [("relay", True), ("relay", False)]


async def test_entities_that_go_are_told_no_more():
    device = toy()
    async with bridged(device) as house:
        device.tell(StateChange(key="power", state=3.0, at_utc=AT))
        device.entities = (Button(key="reset"),)
        device.tell(EntitiesChanged(at_utc=AT))
        await anyio.sleep(3)
        _, why = await house.command("power")
        assert why == "error: Plug P1 has no service 'power'; services: reset"


async def test_many_commands_for_nobody_are_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
):
    async with bridged(toy()) as house:
        caplog.set_level("INFO")
        for number in range(20):
            _, metadata = await house.command(f"no such {number}")
            assert "has no service" in (metadata or "")
    assert caplog.text.count("is answered by a failure") == 1
