"""Outlets and wall switches, by ToggleX and by Toggle of legacy devices."""

from __future__ import annotations

import pytest

from structiot.meross.features.switches import Switches
from tests.wire.meross.features import (
    NOW,
    about,
    acknowledge,
    command,
    entity,
    keys,
    questions,
    take,
)

TOGGLE_X = "Control.ToggleX"
STRIP = {
    "togglex": [
        {"channel": 0, "onoff": 1, "lmTime": 1699990000},
        {"channel": 1, "onoff": 1, "lmTime": 1699990000},
        {"channel": 2, "onoff": 0, "lmTime": 1699980000},
    ]
}


def strip() -> Switches:
    names = (None, "Lamp")
    return Switches(about(TOGGLE_X, model="mss425f", digest=STRIP, channels=names))


def test_togglex_of_a_plug_as_an_object_and_as_a_list():
    digest = {"togglex": [{"channel": 0, "onoff": 1, "lmTime": 1699990000}]}
    plug = Switches(about(TOGGLE_X, digest=digest))
    (switch,) = plug.entities
    assert (switch.key, switch.name, switch.device_class) == ("switch", None, "outlet")
    assert questions(plug) == []
    assert plug.take_digest(digest, NOW).states == {"switch": True}
    item = {"channel": 0, "onoff": 0, "lmTime": 1699990001}
    assert take(plug, TOGGLE_X, {"togglex": item}).states == {"switch": False}
    update = take(plug, TOGGLE_X, {"channel": 0, "togglex": {**item, "onoff": 1}})
    assert update.states == {"switch": True}
    assert command(plug, "switch", False) == [
        (TOGGLE_X, {"togglex": {"channel": 0, "onoff": 0}})
    ]
    assert acknowledge(plug, "switch", False).states == {"switch": False}


def test_togglex_of_a_strip_with_a_master():
    it = strip()
    assert keys(it) == ["switch", "switch_1", "switch_2"]
    names = [one.name for one in it.entities]
    assert names == ["All outlets", "Lamp", "Outlet 2"]
    pushed = {"togglex": [{"channel": 2, "onoff": 1}]}
    assert take(it, TOGGLE_X, pushed).states == {"switch_2": True}
    assert command(it, "switch_2", True) == [
        (TOGGLE_X, {"togglex": {"channel": 2, "onoff": 1}})
    ]
    assert acknowledge(it, "switch_2", False).states == {"switch_2": False}


def test_the_master_of_a_strip_switches_all_of_it():
    assert acknowledge(strip(), "switch", False).states == {
        "switch": False,
        "switch_1": False,
        "switch_2": False,
    }


def test_toggle_of_a_legacy_device():
    digest = {"toggle": {"onoff": 1, "lmTime": 1699990000}, "trigger": [], "timer": []}
    plug = Switches(about("Control.Toggle", model="mss210", digest=digest))
    assert plug.take_digest(digest, NOW).states == {"switch": True}
    pushed = {"toggle": {"onoff": 0, "lmTime": 1699990002}}
    assert take(plug, "Control.Toggle", pushed).states == {"switch": False}
    order = {"toggle": {"onoff": 1, "channel": 0}}
    assert command(plug, "switch", True) == [("Control.Toggle", order)]
    assert acknowledge(plug, "switch", True).states == {"switch": True}


def test_togglex_wins_where_there_are_both():
    digest = {"togglex": [{"channel": 0, "onoff": 1}]}
    plug = Switches(about(TOGGLE_X, "Control.Toggle", digest=digest))
    assert take(plug, "Control.Toggle", {"toggle": {"onoff": 0}}).states == {}
    assert command(plug, "switch", True)[0][0] == TOGGLE_X


@pytest.mark.parametrize(
    ("ability", "channels"),
    [
        ("GarageDoor.State", []),
        ("RollerShutter.Position", []),
        ("Control.Diffuser.Light", []),
        ("Control.Light", ["switch_1"]),
        ("Control.Fan", ["switch_1"]),
    ],
)
def test_what_is_switched_as_something_else_is_no_switch(ability, channels):
    digest = {"togglex": [{"channel": 0, "onoff": 0}, {"channel": 1, "onoff": 0}]}
    assert keys(Switches(about(TOGGLE_X, ability, digest=digest))) == channels


def test_the_light_of_a_fan_may_be_on_another_channel():
    digest = {
        "togglex": [{"channel": n, "onoff": 0} for n in range(3)],
        "fan": [{"channel": 0, "speed": 0, "maxSpeed": 4}],
        "light": {"channel": 1, "onoff": 1, "luminance": 50},
    }
    abilities = (TOGGLE_X, "Control.Fan", "Control.Light")
    assert keys(Switches(about(*abilities, digest=digest))) == ["switch_2"]


def test_a_channel_that_is_told_of_later_is_an_entity_then():
    plug = Switches(about(TOGGLE_X, model="mss510x"))
    assert plug.entities == ()
    update = take(plug, TOGGLE_X, {"togglex": {"channel": 0, "onoff": 1}})
    assert update.entities_changed
    assert entity(plug, "switch").device_class == "switch"
    assert not take(plug, TOGGLE_X, {"togglex": {"onoff": 0}}).entities_changed


def test_nonsense_changes_nothing_and_makes_no_end_of_switches():
    it = strip()
    nonsense: tuple[object, ...] = (2, -1, "on", None, True, [], {})
    for onoff in nonsense:
        pushed = {"togglex": [{"channel": 1, "onoff": onoff}]}
        assert take(it, TOGGLE_X, pushed).states == {}
    many = {"togglex": [{"channel": n, "onoff": 1} for n in range(1000)]}
    take(it, TOGGLE_X, many)
    assert len(it.entities) <= 32
