"""What stands on a state topic."""

from __future__ import annotations

import json
import math

import pytest

from structiot.errors import UsageError
from structiot.gateway.entities.states import state_payload
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Cover,
    CoverMotion,
    CoverState,
    Entity,
    Light,
    LightState,
    Number,
    Select,
    Sensor,
    State,
    Switch,
    Update,
    UpdateState,
)

SWITCH = Switch(key="port_1")
SENSOR = Sensor(key="power")
ENUM = Sensor(key="phase", options=("wash", "spin"))
LAMP = Light(key="lamp", color_modes=frozenset({"brightness", "color_temp", "rgb"}))
NUMBER = Number(key="limit", minimum=0, maximum=10)
SELECT = Select(key="spray", options=("off", "eco"))
COVER = Cover(key="door")
CLIMATE = Climate(key="valve", modes=("off", "heat"))
UPDATE = Update(key="firmware")


@pytest.mark.parametrize(
    ("entity", "state", "payload"),
    [
        (SWITCH, True, "ON"),
        (SWITCH, False, "OFF"),
        (SWITCH, None, "None"),
        (BinarySensor(key="leak"), True, "ON"),
        (BinarySensor(key="leak"), None, "None"),
        (SENSOR, 5.2, "5.2"),
        (SENSOR, 0.0, "0.0"),
        (SENSOR, -0.0, "0.0"),
        (SENSOR, -12.25, "-12.25"),
        (SENSOR, 7, "7"),
        (SENSOR, "idle", "idle"),
        (SENSOR, None, "None"),
        (ENUM, "wash", "wash"),
        (ENUM, None, "None"),
        (NUMBER, 5.5, "5.5"),
        (NUMBER, 5, "5"),
        (NUMBER, None, "None"),
        (SELECT, "eco", "eco"),
        (SELECT, None, "None"),
    ],
)
def test_a_simple_state_is_plain_text(
    entity: Entity, state: State | None, payload: str
):
    assert state_payload(entity, state) == payload


@pytest.mark.parametrize(
    ("entity", "state", "shown"),
    [
        (LAMP, LightState(is_on=True), {"state": "ON"}),
        (LAMP, LightState(is_on=False), {"state": "OFF"}),
        (LAMP, None, {"state": None}),
        (
            LAMP,
            LightState(is_on=True, brightness_percent=50.0, rgb=(255, 0, 7)),
            {
                "state": "ON",
                "brightness": 50,
                "color_mode": "rgb",
                "color": {"r": 255, "g": 0, "b": 7},
            },
        ),
        (
            LAMP,
            LightState(
                is_on=True, brightness_percent=12.5, color_temp_k=2700, effect="x"
            ),
            {
                "state": "ON",
                "brightness": 12.5,
                "color_mode": "color_temp",
                "color_temp": 2700,
                "effect": "x",
            },
        ),
        (
            Light(key="dimmer", color_modes=frozenset({"brightness"})),
            LightState(is_on=True, brightness_percent=3, rgb=(1, 2, 3)),
            {"state": "ON", "brightness": 3, "color_mode": "brightness"},
        ),
        (COVER, CoverState(motion=CoverMotion.OPENING), {"state": "opening"}),
        (
            COVER,
            CoverState(motion=CoverMotion.STOPPED, position_percent=40),
            {"state": "stopped", "position": 40},
        ),
        (COVER, CoverState(position_percent=0), {"state": "closed", "position": 0}),
        (COVER, CoverState(position_percent=1), {"state": "open", "position": 1}),
        (COVER, None, {"state": None}),
        (
            CLIMATE,
            ClimateState(mode="heat", target_c=21.5, current_c=19.0, action="heating"),
            {
                "mode": "heat",
                "target_c": 21.5,
                "current_c": 19.0,
                "humidity_percent": None,
                "action": "heating",
                "preset": None,
            },
        ),
        (
            UPDATE,
            UpdateState(installed="1.30", latest="2.11"),
            {
                "installed_version": "1.30",
                "latest_version": "2.11",
                "in_progress": False,
                "update_percentage": None,
            },
        ),
        (
            UPDATE,
            UpdateState(installed="1.30", progress_percent=40),
            {"installed_version": "1.30", "in_progress": True, "update_percentage": 40},
        ),
        (UPDATE, None, {}),
    ],
)
def test_a_rich_state_is_a_json_object(
    entity: Entity, state: State | None, shown: object
):
    payload = state_payload(entity, state)
    assert json.loads(payload) == shown
    assert ": " not in payload


@pytest.mark.parametrize(
    ("entity", "state"),
    [
        (SWITCH, 1),
        (SWITCH, "ON"),
        (SENSOR, True),
        (SENSOR, math.nan),
        (SENSOR, math.inf),
        (SENSOR, LightState()),
        (ENUM, 3),
        (NUMBER, "5"),
        (NUMBER, False),
        (SELECT, 1),
        (LAMP, True),
        (COVER, LightState()),
        (CLIMATE, 21.0),
        (UPDATE, "1.30"),
        (Button(key="press"), None),
    ],
)
def test_a_state_that_the_kind_cannot_have_is_refused(
    entity: Entity, state: State | None
):
    with pytest.raises(UsageError, match=rf"^{entity.key} is a \w+ and cannot be "):
        state_payload(entity, state)


def test_a_text_outside_the_options_is_refused_with_the_options():
    with pytest.raises(
        UsageError, match="phase cannot be 'dry'; it is one of wash, spin"
    ):
        state_payload(ENUM, "dry")
    with pytest.raises(UsageError, match="spray cannot be 'x'; it is one of off, eco"):
        state_payload(SELECT, "x")
