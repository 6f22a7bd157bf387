"""What may be written to a set topic."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.gateway.entities.commands import parse_command, takes_commands
from structiot.model import (
    ClimateState,
    Command,
    CoverAction,
    Entity,
    FanDirection,
    FanState,
    LightState,
    LockAction,
    SirenState,
)
from tests._support.entity_kinds import entity_kinds
from tests.gateway.entities import (
    ALL,
    BLIND,
    BULB,
    BUTTON,
    COMMANDED,
    DOOR,
    FAN,
    FIRMWARE,
    GATE,
    HORN,
    LAMP,
    LIMIT,
    PIN,
    READ_ONLY,
    SHED,
    SIGN,
    SIREN,
    SPRAY,
    SWITCH,
    VALVE,
    VENT,
)


def test_every_kind_of_the_model_is_covered_here():
    assert {type(entity) for entity in ALL} == entity_kinds()


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
        (GATE, b"LOCK", LockAction.LOCK),
        (GATE, b"unlock", LockAction.UNLOCK),
        (GATE, b" OPEN ", LockAction.OPEN),
        (SHED, b"UNLOCK", LockAction.UNLOCK),
        (SIGN, b"Hello", "Hello"),
        (SIGN, b"", ""),
        (SIGN, b"  off\n", "  off\n"),
        (SIGN, "\u00fcber".encode(), "\u00fcber"),
        (PIN, b"0000", "0000"),
        (FAN, b"ON", FanState(is_on=True)),
        (FAN, b"off", FanState(is_on=False)),
        (FAN, b'{"state":"ON"}', FanState(is_on=True)),
        (FAN, b'{"speed_percent":0}', FanState(speed_percent=0.0)),
        (
            FAN,
            b'{"speed_percent":66.66666666666667,"preset":"eco"}',
            FanState(speed_percent=66.66666666666667, preset="Eco"),
        ),
        (FAN, rb'{"preset": "so \"quiet\""}', FanState(preset='so "quiet"')),
        (FAN, b'{"is_oscillating": true}', FanState(is_oscillating=True)),
        (FAN, b'{"is_oscillating": false}', FanState(is_oscillating=False)),
        (
            FAN,
            b'{"direction": "reverse"}',
            FanState(direction=FanDirection.REVERSE),
        ),
        (VENT, b'{"state":"OFF"}', FanState(is_on=False)),
        (SIREN, b"on", SirenState(is_on=True)),
        # What Home Assistant's documentation shows for a siren's command topic.
        (
            SIREN,
            b'{"state":"ON", "tone": "bell", "duration": 10, "volume_level": 0.5 }',
            SirenState(is_on=True, tone="bell", volume_percent=50.0, duration_s=10.0),
        ),
        # It makes a number of a tone that looks like one.
        (SIREN, b'{"state":"ON","tone":5}', SirenState(is_on=True, tone="5")),
        (SIREN, b'{"volume_level":0.29}', SirenState(volume_percent=29.0)),
        (HORN, b'{"state":"OFF"}', SirenState(is_on=False)),
    ],
)
def test_a_command_is_understood(entity: Entity, payload: bytes, command: Command):
    parsed = parse_command(entity, payload)
    assert parsed == command
    assert type(parsed) is type(command)


def test_only_what_can_be_told_something_takes_commands():
    assert all(takes_commands(entity) for entity in COMMANDED)
    assert not any(takes_commands(entity) for entity in READ_ONLY)


@pytest.mark.parametrize("entity", READ_ONLY, ids=lambda entity: entity.key)
def test_what_takes_no_commands_refuses_each(entity: Entity):
    with pytest.raises(UsageError):
        parse_command(entity, b"ON")
