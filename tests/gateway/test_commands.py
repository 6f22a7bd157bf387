"""What may be written to a set topic."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import UsageError
from structiot.gateway.entities.commands import parse_command, takes_commands
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Command,
    Cover,
    CoverAction,
    Entity,
    Light,
    LightState,
    Number,
    Select,
    Sensor,
    Switch,
    Update,
)

SWITCH = Switch(key="port_1")
LAMP = Light(
    key="lamp",
    color_modes=frozenset({"brightness", "color_temp", "rgb"}),
    min_color_temp_k=2700,
    max_color_temp_k=6500,
    effects=("Rainbow",),
)
BULB = Light(key="bulb")
DOOR = Cover(key="door")
BLIND = Cover(key="blind", has_position=True, has_stop=True)
VALVE = Climate(key="valve", modes=("off", "heat"), presets=("eco",))
PLAIN_VALVE = Climate(key="valve", modes=("off", "heat"))
LIMIT = Number(key="limit", minimum=-5, maximum=10)
SPRAY = Select(key="spray", options=("Off", "Continuous"))
BUTTON = Button(key="restart")
FIRMWARE = Update(key="firmware", can_install=True)
READ_ONLY = (Sensor(key="power"), BinarySensor(key="leak"), Update(key="fw"))
ALL = (
    SWITCH,
    LAMP,
    BULB,
    DOOR,
    BLIND,
    VALVE,
    LIMIT,
    SPRAY,
    BUTTON,
    FIRMWARE,
    *READ_ONLY,
)


@pytest.mark.parametrize(
    ("entity", "payload", "command"),
    [
        (SWITCH, b"ON", True),
        (SWITCH, b" off\n", False),
        (SWITCH, b"True", True),
        (SWITCH, b"0", False),
        (LAMP, b"ON", LightState(is_on=True)),
        (LAMP, b'{"state":"OFF"}', LightState(is_on=False)),
        (
            LAMP,
            b'{"state":"ON","brightness":40,"color":{"r":255,"g":0,"b":3}}',
            LightState(is_on=True, brightness_percent=40.0, rgb=(255, 0, 3)),
        ),
        (LAMP, b'{"color_temp":2700}', LightState(color_temp_k=2700)),
        (LAMP, b'{"effect":"rainbow"}', LightState(effect="Rainbow")),
        (BULB, b"on", LightState(is_on=True)),
        (DOOR, b"OPEN", CoverAction.OPEN),
        (DOOR, b"close", CoverAction.CLOSE),
        (BLIND, b"STOP", CoverAction.STOP),
        (BLIND, b"0", 0),
        (BLIND, b"41.6", 42),
        (VALVE, b'{"mode": "heat"}', ClimateState(mode="heat")),
        (VALVE, b'{"target_c": 21}', ClimateState(target_c=21.0)),
        (VALVE, b'{"preset": "ECO"}', ClimateState(preset="eco")),
        (LIMIT, b"-5", -5.0),
        (LIMIT, b"9.75", 9.75),
        (SPRAY, b"Continuous", "Continuous"),
        (SPRAY, b"off", "Off"),
        (BUTTON, b"PRESS", None),
        (FIRMWARE, b"install", None),
    ],
)
def test_a_command_is_understood(entity: Entity, payload: bytes, command: Command):
    parsed = parse_command(entity, payload)
    assert parsed == command
    assert type(parsed) is type(command)


@pytest.mark.parametrize(
    ("entity", "payload", "said"),
    [
        (SWITCH, b"maybe", "port_1 takes ON or OFF, not 'maybe'"),
        (SWITCH, b"", "port_1 takes ON or OFF, not ''"),
        (SWITCH, b"x" * 50, f"port_1 takes ON or OFF, not '{'x' * 40}...'"),
        (SWITCH, b"\xff", "a command is text in UTF-8, and this is not"),
        (SWITCH, b"x" * 4097, "a command has 4096 bytes at most, not 4097"),
        (BULB, b"dim", "bulb takes a JSON object of state, not 'dim'"),
        (
            BULB,
            b'{"brightness":3}',
            "bulb takes a JSON object of state, not 'brightness'",
        ),
        (
            LAMP,
            b"{}",
            "lamp takes a JSON object of state, brightness, color_temp, color,",
        ),
        (LAMP, b'{"state":"dim"}', "state of lamp takes ON or OFF, not 'dim'"),
        (
            LAMP,
            b'{"brightness":101}',
            "brightness of lamp takes a number from 0 to 100, not '101'",
        ),
        (
            LAMP,
            b'{"brightness":true}',
            "brightness of lamp takes a number from 0 to 100, not 'True'",
        ),
        (
            LAMP,
            b'{"brightness":NaN}',
            "brightness of lamp takes a number from 0 to 100, not 'nan'",
        ),
        (
            LAMP,
            b'{"color_temp":2000}',
            "color_temp of lamp takes a number from 2700 to 6500, not '2000'",
        ),
        (LAMP, b'{"color":{"r":1}}', "color of lamp takes an object such as"),
        (
            LAMP,
            b'{"color":{"r":1,"g":2,"b":256}}',
            "b of lamp takes a number from 0 to 255, not '256'",
        ),
        (LAMP, b'{"effect":"fire"}', "effect of lamp takes one of Rainbow, not 'fire'"),
        (DOOR, b"STOP", "door takes OPEN, CLOSE, not 'STOP'"),
        (DOOR, b"50", "door takes OPEN, CLOSE, not '50'"),
        (
            BLIND,
            b"101",
            (
                "blind takes OPEN, CLOSE, STOP or a position from 0 (closed) to 100 (open), "
                "not '101'"
            ),
        ),
        (BLIND, b"nan", "blind takes OPEN, CLOSE, STOP or a position"),
        (
            VALVE,
            b"heat",
            "valve takes a JSON object of mode, target_c, preset, not 'heat'",
        ),
        (VALVE, b'{"mode":"cool"}', "mode of valve takes one of off, heat, not 'cool'"),
        (
            VALVE,
            b'{"target_c":"hot"}',
            "target_c of valve takes a number from 5 to 35, not 'hot'",
        ),
        (
            PLAIN_VALVE,
            b'{"preset":"eco"}',
            "valve takes a JSON object of mode, target_c, not 'preset'",
        ),
        (LIMIT, b"11", "limit takes a number from -5 to 10, not '11'"),
        (LIMIT, b"nan", "limit takes a number from -5 to 10, not 'nan'"),
        (LIMIT, b"much", "limit takes a number from -5 to 10, not 'much'"),
        (SPRAY, b"rain", "spray takes one of Off, Continuous, not 'rain'"),
        (BUTTON, b"", "restart takes PRESS, not ''"),
        (FIRMWARE, b"now", "firmware takes INSTALL, not 'now'"),
        (READ_ONLY[0], b"5", "power takes no commands: it is only read"),
        (READ_ONLY[1], b"ON", "leak takes no commands: it is only read"),
        (READ_ONLY[2], b"INSTALL", "fw cannot be told to install anything"),
    ],
)
def test_a_command_that_cannot_be_is_refused_with_what_could(entity, payload, said):
    with pytest.raises(UsageError) as caught:
        parse_command(entity, payload)
    assert str(caught.value).startswith(said)


def test_only_what_can_be_told_something_takes_commands():
    assert [takes_commands(entity) for entity in ALL] == [True] * 10 + [False] * 3


@given(
    st.sampled_from(ALL),
    st.one_of(
        st.binary(max_size=64),
        st.sampled_from(
            [
                b"[" * 4096,
                b'{"brightness":' + b"9" * 4000 + b"}",
                b'{"brightness":1e999}',
                b'{"color":{"r":1,"g":2,"b":' + b"8" * 999 + b"}}",
                b"1e999",
                b"9" * 4096,
            ]
        ),
    ),
)
def test_whatever_is_published_is_a_command_or_a_usage_error(
    entity: Entity, payload: bytes
):
    with suppress(UsageError):
        parse_command(entity, payload)
