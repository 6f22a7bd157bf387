"""Topics of others: devices that are made of them, and states that go out to them."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structiot.gateway.config.links import LinkSection
from structiot.gateway.drivers.topics.mapping import NONSENSE, TopicEntity
from structiot.gateway.entities.states import state_payload
from structiot.gateway.entities.told_members import MISSING, object_in
from structiot.gateway.values import values_of
from structiot.model import (
    CoverMotion,
    CoverState,
    Event,
    LightState,
    LockState,
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


# ---------------------------------------------------------------- every kind


@pytest.mark.parametrize(
    ("link", "said", "state", "command", "sent"),
    [
        ({"kind": "switch"}, "on", True, b"OFF", ["OFF"]),
        (
            {"kind": "switch", "values": {"1": "ON", "0": "OFF"}},
            "1",
            True,
            b"OFF",
            ["0"],
        ),
        (
            {
                "kind": "switch",
                "set_member": "on",
                "values": {"true": "ON", "false": "OFF"},
            },
            "true",
            True,
            b"OFF",
            ['{"on":false}'],
        ),
        ({"kind": "sensor", "unit": "W"}, " 12.50 ", 12.5, None, []),
        ({"kind": "sensor", "options": ["eco", "full"]}, "eco", "eco", None, []),
        ({"kind": "sensor"}, "some text", "some text", None, []),
        ({"kind": "binary_sensor"}, "1", True, None, []),
        ({"kind": "number", "maximum": 10}, "5", 5.0, b"7.5", ["7.5"]),
        ({"kind": "number", "set_member": "n"}, "5", 5.0, b"7", ['{"n":7.0}']),
        ({"kind": "select", "options": ["a", "b"]}, "a", "a", b"B", ["b"]),
        ({"kind": "text"}, "a text", "a text", b"x", ["x"]),
        ({"kind": "light"}, "ON", LightState(is_on=True), b"OFF", ["OFF"]),
        ({"kind": "lock"}, "LOCK", LockState.LOCKED, b"UNLOCK", ["UNLOCK"]),
        ({"kind": "lock"}, "jammed", LockState.JAMMED, b"lock", ["LOCK"]),
        (
            {"kind": "cover"},
            "CLOSE",
            CoverState(motion=CoverMotion.CLOSED),
            b"STOP",
            ["STOP"],
        ),
    ],
)
async def test_every_kind_is_read_and_told(link, said, state, command, sent):
    given = {"from": "mqtt:their/state", "to": "their/thing", **link}
    if command is not None:
        given["set_topic"] = "their/set"
    async with linked(links=[given]) as house:
        await house.say("their/state", said, retain=True)
        assert house.state("their", "thing") == state
        if command is not None:
            await house.gateway.devices["their"].carry_out("thing", command)
        await anyio.sleep(0.2)
        assert house.on("their/set") == sent


async def test_levels_may_have_topics_of_their_own():
    light = {
        "from": "mqtt:tele/x/STATE",
        "to": "x/light",
        "kind": "light",
        "member": "POWER",
        "level_member": "Dimmer",
        "set_topic": "cmnd/x/POWER",
        "level_set_topic": "cmnd/x/Dimmer",
    }
    cover = {
        "from": "mqtt:their/cover",
        "to": "y/cover",
        "kind": "cover",
        "member": "state",
        "level_member": "position",
        "set_topic": "their/cover/set",
        "set_member": "state",
    }
    async with linked(links=[light, cover]) as house:
        await house.say("tele/x/STATE", '{"POWER":"ON","Dimmer":40}')
        await house.say("their/cover", '{"position":30}')
        assert house.state("x", "light").brightness_percent == 40
        assert house.state("y", "cover") == CoverState(position_percent=30)
        await house.gateway.devices["x"].carry_out("light", b'{"brightness":30}')
        await house.gateway.devices["y"].carry_out("cover", b"75")
        await house.gateway.devices["y"].carry_out("cover", b"OPEN")
        await anyio.sleep(0.2)
        assert (house.on("cmnd/x/POWER"), house.on("cmnd/x/Dimmer")) == ([], ["30"])
        assert house.on("their/cover/set") == ['{"position":75}', '{"state":"OPEN"}']


# ---------------------------------------------------------------- out


async def test_a_state_goes_out_to_a_topic_of_somebody_else():
    wall = plug("wall", switch=False, power=1.5)
    links = [
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
    links = [
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


_TEXTS = st.text(max_size=40) | st.sampled_from(
    ["ON", "off", "12", "1e400", "NaN", "open"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)
_SAID = st.binary(max_size=60) | st.dictionaries(
    st.sampled_from(["v", "level", "x"]), _VALUES, max_size=3
).map(lambda one: json.dumps(one).encode())
_KINDS = [
    {"kind": "switch", "set_topic": "x"},
    {"kind": "sensor"},
    {"kind": "sensor", "unit": "W"},
    {"kind": "binary_sensor", "values": {"1": "ON"}},
    {"kind": "number", "set_topic": "x"},
    {"kind": "select", "options": ["ON"], "set_topic": "x"},
    {"kind": "text", "set_topic": "x"},
    {"kind": "light", "set_topic": "x", "level_member": "level"},
    {"kind": "cover", "set_topic": "x", "level_member": "level"},
    {"kind": "lock", "set_topic": "x"},
    {"kind": "event", "options": ["ON"]},
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(said=_SAID, kind=st.sampled_from(_KINDS), has_member=st.booleans())
def test_whatever_is_on_a_topic_is_a_state_or_nothing(said, kind, has_member):
    given = {"from": "mqtt:t", "to": "a/b", **kind}
    if has_member:
        given["member"] = "v"
    part = TopicEntity(LinkSection.model_validate(given))
    text, found = said.decode(errors="replace"), object_in(said)
    if isinstance(part.entity, Event):
        word = part.happened(text, found)
        assert word is None or word
        return
    state: Any = part.state(text, found)
    if state is NONSENSE or state is MISSING:
        return
    assert isinstance(state_payload(part.entity, state), str)
