"""What a device is told fits the model, or nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from structiot._device.commands import check_command
from structiot.errors import UsageError
from structiot.gateway.entities.commands import parse_command
from structiot.model import (
    Button,
    Climate,
    ClimateState,
    Cover,
    CoverAction,
    Entity,
    Fan,
    FanDirection,
    FanState,
    Light,
    LightState,
    Lock,
    LockAction,
    Number,
    Select,
    Sensor,
    Siren,
    SirenState,
    Switch,
    Text,
    Update,
)

LAMP = Light(
    key="x",
    color_modes=frozenset({"color_temp", "rgb"}),
    min_color_temp_k=2700,
    max_color_temp_k=6500,
    effects=("Rainbow",),
)
BLIND = Cover(key="x", has_position=True, has_stop=True)
VALVE = Climate(key="x", modes=("off", "heat"), presets=("eco",))
FAN = Fan(key="x", speed_steps=3, presets=("eco",), can_oscillate=True)
VANE = Fan(key="x", has_direction=True)
SIREN = Siren(key="x", tones=("bell",), has_volume=True, has_duration=True)
PIN = Text(key="x", min_length=4, max_length=6, pattern="[0-9]*", is_secret=True)


def check(entity: Entity, command: Any) -> None:
    check_command([entity], "x", command, device="Hall")


@pytest.mark.parametrize(
    ("entity", "command"),
    [
        (Switch(key="x"), True),
        (Button(key="x"), None),
        (Update(key="x", can_install=True), None),
        (Select(key="x", options=("a",)), "a"),
        (Number(key="x", minimum=-5, maximum=5), -5),
        (PIN, "1234"),
        (Lock(key="x"), LockAction.UNLOCK),
        (Lock(key="x", can_open=True), LockAction.OPEN),
        (Cover(key="x"), CoverAction.CLOSE),
        (BLIND, CoverAction.STOP),
        (BLIND, 100),
        (LAMP, LightState(is_on=True, brightness_percent=1.5, rgb=(0, 0, 255))),
        (LAMP, LightState(color_temp_k=2700, effect="Rainbow")),
        (VALVE, ClimateState(mode="heat", target_c=21.5, preset="eco")),
        (FAN, True),
        (
            FAN,
            FanState(is_on=True, speed_percent=50, preset="eco", is_oscillating=True),
        ),
        (VANE, FanState(direction=FanDirection.REVERSE)),
        (SIREN, False),
        (SIREN, SirenState(tone="bell", volume_percent=50, duration_s=10)),
    ],
)
def test_what_fits_the_model_passes(entity, command):
    check(entity, command)


@pytest.mark.parametrize(
    ("entity", "command", "said"),
    [
        (Switch(key="x"), 1, "true or false"),
        (Button(key="x"), True, "no value"),
        (Update(key="x"), None, "is only read"),
        (Sensor(key="x"), 1, "is only read"),
        (Select(key="x", options=("a", "b")), "c", "one of a, b"),
        (Number(key="x", minimum=0, maximum=5), float("nan"), "a number from 0 to 5"),
        (Number(key="x", minimum=0, maximum=5), True, "a number from 0 to 5"),
        (Lock(key="x"), LockAction.OPEN, "one of lock, unlock"),
        (Lock(key="x"), True, "one of lock, unlock"),
        (Lock(key="x"), "unlock", "one of lock, unlock"),
        (Cover(key="x"), CoverAction.STOP, "one of open, close"),
        (Cover(key="x"), 50, "one of open, close"),
        (BLIND, 101, "or a position from 0 to 100"),
        (LAMP, True, "a LightState"),
        (LAMP, LightState(brightness_percent=101), "a number from 0 to 100"),
        (LAMP, LightState(color_temp_k=1000), "a number from 2700 to 6500"),
        (LAMP, LightState(rgb=(0, 0, 256)), "red, green and blue from 0 to 255"),
        (LAMP, LightState(rgb=(0, 0)), "red, green and blue"),  # type: ignore[arg-type]
        (LAMP, LightState(effect="Disco"), "one of Rainbow"),
        (Light(key="x"), LightState(brightness_percent=5), "cannot be told"),
        (VALVE, ClimateState(current_c=20.0), "cannot be told current_c"),
        (VALVE, ClimateState(target_c=99.0), "a number from 5 to 35"),
        (VALVE, ClimateState(mode="dry"), "one of off, heat"),
        (VALVE, "heat", "a ClimateState"),
        (FAN, LightState(is_on=True), "true, false or a FanState"),
        (FAN, FanState(direction=FanDirection.FORWARD), "cannot be told direction"),
        (VANE, FanState(speed_percent=5), "there are is_on, direction"),
        (SIREN, SirenState(tone="horn"), "one of bell"),
        (SIREN, SirenState(duration_s=1e9), "a number from 0 to 86400"),
        (PIN, "12", "a text of 4 to 6 characters that matches [0-9]*, not ***"),
        (PIN, 1234, "not ***"),
    ],
)
def test_what_does_not_is_refused_with_what_would(entity, command, said):
    with pytest.raises(UsageError) as caught:
        check(entity, command)
    assert said in str(caught.value)
    assert "x of Hall" in str(caught.value)


@pytest.mark.parametrize(
    ("entity", "payload"),
    [
        (LAMP, b'{"state":"ON","brightness":50,"color":{"r":1,"g":2,"b":3}}'),
        (LAMP, b"ON"),
        (VALVE, b'{"target_c": 20, "mode": "heat"}'),
        (FAN, b'{"speed_percent": 33.3, "is_oscillating": true}'),
        (VANE, b'{"direction": "reverse"}'),
        (SIREN, b'{"tone": "bell", "volume_level": 0.5, "duration": 3}'),
        (BLIND, b"50"),
        (PIN, b"1234"),
    ],
)
def test_what_the_gateway_understands_passes(entity, payload):
    check(entity, parse_command(entity, payload))


def test_a_kind_of_entity_that_the_model_does_not_have_is_its_own_affair():
    class Lamp(Entity):
        pass

    check(Lamp(key="x"), "anything")


@pytest.mark.parametrize(
    ("entity", "text", "said"),
    [
        (Cover(key="x"), "open", ": say CoverAction.OPEN, not 'open'"),
        (Lock(key="x"), "unlock", "unlock: say LockAction.UNLOCK, not 'unlock'"),
        # What it cannot do is not proposed.
        (
            Cover(key="x", has_stop=False),
            "stop",
            "takes one of open, close, not 'stop'",
        ),
    ],
)
def test_an_action_that_is_told_as_a_text_is_named(entity, text, said):
    with pytest.raises(UsageError, match=said):
        check(entity, text)
