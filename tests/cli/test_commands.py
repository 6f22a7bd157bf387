"""What entities of any kind are told on a command line: words become commands."""

from __future__ import annotations

import pytest

from structiot.cli._common.commands import command_of
from structiot.errors import UsageError
from structiot.model import (
    Button,
    Climate,
    ClimateState,
    Command,
    Cover,
    CoverAction,
    Entity,
    Fan,
    FanDirection,
    FanState,
    Light,
    LightState,
    Number,
    Select,
    Sensor,
    Siren,
    SirenState,
    Switch,
    Text,
)

LIGHT = Light(key="light", color_modes=frozenset({"rgb"}))
CLIMATE = Climate(key="heat", modes=("off", "heat"))
FAN = Fan(key="fan", has_direction=True)


@pytest.mark.parametrize(
    ("entity", "words", "command"),
    [
        (Switch(key="s"), "on", True),
        (Number(key="n", minimum=-5, maximum=5), "-2.5", -2.5),
        (Select(key="o", options=("Fast lane", "slow")), "fast lane", "Fast lane"),
        (Text(key="t"), "a b", "a b"),
        (Cover(key="c"), "open", CoverAction.OPEN),
        (Cover(key="c", has_position=True), "40", 40),
        (Button(key="b"), "", None),
        (LIGHT, "off", LightState(is_on=False)),
        (LIGHT, "rgb=#ff0001 on=true", LightState(rgb=(255, 0, 1), is_on=True)),
        (LIGHT, "rgb=1,2,3", LightState(rgb=(1, 2, 3))),
        (LIGHT, "color_temp=2700", LightState(color_temp_k=2700)),
        (LIGHT, '{"brightness": 4}', LightState(brightness_percent=4)),
        (CLIMATE, "target=21.5 mode=heat", ClimateState(target_c=21.5, mode="heat")),
        (FAN, "direction=reverse", FanState(direction=FanDirection.REVERSE)),
        (Siren(key="h"), "duration_s=5", SirenState(duration_s=5)),
    ],
)
def test_words_become_a_command(entity: Entity, words: str, command: Command):
    assert command_of(entity, words.split()) == command


@pytest.mark.parametrize(
    ("entity", "words", "said"),
    [
        (Switch(key="s"), "perhaps", "s takes ON or OFF, not 'perhaps'"),
        (Switch(key="s"), "", "s takes ON or OFF, not ''"),
        (Sensor(key="x"), "1", "x takes no commands: it is only read"),
        (LIGHT, "", "light takes on, off or NAME=VALUE of on, brightness, rgb"),
        (LIGHT, "on rgb=1,2,3", "light takes on, off or NAME=VALUE of"),
        (LIGHT, "tone=1", "light cannot be told 'tone'; there are on, brightness, rgb"),
        (CLIMATE, "current=3", "heat cannot be told 'current'; there are mode, target"),
        (CLIMATE, "on", "heat takes NAME=VALUE of mode, target, not"),
    ],
)
def test_what_would_be_right_is_said(entity: Entity, words: str, said: str):
    with pytest.raises(UsageError) as refused:
        command_of(entity, words.split())
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("word", ["rgb=red", "rgb=#12345z", "brightness=much", "on=x"])
def test_a_value_of_a_wrong_kind_is_left_to_be_refused(word: str):
    state = command_of(LIGHT, [word])
    assert isinstance(state, LightState)
    assert state != LightState()
