"""Topics of others: devices that are made of them, and states that go out to them."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from structiot.gateway.values import values_of
from structiot.model import (
    LightState,
)
from tests.gateway.link_house import (
    BUTTON,
    linked,
    named,
    plug,
    pressed,
    until,
)
from tests.gateway.memory_house import URI, House, followed, of_kind
from tests.gateway.scripted_driver import of_gateway

pytestmark = pytest.mark.virtual_time

STATE, LWT = "tele/tasmota_1/STATE", "tele/tasmota_1/LWT"
TASMOTA: list[dict[str, Any]] = [
    {
        "from": f"mqtt:{STATE}",
        "to": "tasmota_1/power",
        "kind": "switch",
        "member": "POWER",
        "set_topic": "cmnd/tasmota_1/POWER",
        "availability": LWT,
    },
    {
        "from": "mqtt:tele/tasmota_1/SENSOR",
        "to": "tasmota_1/watts",
        "kind": "sensor",
        "member": "ENERGY.Power",
        "unit": "W",
        "device_class": "power",
    },
]
ZIGBEE = "zigbee2mqtt/hall"


def zigbee(to: str, kind: str, member: str | None, **more: Any) -> dict[str, Any]:
    link = {"from": f"mqtt:{ZIGBEE}", "to": to, "kind": kind, **more}
    link["availability"] = f"{ZIGBEE}/availability"
    return link if member is None else {**link, "member": member}


LAMP = zigbee(
    "hall/light",
    "light",
    "state",
    set_topic=f"{ZIGBEE}/set",
    set_member="state",
    level_member="brightness",
    level_max=254,
)
ACTION = zigbee("hall/action", "event", "action", options=["single", "hold"])
DOOR = zigbee(
    "hall/door", "binary_sensor", "contact", values={"true": "OFF", "false": "ON"}
)
BEFORE = [(LWT, "Online"), (STATE, '{"POWER":"ON","Wifi":{"RSSI":80}}')]
UP = [(f"{ZIGBEE}/availability", '{"state":"online"}')]


# ---------------------------------------------------------------- Tasmota


async def test_a_tasmota_is_a_device_like_any_other():
    async with linked(links=TASMOTA, before=BEFORE) as house:
        device = house.gateway.devices["tasmota_1"]
        assert (device.system, device.is_available) == ("mqtt", True)
        assert house.state("tasmota_1", "power") is True
        await house.say("tele/tasmota_1/SENSOR", '{"ENERGY":{"Power":"12.5"}}')
        assert house.state("tasmota_1", "watts") == 12.5
        shown = dict(house.heard)
        assert shown["structiot/tasmota_1/power/state"] == "ON"
        (announced,) = [
            json.loads(text)
            for topic, text in house.heard
            if topic.startswith("homeassistant/device/structiot_mqtt_tasmota_1")
        ]
        assert set(announced["components"]) == {"power", "watts"}
        now = house.house.environment.now_utc()
        values = {e.key: v.text for e, v in values_of(device, now)}
        assert values == {"power": "on", "watts": "12.5 W"}
        await device.carry_out("power", b"OFF")
        await anyio.sleep(0.2)
        assert house.on("cmnd/tasmota_1/POWER") == ["OFF"]
        # It is what its own topic says, nothing else.
        assert house.state("tasmota_1", "power") is True
        await house.say(STATE, '{"POWER":"OFF"}')
        assert house.state("tasmota_1", "power") is False
        assert house.gateway.drivers["mqtt"].state == "running"


async def test_its_last_will_takes_it_away_and_its_birth_brings_it_back():
    async with linked(links=TASMOTA) as house:
        device = house.gateway.devices["tasmota_1"]
        assert "nothing has told yet" in device.availability.reason
        await house.say(LWT, "Online", retain=True)
        assert device.is_available
        await house.say(LWT, "Offline", retain=True)
        assert device.availability.reason == f"{LWT} says so"
        with pytest.raises(Exception, match="LWT says so"):
            await device.carry_out("power", b"ON")
        assert house.on("cmnd/tasmota_1/POWER") == []


async def test_a_broker_that_is_lost_takes_it_away():
    house = House()
    link = {**TASMOTA[0]}
    async with house.gateway(links=[link], mqtt={"uri": URI}) as gateway:
        await anyio.sleep(10)
        device = gateway.devices["tasmota_1"]
        assert device.availability.reason.startswith("no broker: ")
        async with house.broker(), house.client() as client:
            await client.publish(LWT, "Online", 1, True)
            await client.publish(STATE, '{"POWER": "ON"}', 1, True)
            await until(lambda: device.is_available)
            await until(lambda: device.states.get("power") is True)
        await until(lambda: not device.is_available)
        with pytest.raises(Exception, match="no broker"):
            await device.carry_out("power", b"ON")
        async with house.broker(), house.client() as client:
            # What is retained there now counts.
            await client.publish(STATE, '{"POWER": "OFF"}', 1, True)
            await until(lambda: device.states.get("power") is False)
            heard: list[str] = []
            async with client.subscription("cmnd/#") as messages:
                await device.carry_out("power", b"ON")
                heard.append((await anext(aiter(messages))).payload.decode())
            # The command from before was never sent.
            assert heard == ["ON"]


# ---------------------------------------------------------------- zigbee2mqtt


async def test_what_zigbee2mqtt_publishes_is_understood():
    async with linked(links=[LAMP, ACTION, DOOR], before=UP) as house:
        said = {"state": "ON", "brightness": 127, "contact": False, "action": ""}
        await house.say(ZIGBEE, json.dumps(said))
        assert house.state("hall", "light") == LightState(
            is_on=True, brightness_percent=50.0
        )
        assert house.state("hall", "door") is True
        device = house.gateway.devices["hall"]
        for payload in (
            b'{"brightness": 100}',
            b"OFF",
            b'{"state":"ON","brightness":50}',
        ):
            await device.carry_out("light", payload)
        await anyio.sleep(0.2)
        assert [json.loads(one) for one in house.on(f"{ZIGBEE}/set")] == [
            {"brightness": 254},
            {"state": "OFF"},
            {"state": "ON", "brightness": 127},
        ]
        await house.say(f"{ZIGBEE}/availability", '{"state":"offline"}')
        assert not device.is_available


async def test_what_is_retained_has_happened_to_nobody():
    lamp = plug("plug", switch=False)
    press = {
        "from": "hall/action",
        "on": "single",
        "to": "plug/switch",
        "set": "TOGGLE",
    }
    before = [*UP, (ZIGBEE, '{"action":"single","contact":true}')]
    async with linked(lamp, links=[ACTION, DOOR, press], before=before) as house:
        assert house.state("hall", "door") is False
        assert lamp.commands == []
        for word in ("single", "", None, "hold", "single", "triple"):
            await house.say(ZIGBEE, json.dumps({"action": word}))
        assert [command for _, command in lamp.commands] == [True, False]
        told = [
            json.loads(one)["event_type"]
            for one in house.on("structiot/hall/action/event")
        ]
        assert told == ["single", "hold", "single"]


async def test_two_presses_at_once_are_two():
    async with linked(links=[ACTION], before=UP) as house:
        async with followed(house.gateway) as events:
            for word in ("single", "hold", "hold"):
                await house.client.publish(ZIGBEE, json.dumps({"action": word}), 1)
            await anyio.sleep(1)
            found = [
                one.event for one in of_kind(events, object) if hasattr(one, "event")
            ]
            types = [getattr(one, "event_type", None) for one in found]
            assert [one for one in types if one] == ["single", "hold", "hold"]


# ---------------------------------------------------------------- out


async def test_a_state_goes_out_to_a_topic_of_somebody_else():
    wall = plug("wall", switch=False, power=1.5)
    links: list[dict[str, Any]] = [
        {"from": "wall/switch", "to": "mqtt:cmnd/x/POWER", "retain": True},
        {"from": "wall/*", "to": "mqtt:legacy/{device}/{entity}"},
        {
            "from": "wall/switch",
            "to": "mqtt:words",
            "values": {"ON": "an", "OFF": "aus"},
        },
    ]
    async with linked(wall, links=links) as house:
        wall.tell_state("switch", True)
        await anyio.sleep(0.5)
        assert house.on("cmnd/x/POWER") == ["OFF", "ON"]
        assert house.on("legacy/wall/switch") == ["OFF", "ON"]
        assert house.on("legacy/wall/power") == ["1.5"]
        assert house.on("words") == ["aus", "an"]
        async with house.client.subscription("#") as messages:
            with anyio.move_on_after(1):
                kept = [one.topic async for one in messages if one.retain]
                assert kept
    assert house.reasons == [""] * 3


async def test_what_happens_may_be_published():
    button = named("button", BUTTON)
    press = {"from": "button/button", "on": "single", "to": "mqtt:cmnd/x/POWER"}
    async with linked(button, links=[{**press, "set": "TOGGLE"}]) as house:
        button.tell(pressed(), pressed("double"), pressed())
        await anyio.sleep(0.5)
        assert house.on("cmnd/x/POWER") == ["TOGGLE", "TOGGLE"]


async def test_without_a_broker_a_state_waits_and_what_happens_does_not():
    button, wall = named("button", BUTTON), plug("wall", switch=False)
    links: list[dict[str, Any]] = [
        {"from": "wall/switch", "to": "mqtt:out/state"},
        {"from": "button/button", "to": "mqtt:out/press", "set": "x"},
    ]
    async with linked(button, wall, links=links) as house:
        gateway = house.gateway
        await house.reload(links, mqtt={"uri": "mqtt://127.0.0.1:1999/"})
        await anyio.sleep(40)
        wall.tell_state("switch", True)
        button.tell(pressed())
        await anyio.sleep(1)
        assert all("no broker" in one.reason for one in gateway.link_status)
        await house.reload(links)
        await until(lambda: gateway.is_connected)
        await anyio.sleep(5)
        assert house.on("out/state") == ["OFF", "ON"]
        assert house.on("out/press") == []
        button.tell(pressed())
        await anyio.sleep(1)
        assert [one.reason for one in gateway.link_status] == ["", ""]


# ---------------------------------------------------------------- trouble


async def test_what_cannot_be_is_said_once_and_changes_nothing(caplog):
    async with linked(links=TASMOTA, before=BEFORE) as house:
        for payload in (
            '{"POWER":"banana"}', "no JSON", "[1,2]", '{"POWER":{"a":1}}', '{"POWER":[]}',
            '{"POWER"', "\0", "x" * 20_000,
        ):  # fmt: skip
            await house.say(STATE, payload)
        assert house.state("tasmota_1", "power") is True
        await house.say(STATE, '{"Other": 1}')
        assert house.state("tasmota_1", "power") is True
        await house.say(STATE, '{"POWER": null}')
        assert house.state("tasmota_1", "power") is None
        said = [one for one in of_gateway(caplog) if "tasmota_1" in one]
        assert len(said) == 2
        assert "what tele/tasmota_1/STATE says of power cannot be" in said[0]
        assert "over 16384 bytes" in said[1]


async def test_a_topic_that_floods_costs_little(caplog, watched_loop):
    async with (
        watched_loop(0.05),
        linked(links=[*TASMOTA, LAMP, ACTION], before=[*BEFORE, *UP]) as house,
    ):
        async with followed(house.gateway) as events:
            for number in range(3000):
                text = json.dumps(
                    {"state": "ON", "brightness": number % 254, "action": "single"}
                )
                await house.client.publish(ZIGBEE, text, 0)
            await house.client.publish(ZIGBEE, '{"state":"OFF","brightness":7}', 0)
            await house.say(STATE, '{"POWER":"OFF"}')
            await until(lambda: house.state("hall", "light").is_on is False)
            assert house.state("tasmota_1", "power") is False
            assert len(events) < 1000
        assert (
            len([one for one in of_gateway(caplog) if "more than can be taken" in one])
            == 1
        )
