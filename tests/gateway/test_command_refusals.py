"""What a set topic refuses, and what it says would be right."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.redact import HIDDEN
from structiot.errors import UsageError
from structiot.gateway.entities.commands import parse_command
from structiot.model import Entity
from tests.gateway.entities import (
    ALL,
    BLIND,
    BULB,
    BUTTON,
    DOOR,
    FAN,
    FIRMWARE,
    GATE,
    HORN,
    LAMP,
    LIMIT,
    PIN,
    PLAIN_VALVE,
    READ_ONLY,
    SHED,
    SIGN,
    SIREN,
    SPRAY,
    SWITCH,
    VALVE,
    VENT,
)


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
        (LIMIT, b"1_0", "limit takes a number from -5 to 10, not '1_0'"),
        (LIMIT, b"\xd9\xa3", "limit takes a number from -5 to 10, not"),
        (LIMIT, b"much", "limit takes a number from -5 to 10, not 'much'"),
        (SPRAY, b"rain", "spray takes one of Off, Continuous, not 'rain'"),
        (BUTTON, b"", "restart takes PRESS, not ''"),
        (FIRMWARE, b"now", "firmware takes INSTALL, not 'now'"),
        (SHED, b"OPEN", "shed takes LOCK, UNLOCK, not 'OPEN'"),
        (GATE, b"", "gate takes LOCK, UNLOCK, OPEN, not ''"),
        (GATE, b"LOCKED", "gate takes LOCK, UNLOCK, OPEN, not 'LOCKED'"),
        (SIGN, b"x" * 21, "sign takes a text of 0 to 20 characters, not 'xxxx"),
        (
            PIN,
            b"12ab",
            (
                "pin takes a text of 4 to 6 characters that matches [0-9]*, "
                f"not '{HIDDEN}'"
            ),
        ),
        (
            PIN,
            b"",
            f"pin takes a text of 4 to 6 characters that matches [0-9]*, not '{HIDDEN}'",
        ),
        (
            FAN,
            b"fast",
            (
                "fan takes a JSON object of state, speed_percent, preset, "
                "is_oscillating, direction, not 'fast'"
            ),
        ),
        (
            FAN,
            b'{"speed":3}',
            "fan takes a JSON object of state, speed_percent, preset",
        ),
        (
            FAN,
            b'{"speed_percent":101}',
            "speed_percent of fan takes a number from 0 to 100, not '101'",
        ),
        (
            FAN,
            b'{"speed_percent":-1}',
            "speed_percent of fan takes a number from 0 to 100, not '-1'",
        ),
        (
            FAN,
            b'{"speed_percent":NaN}',
            "speed_percent of fan takes a number from 0 to 100, not 'nan'",
        ),
        (
            FAN,
            b'{"speed_percent":Infinity}',
            "speed_percent of fan takes a number from 0 to 100, not 'inf'",
        ),
        (
            FAN,
            b'{"speed_percent":true}',
            "speed_percent of fan takes a number from 0 to 100, not 'True'",
        ),
        (
            FAN,
            b'{"speed_percent":"50"}',
            "speed_percent of fan takes a number from 0 to 100, not '50'",
        ),
        (
            FAN,
            b'{"preset":"storm"}',
            "preset of fan takes one of Eco, so \"quiet\", not 'storm'",
        ),
        (
            FAN,
            b'{"is_oscillating":"a bit"}',
            "is_oscillating of fan takes true or false, not 'a bit'",
        ),
        (
            FAN,
            b'{"direction":"up"}',
            "direction of fan takes one of forward, reverse, not 'up'",
        ),
        (
            VENT,
            b'{"speed_percent":50}',
            "vent takes a JSON object of state, not 'speed_percent'",
        ),
        (
            SIREN,
            b'{"tone":"whoop"}',
            "tone of siren takes one of bell, 5, not 'whoop'",
        ),
        (
            SIREN,
            b'{"volume_level":1.01}',
            "volume_level of siren takes a number from 0 to 1, not '1.01'",
        ),
        (
            SIREN,
            b'{"duration":-1}',
            "duration of siren takes a number from 0 to 86400, not '-1'",
        ),
        (
            SIREN,
            b'{"duration":1e999}',
            "duration of siren takes a number from 0 to 86400, not 'inf'",
        ),
        (SIREN, b"[]", "siren takes a JSON object of state, tone, volume_level, dur"),
        (HORN, b'{"tone":"bell"}', "horn takes a JSON object of state, not 'tone'"),
        (READ_ONLY[3], b"ring", "bell takes no commands: it only happens"),
        (READ_ONLY[0], b"5", "power takes no commands: it is only read"),
        (READ_ONLY[1], b"ON", "leak takes no commands: it is only read"),
        (READ_ONLY[2], b"INSTALL", "fw cannot be told to install anything"),
    ],
)
def test_a_command_that_cannot_be_is_refused_with_what_could(entity, payload, said):
    with pytest.raises(UsageError) as caught:
        parse_command(entity, payload)
    assert str(caught.value).startswith(said)


MEMBERS = (
    "state",
    "brightness",
    "color",
    "target_c",
    "speed_percent",
    "preset",
    "is_oscillating",
    "direction",
    "tone",
    "volume_level",
    "duration",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=4,
)


@given(
    st.sampled_from(ALL),
    st.one_of(
        st.binary(max_size=64),
        st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3).map(
            lambda members: json.dumps(members).encode()
        ),
        st.sampled_from(
            [
                b"[" * 4096,
                b'{"brightness":' + b"9" * 4000 + b"}",
                b'{"brightness":1e999}',
                b'{"speed_percent":' + b"9" * 4000 + b"}",
                b'{"state":"ON","duration":[[1]],"tone":{}}',
                b'{"preset":"\\ud800","direction":null,"is_oscillating":[]}',
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
