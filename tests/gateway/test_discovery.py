"""Announcements to Home Assistant, against what its MQTT integration accepts.

The golden files were written by hand from the names that the integration's schemas
have, kind by kind.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from structiot.errors import UsageError
from structiot.gateway.entities.announcement import Announcement, read_announcement
from structiot.gateway.entities.components import platform_of
from structiot.gateway.entities.discovery import discovery_payload
from structiot.gateway.entities.topics import Topics
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    Cover,
    DeviceInfo,
    Entity,
    Event,
    Fan,
    Light,
    Lock,
    Number,
    Select,
    Sensor,
    Siren,
    Switch,
    Text,
    Update,
)
from tests._support.entity_kinds import entity_kinds
from tests._support.golden import golden_json

TOPICS = Topics(base="structiot", discovery_prefix="homeassistant")
STRIP = DeviceInfo(
    id="SWP6000000000001",
    system="maxsmart",
    name="STRIP",
    manufacturer="Max Hauri",
    model="SOP111",
    firmware="1.30",
    hardware="B",
    serial="SWP6000000000001",
    mac="02000000000a",
    url="http://192.168.1.100/",
)
STRIP_ENTITIES = (
    Switch(key="port_1", name="Kettle", device_class="outlet"),
    Sensor(
        key="port_1_power",
        name="Kettle power",
        device_class="power",
        unit="W",
        state_class="measurement",
        decimals=1,
    ),
    Sensor(
        key="signal",
        name="Signal",
        category="diagnostic",
        is_enabled=False,
        icon="mdi:wifi",
    ),
)
ALL = (
    BinarySensor(key="leak", name="Leak", device_class="moisture"),
    # With options, unit and state class would make Home Assistant refuse the sensor.
    Sensor(key="phase", name="Phase", options=("wash", "spin"), unit="x"),
    Light(
        key="lamp",
        color_modes=frozenset({"brightness", "color_temp", "rgb"}),
        min_color_temp_k=2700,
        max_color_temp_k=6500,
        effects=("rainbow",),
    ),
    Light(key="dimmer", name="Dimmer", color_modes=frozenset({"brightness"})),
    Light(key="bulb", name="Bulb"),
    Cover(key="door", name="Door", device_class="garage"),
    Cover(key="blind", name="Blind", has_position=True, has_stop=True),
    Climate(
        key="valve",
        name="Valve",
        modes=("off", "heat", "auto"),
        presets=("none", "eco", "away"),
    ),
    Button(key="restart", name="Restart", device_class="restart", category="config"),
    Number(key="limit", name="Limit", minimum=0.0, maximum=3680.0, step=0.5, unit="W"),
    Select(key="spray", name="Spray", options=("off", "continuous")),
    Update(key="firmware", name="Firmware", device_class="firmware", can_install=True),
    Update(key="bootloader", name="Bootloader"),
    Event(
        key="bell",
        name="Bell",
        device_class="doorbell",
        event_types=("press", "hold"),
    ),
    Lock(key="gate", name="Gate", can_open=True),
    Lock(key="shed", name="Shed"),
    # Home Assistant has no text longer than 255 characters.
    Text(key="sign", name="Sign", max_length=1000),
    Text(
        key="pin",
        name="PIN",
        category="config",
        min_length=4,
        max_length=6,
        pattern="[0-9]*",
        is_secret=True,
    ),
    # By the preset `None`, Home Assistant would understand that there is none.
    Fan(
        key="fan",
        name="Fan",
        speed_steps=3,
        presets=("eco", "breeze", "None"),
        can_oscillate=True,
        has_direction=True,
    ),
    # It refuses a range of speeds that has one only.
    Fan(key="vent", name="Vent", speed_steps=1),
    Siren(
        key="siren",
        name="Siren",
        tones=("bell", "5"),
        has_volume=True,
        has_duration=True,
    ),
    Siren(key="horn", name="Horn"),
)


def announced(**changes: Any) -> Any:
    given: dict[str, Any] = {
        "device": "kitchen",
        "name": "Kitchen",
        "info": STRIP,
        "entities": STRIP_ENTITIES,
        "topics": TOPICS,
        "version": "0.1.0",
    }
    return json.loads(discovery_payload(**given | changes))


def test_a_strip_is_announced_with_all_that_is_known_of_it():
    assert announced() == golden_json("gateway/strip")


def test_every_kind_of_entity_is_announced_by_the_names_of_home_assistant():
    shown = announced(
        device="all",
        name="Everything",
        info=DeviceInfo(id="abc", system="meross", name="x", via="hub"),
        entities=ALL,
        topics=Topics(base="home/iot", discovery_prefix="ha"),
        gone={"old": "switch"},
    )
    assert shown == golden_json("gateway/all_kinds")


def test_every_kind_of_the_model_is_covered_here():
    assert {type(entity) for entity in (*ALL, *STRIP_ENTITIES)} == entity_kinds()


def test_no_key_is_announced_that_home_assistant_does_not_know():
    # What the schemas of its 2025.4 have, and two keys of lights that came later.
    known = golden_json("gateway/home_assistant_keys")
    components = announced(entities=(*ALL, *STRIP_ENTITIES))["components"]
    unknown = {
        key: set(component) - {*known["every platform"], *known[component["platform"]]}
        for key, component in components.items()
    }
    assert {key: keys for key, keys in unknown.items() if keys} == {}


def test_platforms_are_spelt_as_home_assistant_does():
    assert platform_of(BinarySensor(key="a")) == "binary_sensor"
    assert platform_of(Update(key="a")) == "update"


def test_a_kind_that_is_new_to_the_gateway_is_refused():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Vacuum(Entity):
        """Not in the model."""

    with pytest.raises(UsageError, match="a Vacuum, which the gateway does not know"):
        announced(entities=[Vacuum(key="vacuum")])


def test_a_text_whose_pattern_is_none_is_refused():
    text = Text(key="pin", pattern="[0-9")
    with pytest.raises(UsageError, match=r"^the pattern of pin is no regular expressi"):
        announced(entities=[text])


@pytest.mark.parametrize(
    ("rule", "fits", "fits_not"),
    [
        ({}, "anything", None),
        ({"min_length": 1}, "a", None),
        ({"max_length": 4}, "abcd", "abcde"),
        ({"min_length": 9}, "a" * 9, "a" * 8),
        ({"pattern": "[a-z]+|[0-9]+"}, "42", None),
        ({"min_length": 4, "max_length": 4, "pattern": "[0-9]*"}, "0042", "a042"),
    ],
)
def test_the_rule_of_a_text_allows_the_word_for_what_is_not_known(rule, fits, fits_not):
    text = announced(entities=[Text(key="t", **rule)])["components"]["t"]

    def allows(value: str) -> bool:
        is_short = len(value) <= text["max"] and len(value) >= text["min"]
        return is_short and re.match(text.get("pattern", ""), value) is not None

    assert allows("unknown")
    assert allows(fits)
    assert fits_not is None or not allows(fits_not)


def test_what_is_not_known_is_left_out():
    bare = DeviceInfo(id="1", system="maxsmart", name="x", url="ftp://strip/")
    assert announced(info=bare)["device"] == {
        "identifiers": ["structiot_maxsmart_1"],
        "name": "Kitchen",
    }


def test_an_entity_that_comes_back_is_no_longer_gone():
    components = announced(gone={"port_1": "switch", "port_2": "switch"})["components"]
    assert components["port_1"]["name"] == "Kettle"
    assert components["port_2"] == {"platform": "switch"}


def test_no_step_is_finer_than_home_assistant_takes():
    number = Number(key="n", minimum=0, maximum=1, step=0.0001)
    assert announced(entities=[number])["components"]["n"]["step"] == 0.001


def test_speeds_are_no_finer_than_home_assistant_takes():
    fan = announced(entities=[Fan(key="fan", speed_steps=255)])["components"]["fan"]
    assert fan["speed_range_max"] == 100
    assert fan["percentage_command_template"] == (
        '{"speed_percent": {{ value * 100 / 100 }}}'
    )


def test_names_keep_their_letters():
    payload = discovery_payload(
        device="kuche",
        name="Küche",
        info=STRIP,
        entities=(),
        topics=TOPICS,
        version="0.1.0",
    )
    assert '"Küche"' in payload


# ------------------------------------------------------- announcements read back

TOPIC = TOPICS.discovery("structiot_maxsmart_SWP6000000000001")


def read(payload: bytes) -> Announcement | None:
    return read_announcement(TOPIC, payload)


def test_an_own_announcement_is_read_back():
    payload = json.dumps(golden_json("gateway/strip")).encode()
    assert read(payload) == Announcement(
        topic=TOPIC,
        configs=(TOPIC,),
        base="structiot",
        slug="kitchen",
        system="maxsmart",
        id="SWP6000000000001",
        platforms={"port_1": "switch", "port_1_power": "sensor", "signal": "sensor"},
    )


def test_entities_that_were_taken_away_are_no_more():
    announcement = golden_json("gateway/strip")
    announcement["components"]["port_2"] = {"platform": "switch"}
    found = read(json.dumps(announcement).encode())
    assert found is not None
    assert "port_2" not in found.platforms


GATEWAY = {"topic": "structiot/gateway/availability"}


@pytest.mark.parametrize(
    "change",
    [
        {"origin": {"name": "zigbee2mqtt"}},
        {"origin": None},
        {"availability": []},
        {"availability": [GATEWAY]},
        {"availability": [GATEWAY] * 2},
        {"availability": [GATEWAY, {"topic": "other/kitchen/availability"}]},
        {"availability": [GATEWAY, {"topic": "structiot/a/b/availability"}]},
        {"availability": [GATEWAY, {"topic": "structiot/+/availability"}]},
        {"availability": [GATEWAY, {"topic": "structiot//availability"}]},
        {"availability": [{"topic": "#/gateway/availability"}, {"topic": "#/a"}]},
        {"availability": [{"topic": "/gateway/availability"}, {"topic": "/a"}]},
        {"device": {"identifiers": ["0x00158d0001"]}},
        {"device": {"identifiers": ["zigbee2mqtt_maxsmart_1"]}},
        {"device": {"identifiers": ["structiot_+_1"]}},
        {"device": {"identifiers": ["structiot_maxsmart_" + "1" * 300]}},
        {"device": {}},
        {"components": 3},
        {"components": {"a": 3}},
    ],
    ids=str,
)
def test_an_announcement_of_others_is_not_ours(change):
    payload = json.dumps(golden_json("gateway/strip") | change).encode()
    assert read(payload) is None


@pytest.mark.parametrize("key", ["+", "#", "a/b", "\0", "\ud800", "", "k" * 65536])
def test_no_key_of_anybody_becomes_a_topic(key: str):
    announcement = golden_json("gateway/strip")
    announcement["components"] = {key: {"platform": "switch", "name": "x"}}
    assert read(json.dumps(announcement).encode()) is None


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"[]", b"null", b"{}", b"[" * 100_000, b" " * 2_000_000],
    ids=range(7),
)
def test_anything_else_on_a_discovery_topic_is_not_ours(payload: bytes):
    assert read(payload) is None
