"""`[[links]]`: what is wrong in it is said at once, each with its place."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.gateway import InvalidConfig, load_config
from structiot.gateway.config.links import EntityPattern

TOML = """\
[[links]]
form = "a/b"
to = "c/d"

[[links]]
from = "a/b"
to = "structiot/x/y"
on = 5
set = "TOGGLE"
typ = "x"

[[links]]
from = "mqtt:structiot/x/state"
to = "lamp/power"
kind = "swatch"

[[links]]
from = "one/x"
to = "two/x"

[[links]]
from = "tw*/x"
to = "one/x"
"""
SAID = """\
1:1 from is missing in [[links]]
2:1 unknown key 'form' in [[links]]; did you mean 'from'?
7:6 'x/y' is no key of an entity: letters, digits and '_'
8:6 on must be a text in quotes, not a number
10:1 unknown key 'typ' in [[links]]; did you mean 'type'?
13:8 'structiot/x/state' is a topic of the gateway itself: name the entity
15:8 kind must be 'switch', 'sensor', 'binary_sensor', 'number', 'select', \
'text', 'light', 'cover', 'lock' or 'event', not "swatch"
19:6 it would go round for ever: one/x -> two/x -> one/x
"""


def said(*links: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load_config({"links": list(links), **sections})
    return [problem.message for problem in caught.value.problems]


def test_everything_is_said_with_its_place(tmp_path):
    path = tmp_path / "structiot.toml"
    path.write_text(TOML)
    with pytest.raises(InvalidConfig) as caught:
        load_config(path)
    found = [f"{p.line}:{p.column} {p.message}" for p in caught.value.problems]
    assert found == SAID.splitlines()


LINK = {"from": "a/b", "to": "c/d"}
PLATFORM = {"from": "a", "to": "platform", "type": "t"}
SWITCH = {
    "from": "mqtt:tele/x/STATE",
    "to": "lamp/power",
    "kind": "switch",
    "member": "POWER",
    "set_topic": "cmnd/x/POWER",
}
SENSOR = {"from": "mqtt:a/b", "to": "meter/power", "kind": "sensor"}


@pytest.mark.parametrize(
    ("link", "message"),
    [
        # Ends.
        (
            {"from": "a", "to": "c/d"},
            "'a' is no entity: write it like 'kitchen/port_1'",
        ),
        ({**LINK, "to": "c"}, "'c' is no entity"),
        ({**LINK, "to": "c/*"}, "'c/*' has to be one entity, without * ? or ["),
        ({**LINK, "to": "c/é"}, "'é' is no key of an entity"),
        ({**LINK, "to": "/d"}, "'/d' is no entity"),
        ({**LINK, "to": ""}, "to: '' is not 1 to 300 characters"),
        ({**LINK, "from": []}, "from: name at least one"),
        ({**LINK, "from": ["a/b", 5]}, "must be a str"),
        ({**LINK, "from": 5}, "from must be a list, not a number"),
        ({"from": "mqtt:a", "to": "platform"}, "a topic is no device yet"),
        ({"from": "mqtt:a", "to": "mqtt:b"}, "a topic is linked to an entity"),
        ({**SENSOR, "from": ["mqtt:a", "b/c"]}, "a topic stands alone"),
        ({**SENSOR, "to": "a+b/c"}, "no device can be called so: 'a+b' has '+'"),
        ({**SENSOR, "to": "gateway/c"}, "is the gateway's own place in the topics"),
        # Keys.
        ({**LINK, "type": "t"}, "type is for a link to the platform"),
        ({**PLATFORM, "on": "ON"}, "on is for a link to an entity or a topic"),
        ({**LINK, "kind": "switch"}, "kind is for a link to a device that is made of"),
        ({**SENSOR, "set": "ON"}, "set is for a link to an entity or a topic"),
        ({**LINK, "retain": True}, "retain is for a link to a topic"),
        (
            {**LINK, "set": float("nan")},
            "set: dates, times, inf and nan cannot be sent",
        ),
        # Topics.
        ({"from": "a/b", "to": "mqtt:"}, "the topic '' is empty"),
        ({"from": "a/b", "to": "mqtt:a/+"}, "the topic 'a/+' holds a wildcard"),
        ({**SENSOR, "from": "mqtt:a/#"}, "the topic 'a/#' holds a wildcard"),
        ({"from": "a/b", "to": "mqtt:structiot/c/d/set"}, "of the gateway itself"),
        ({"from": "a/b", "to": "mqtt:structiot"}, "of the gateway itself"),
        ({"from": "a/b", "to": "mqtt:homeassistant/x"}, "where devices announce"),
        ({"from": "a/b", "to": "mqtt:$SYS/x"}, "belongs to the broker"),
        ({**SWITCH, "set_topic": "structiot/c/d/set"}, "of the gateway itself"),
        ({**SENSOR, "availability": "structiot/c"}, "of the gateway itself"),
        ({"from": "a/*", "to": "mqtt:x"}, "several entities would share it"),
        ({"from": ["a/b", "c/d"], "to": "mqtt:x"}, "several entities would share it"),
        # What a topic is shown as.
        (
            {"from": "mqtt:a", "to": "b/c"},
            "kind is missing: what the topic is shown as",
        ),
        ({**SENSOR, "kind": "lamp"}, "kind must be 'switch', 'sensor'"),
        ({**SENSOR, "kind": "switch"}, "a switch needs set_topic, for its commands"),
        ({**SENSOR, "set_topic": "x"}, "a sensor takes no commands"),
        ({**SENSOR, "minimum": 5}, "minimum is for number, not for sensor"),
        ({**SWITCH, "unit": "W"}, "unit is for number and sensor, not for switch"),
        ({**SWITCH, "level_max": 5}, "level_max is for cover and light"),
        ({**SENSOR, "member": "a..b"}, "member: write a member as wifi.rssi"),
        ({**SENSOR, "kind": "event"}, "event needs options: what there can be"),
        (
            {**SWITCH, "kind": "number", "minimum": 5, "maximum": 5},
            "minimum (5) is not below maximum (5)",
        ),
        ({**SWITCH, "values": {"a": "ON", "b": "ON"}}, "two words mean the same"),
        ({**SENSOR, "decimals": 10}, "decimals must be at most 9"),
        ({**SENSOR, "device_class": "Power"}, "device_class must be a text like"),
        # Others call it otherwise.
        (
            {**SENSOR, "value": "x"},
            "unknown key 'value' in [[links]]; did you mean 'mem",
        ),
        (
            {**LINK, "from_": "x"},
            "unknown key 'from_' in [[links]]; did you mean 'from'",
        ),
    ],
)
def test_what_cannot_work_is_said(link, message):
    found = said(link, connector={"conf": "x"})
    assert any(message in one for one in found), found


def test_what_is_there_twice_is_said():
    assert said(LINK, {**LINK}) == ["the same link is there already"]
    other = {**SENSOR, "from": "mqtt:c", "to": "Meter/power"}
    assert said(SENSOR, other) == ["'Meter/power' is linked to a topic already"]
    one = {**SENSOR, "availability": "a/x"}
    other = {**SENSOR, "to": "meter/energy", "availability": "a/y"}
    assert said(one, other) == ["availability of 'meter' is another one above"]
    devices = {"discover": False, "devices": [{"host": "10.0.0.1", "name": "Meter"}]}
    assert said(SENSOR, maxsmart=devices) == [
        "the name 'meter' is taken: another device has it"
    ]


@pytest.mark.parametrize(
    ("links", "way"),
    [
        ([("a/x", "a/x")], "a/x is one of its own sources"),
        ([("*/x", "a/x")], "a/x is one of its own sources"),
        ([("a/x", "b/x"), ("b/x", "a/x")], "a/x -> b/x -> a/x"),
        ([("A/x", "b/x"), ("B/*", "c/y"), ("c/y", "a/x")], "a/x -> b/x -> c/y -> a/x"),
    ],
)
def test_loops_are_said_once(links, way):
    (found,) = said(*({"from": one, "to": other} for one, other in links))
    assert way in found


@pytest.mark.parametrize("topic", ["tele/x/STATE", "cmnd/x/POWER"])
def test_loops_by_way_of_topics_are_said(topic):
    out = {"from": "wall/x", "to": f"mqtt:{topic}"}
    back = {"from": "lamp/power", "to": "wall/x"}
    (found,) = said(out, SWITCH, back)
    assert found.startswith("it would go round for ever: ")
    load_config({"links": [out, SWITCH]})


def test_what_excludes_each_other_is_no_loop():
    either = {"from": "a/x", "on": "ON", "to": "b/x", "set": "OFF"}
    other = {"from": "b/x", "on": "ON", "to": "a/x", "set": False}
    load_config({"links": [either, other]})
    (found,) = said(either, {**other, "on": "off", "set": True})
    assert "a/x -> b/x -> a/x" in found
    (found,) = said({**either, "set": "TOGGLE"}, {**other, "set": "ON"})
    assert "a/x -> b/x -> a/x" in found


@pytest.mark.parametrize(
    "links", [5, "x", [5], [{}], [{"from": {}, "to": []}], {"a": 1}]
)
def test_what_is_no_link_at_all_is_said(links):
    with pytest.raises(InvalidConfig):
        load_config({"links": links})


def test_an_end_means_a_device_by_its_level_or_its_name():
    end = EntityPattern.of("Living Room/port_?")
    assert end.fits("living_room", "Living Room", "port_1")
    assert end.fits("living_room", "STRIP", "port_1")
    assert end.fits("maxsmart_1", "Living Room", "port_1")
    assert not end.fits("living_room", "Living Room", "port_12")
    assert EntityPattern.of("Кухня").fits("maxsmart_1", "Кухня", "any")
    assert EntityPattern.of("*_1/x").fits("maxsmart_1", "STRIP", "x")
