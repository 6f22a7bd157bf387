"""What stands on a state topic."""

from __future__ import annotations

import json
import math

import pytest

from structiot.errors import UsageError
from structiot.gateway.entities.states import shown_state, state_payload
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Cover,
    CoverMotion,
    CoverState,
    Entity,
    Event,
    Fan,
    FanDirection,
    FanState,
    Light,
    LightState,
    Lock,
    LockState,
    Number,
    Select,
    Sensor,
    Siren,
    SirenState,
    State,
    Switch,
    Text,
    Update,
    UpdateState,
)
from tests._support.entity_kinds import entity_kinds

SWITCH = Switch(key="port_1")
SENSOR = Sensor(key="power")
ENUM = Sensor(key="phase", options=("wash", "spin"))
LAMP = Light(key="lamp", color_modes=frozenset({"brightness", "color_temp", "rgb"}))
NUMBER = Number(key="limit", minimum=0, maximum=10)
SELECT = Select(key="spray", options=("off", "eco"))
COVER = Cover(key="door")
CLIMATE = Climate(key="valve", modes=("off", "heat"))
UPDATE = Update(key="firmware")
LOCK = Lock(key="gate", can_open=True)
SIGN = Text(key="sign", max_length=20)
PIN = Text(key="pin", min_length=4, max_length=6, pattern="[0-9]*", is_secret=True)
FAN = Fan(
    key="fan",
    speed_steps=3,
    presets=("eco",),
    can_oscillate=True,
    has_direction=True,
)
VENT = Fan(key="vent")
SIREN = Siren(key="siren", tones=("bell", "5"), has_volume=True, has_duration=True)
HORN = Siren(key="horn")
BUTTON = Button(key="press")
BELL = Event(key="bell", event_types=("press", "hold"), device_class="doorbell")
ALL = (
    *(SWITCH, SENSOR, BinarySensor(key="leak"), LAMP, NUMBER, SELECT, COVER, CLIMATE),
    *(UPDATE, LOCK, SIGN, FAN, SIREN, BUTTON, BELL),
)


def test_every_kind_of_the_model_is_covered_here():
    assert {type(entity) for entity in ALL} == entity_kinds()


@pytest.mark.parametrize("entity", ALL, ids=lambda entity: type(entity).__name__)
def test_each_kind_but_the_stateless_ones_can_be_unknown(entity: Entity):
    if isinstance(entity, Button | Event):
        with pytest.raises(UsageError):
            state_payload(entity, None)
    else:
        assert state_payload(entity, None)


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
        # The states that Home Assistant's locks take unless told otherwise.
        (LOCK, LockState.LOCKED, "LOCKED"),
        (LOCK, LockState.UNLOCKED, "UNLOCKED"),
        (LOCK, LockState.LOCKING, "LOCKING"),
        (LOCK, LockState.UNLOCKING, "UNLOCKING"),
        (LOCK, LockState.JAMMED, "JAMMED"),
        (LOCK, LockState.OPEN, "OPEN"),
        (LOCK, LockState.OPENING, "OPENING"),
        (LOCK, None, "None"),
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
        (SIGN, "Hello", {"text": "Hello"}),
        (SIGN, "", {"text": ""}),
        (SIGN, "None", {"text": "None"}),
        (SIGN, None, {"text": None}),
        (PIN, "0000", {"text": "0000"}),
        (
            FAN,
            FanState(
                is_on=True,
                speed_percent=100 / 3,
                preset="eco",
                is_oscillating=True,
                direction=FanDirection.REVERSE,
            ),
            {
                "state": "ON",
                "speed_percent": 100 / 3,
                "preset": "eco",
                "is_oscillating": True,
                "direction": "reverse",
            },
        ),
        (
            FAN,
            FanState(is_on=False, speed_percent=0.0),
            {
                "state": "OFF",
                "speed_percent": 0,
                "preset": None,
                "is_oscillating": None,
                "direction": None,
            },
        ),
        (VENT, FanState(is_on=True, speed_percent=50), {"state": "ON"}),
        (VENT, None, {"state": None}),
        (
            SIREN,
            SirenState(is_on=True, tone="bell", volume_percent=50, duration_s=10.0),
            {"state": "ON", "tone": "bell", "volume_level": 0.5, "duration": 10},
        ),
        (SIREN, SirenState(is_on=False), {"state": "OFF"}),
        # Home Assistant takes no null for a siren.
        (SIREN, None, {"state": "None"}),
        (HORN, SirenState(is_on=True, volume_percent=5), {"state": "ON"}),
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
        (BUTTON, None),
        (BELL, None),
        (BELL, "press"),
        (LOCK, "locked"),
        (LOCK, True),
        (SIGN, 5),
        (LAMP, LightState(brightness_percent=math.nan)),
        (LAMP, LightState(brightness_percent=101)),
        (FAN, True),
        (FAN, SirenState(is_on=True)),
        (FAN, FanState(speed_percent=100.5)),
        (FAN, FanState(speed_percent=-1)),
        (FAN, FanState(speed_percent=math.inf)),
        (FAN, FanState(speed_percent=True)),
        (SIREN, FanState(is_on=True)),
        (SIREN, SirenState(volume_percent=math.nan)),
        (SIREN, SirenState(volume_percent=101)),
        (SIREN, SirenState(duration_s=-1)),
    ],
)
def test_a_state_that_the_kind_cannot_have_is_refused(
    entity: Entity, state: State | None
):
    with pytest.raises(UsageError, match=rf"^{entity.key} is an? \w+ and cannot be "):
        state_payload(entity, state)


def test_a_text_outside_the_options_is_refused_with_the_options():
    with pytest.raises(
        UsageError, match="phase cannot be 'dry'; it is one of wash, spin"
    ):
        state_payload(ENUM, "dry")
    with pytest.raises(UsageError, match="spray cannot be 'x'; it is one of off, eco"):
        state_payload(SELECT, "x")
    with pytest.raises(UsageError, match="fan cannot be 'storm'; it is one of eco"):
        state_payload(FAN, FanState(preset="storm"))
    with pytest.raises(UsageError, match="siren cannot be 'x'; it is one of bell, 5"):
        state_payload(SIREN, SirenState(tone="x"))


def test_a_text_that_does_not_fit_is_refused_and_a_secret_one_is_not_repeated():
    with pytest.raises(
        UsageError, match=r"'x{21}'; it is a text of 0 to 20 characters"
    ):
        state_payload(SIGN, "x" * 21)
    with pytest.raises(UsageError) as caught:
        state_payload(PIN, "hunter2")
    assert "hunter" not in str(caught.value)
    assert str(caught.value).startswith("pin cannot be '***'; it is a text of 4 to 6")


@pytest.mark.parametrize(
    ("entity", "state"),
    [
        (CLIMATE, ClimateState(target_c=math.nan)),
        (CLIMATE, ClimateState(humidity_percent=math.inf)),
        (UPDATE, UpdateState(installed="1", progress_percent=math.nan)),
    ],
)
def test_a_figure_that_json_does_not_have_is_refused(entity: Entity, state: State):
    with pytest.raises(UsageError, match=f"^{entity.key} tells what is no JSON: "):
        state_payload(entity, state)


@pytest.mark.parametrize(
    ("entity", "state"),
    [
        (SENSOR, 10**309),
        (SENSOR, -(10**5000)),
        (LAMP, LightState(brightness_percent=10**309)),
        (CLIMATE, ClimateState(target_c=10**5000)),
    ],
    ids=["sensor", "sensor, unwritable", "light", "climate, unwritable"],
)
def test_an_integer_that_nobody_can_reckon_with_is_refused(entity, state):
    with pytest.raises(UsageError, match=f"^{entity.key} "):
        state_payload(entity, state)


@pytest.mark.parametrize(
    ("entity", "state"),
    [(SENSOR, "\ud800"), (SIGN, "\udfff"), (CLIMATE, ClimateState(mode="\ud800"))],
)
def test_half_a_surrogate_pair_never_reaches_the_broker(entity: Entity, state: State):
    with pytest.raises(UsageError, match=f"^{entity.key} tells a text that is none in"):
        state_payload(entity, state)


@pytest.mark.parametrize(
    ("decimals", "told", "shown"),
    [
        (1, 20.700000000000003, "20.7"),
        (1, 20, "20"),
        (0, 20.7, "21"),
        (0, -0.2, "0"),
        (2, -0.001, "0.0"),
        (None, 20.700000000000003, "20.700000000000003"),
        (1, None, "None"),
    ],
)
def test_a_figure_has_the_decimals_that_are_worth_showing(decimals, told, shown):
    sensor = Sensor(key="warmth", unit="°C", decimals=decimals)
    assert state_payload(sensor, shown_state(sensor, told)) == shown


def test_only_figures_are_rounded():
    sensor = Sensor(key="warmth", decimals=1)
    assert shown_state(sensor, "warm") == "warm"
    assert shown_state(sensor, math.inf) == math.inf
    assert shown_state(Number(key="n", minimum=0, maximum=1), 0.25) == 0.25
