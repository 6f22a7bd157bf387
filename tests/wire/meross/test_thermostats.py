"""Thermostats on the Wi-Fi, as reference 4.10 describes them."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.meross.features.thermostat import (
    MODE,
    MODE_B,
    SUMMER_MODE,
    Thermostat,
    ThermostatB,
)
from structiot.meross.features.thermostat_c import MODE_C, ThermostatC
from structiot.model import ClimateState
from tests._support.meross_features import AT, about, acknowledge, entity, tell

T = "Appliance.Control.Thermostat."
CTL_RANGE = T + "CtlRange"
ITEM = {
    "channel": 0, "onoff": 1, "mode": 4, "state": 1, "currentTemp": 195,
    "heatTemp": 220, "coolTemp": 170, "ecoTemp": 120, "manualTemp": 210,
    "warning": 0, "targetTemp": 210, "min": 50, "max": 350, "lmTime": 1699990000,
}  # fmt: skip
DIGEST = {"thermostat": {"mode": [ITEM], "summerMode": [{"channel": 0, "mode": 1}]}}


@pytest.fixture
def mode():
    thermostat = Thermostat(about("mts200", MODE, SUMMER_MODE))
    thermostat.take_digest(DIGEST, AT)
    return thermostat


# ----------------------------------------------------------------- first generation


def test_mode_by_the_digest():
    thermostat = Thermostat(about("mts200", MODE, SUMMER_MODE))
    states = thermostat.take_digest(DIGEST, AT).states
    assert states == {
        "thermostat": ClimateState(
            mode="heat", target_c=21, current_c=19.5, action="heating", preset="manual"
        ),
        "thermostat_comfort_temperature": 22,
        "thermostat_sleep_temperature": 17,
        "thermostat_economy_temperature": 12,
        "thermostat_season": "heating",
        "thermostat_warning": False,
    }


def test_mode_is_asked_by_channel(mode):
    assert [(p.request.namespace, p.request.payload, p.pace) for p in mode.polls] == [
        (MODE, {"mode": [{"channel": 0}]}, "live"),
        (SUMMER_MODE, {"summerMode": [{"channel": 0}]}, "slow"),
    ]


@pytest.mark.parametrize(
    ("number", "preset", "mode_name"),
    [(0, "comfort", "heat"), (1, "sleep", "heat"), (2, "economy", "heat"),
     (3, "schedule", "auto"), (4, "manual", "heat")],
)  # fmt: skip
def test_each_mode_is_a_preset_and_back(mode, number, preset, mode_name):
    # One object where a list is usual.
    state = mode.take(MODE, {"mode": {**ITEM, "mode": number}}, AT).states["thermostat"]
    assert (state.preset, state.mode) == (preset, mode_name)
    wanted = {"mode": [{"channel": 0, "mode": number}]}
    assert tell(mode, "thermostat", ClimateState(preset=preset)) == [(MODE, wanted)]


@pytest.mark.parametrize("now", [0, 1, 2, 4])
def test_a_target_is_manual_and_leaves_the_temperatures_of_presets(mode, now):
    mode.take(MODE, {"mode": [{**ITEM, "mode": now}]}, AT)
    payload = {"mode": [{"channel": 0, "mode": 4, "manualTemp": 225}]}
    assert tell(mode, "thermostat", ClimateState(target_c=22.4)) == [(MODE, payload)]


@pytest.mark.parametrize(
    ("preset", "number", "member"),
    [("comfort", 0, "heatTemp"), ("sleep", 1, "coolTemp"), ("economy", 2, "ecoTemp")],
)
def test_a_target_with_a_preset_is_that_of_the_preset(mode, preset, number, member):
    payload = {"mode": [{"channel": 0, "mode": number, member: 225}]}
    command = ClimateState(preset=preset, target_c=22.4)
    assert tell(mode, "thermostat", command) == [(MODE, payload)]


def test_a_target_while_the_schedule_runs_is_manual(mode):
    mode.take(MODE, {"mode": [{**ITEM, "mode": 3}]}, AT)
    payload = {"mode": [{"channel": 0, "mode": 4, "manualTemp": 215}]}
    assert tell(mode, "thermostat", ClimateState(target_c=21.5)) == [(MODE, payload)]
    for command in (
        ClimateState(target_c=20, mode="auto"),
        ClimateState(target_c=20, preset="schedule"),
        ClimateState(mode="auto", preset="comfort"),
    ):
        with pytest.raises(UsageError):
            tell(mode, "thermostat", command)


@pytest.mark.parametrize("answer", [{}, {"mode": []}])
def test_an_acknowledgement_without_content_says_what_was_asked(mode, answer):
    update = acknowledge(mode, "thermostat", ClimateState(target_c=18), answer)
    assert update.states["thermostat"].target_c == 18
    update = acknowledge(mode, "thermostat", ClimateState(preset="comfort"), answer)
    assert update.states["thermostat"].target_c == 22


@pytest.mark.parametrize("said", [{}, {"targetTemp": 35_000}, {"targetTemp": "x"}])
def test_the_target_follows_the_set_point_unless_it_is_told(mode, said):
    told = {"mode": [{"channel": 0, "mode": 0, **said}]}
    assert mode.take(MODE, told, AT).states["thermostat"].target_c == 22
    told = {"mode": [{"channel": 0, "heatTemp": 190, **said}]}
    assert mode.take(MODE, told, AT).states["thermostat"].target_c == 19
    # Neither the preset nor its set point: what was told holds.
    mode.take(MODE, {"mode": [{"channel": 0, "targetTemp": 205}]}, AT)
    told = {"mode": [{"channel": 0, "currentTemp": 200, **said}]}
    assert mode.take(MODE, told, AT).states["thermostat"].target_c == 20.5


def test_an_acknowledgement_with_content_wins(mode):
    said = {"mode": [{**ITEM, "manualTemp": 185, "targetTemp": 185, "state": 0}]}
    state = acknowledge(mode, "thermostat", ClimateState(target_c=18), said)
    assert state.states["thermostat"].target_c == 18.5
    assert state.states["thermostat"].action == "idle"


def test_off_heat_cool_and_auto(mode):
    on = {"channel": 0, "onoff": 1}
    assert tell(mode, "thermostat", ClimateState(mode="off")) == [
        (MODE, {"mode": [{"channel": 0, "onoff": 0}]})
    ]
    assert tell(mode, "thermostat", ClimateState(mode="heat")) == [
        (MODE, {"mode": [on]})
    ]
    assert tell(mode, "thermostat", ClimateState(mode="auto")) == [
        (MODE, {"mode": [{**on, "mode": 3}]})
    ]
    cooling = {"summerMode": [{"channel": 0, "mode": 2}]}
    assert tell(mode, "thermostat", ClimateState(mode="cool")) == [
        (SUMMER_MODE, cooling),
        (MODE, {"mode": [on]}),
    ]
    update = acknowledge(mode, "thermostat_season", "cooling")
    assert update.states["thermostat"].mode == "cool"
    assert update.states["thermostat"].action == "cooling"
    off = acknowledge(mode, "thermostat", ClimateState(mode="off")).states["thermostat"]
    assert (off.mode, off.action, off.preset) == ("off", "off", "manual")


def test_what_only_heats_does_not_cool():
    thermostat = Thermostat(about("mts205b", MODE, SUMMER_MODE))
    assert entity(thermostat, "thermostat").modes == ("off", "heat", "auto")
    with pytest.raises(UsageError):
        tell(thermostat, "thermostat", ClimateState(mode="cool"))


def test_set_points_of_presets(mode):
    assert tell(mode, "thermostat_economy_temperature", 13.2) == [
        (MODE, {"mode": [{"channel": 0, "ecoTemp": 130}]})
    ]


def test_the_range_is_what_the_device_says(mode):
    assert entity(mode, "thermostat").max_target_c == 35
    update = mode.take(MODE, {"mode": [{"channel": 0, "min": 100, "max": 250}]}, AT)
    assert update.entities_changed
    climate = entity(mode, "thermostat")
    assert (climate.min_target_c, climate.max_target_c) == (10, 25)
    for absurd in ({"min": 300, "max": 100}, {"min": -5, "max": 10**9}, {"min": "x"}):
        assert not mode.take(MODE, {"mode": [absurd]}, AT).entities_changed
    assert entity(mode, "thermostat") == climate


# ---------------------------------------------------------------- second generation


@pytest.fixture
def mode_b():
    thermostat = ThermostatB(about("mts960", MODE_B, CTL_RANGE))
    item = {"channel": 0, "onoff": 1, "mode": 1, "working": 1, "state": 1,
            "targetTemp": 2250, "currentTemp": 1987, "sensorStatus": 1}  # fmt: skip
    thermostat.take_digest({"thermostat": {"modeB": [item]}}, AT)
    return thermostat


def test_mode_b_is_a_hundred_times(mode_b):
    update = mode_b.take(MODE_B, {"modeB": {"targetTemp": 2300}}, AT)
    assert update.states == {
        "thermostat": ClimateState(
            mode="heat", target_c=23, current_c=19.87, action="heating", preset="manual"
        ),
        "thermostat_probe": True,
    }
    for said, mode, action in (
        ({"state": 2}, "heat", "idle"),
        ({"working": 2}, "cool", "idle"),
        ({"state": 1}, "cool", "cooling"),
        ({"mode": 2}, "auto", "cooling"),
        ({"onoff": 2}, "off", "off"),
    ):
        state = mode_b.take(MODE_B, {"modeB": [said]}, AT).states["thermostat"]
        assert (state.mode, state.action) == (mode, action)


@pytest.mark.parametrize(
    ("command", "members"),
    [
        (ClimateState(mode="off"), {"onoff": 2}),
        (ClimateState(mode="heat"), {"onoff": 1, "working": 1}),
        (ClimateState(mode="cool"), {"onoff": 1, "working": 2}),
        (ClimateState(mode="auto"), {"onoff": 1, "mode": 2}),
        (ClimateState(preset="timer"), {"mode": 3}),
        (ClimateState(target_c=21.5), {"targetTemp": 2150}),
    ],
)
def test_commands_of_mode_b(mode_b, command, members):
    wanted = {"modeB": [{"channel": 0, **members}]}
    assert tell(mode_b, "thermostat", command) == [(MODE_B, wanted)]


def test_mode_b_leaves_its_schedule_for_a_target(mode_b):
    mode_b.take(MODE_B, {"modeB": [{"mode": 2}]}, AT)
    wanted = {"modeB": [{"channel": 0, "mode": 1, "targetTemp": 2000}]}
    assert tell(mode_b, "thermostat", ClimateState(target_c=20)) == [(MODE_B, wanted)]
    update = acknowledge(mode_b, "thermostat", ClimateState(target_c=20))
    assert update.states["thermostat"].preset == "manual"
    assert update.states["thermostat"].target_c == 20


def test_mode_b_has_its_range_apart(mode_b):
    payload = {
        "ctlRange": [
            {"channel": 0, "max": 3500, "min": 500, "ctlMax": 3000, "ctlMin": 1000}
        ]
    }
    assert mode_b.take(CTL_RANGE, payload, AT).entities_changed
    assert entity(mode_b, "thermostat").max_target_c == 30
    assert [p.request.payload for p in mode_b.polls] == [
        {"modeB": [{"channel": 0}]},
        {"ctlRange": [{"channel": 0}]},
    ]


# ----------------------------------------------------------------- third generation

C_ITEM = {
    "channel": 0, "mode": 1, "work": 1, "targetTemp": {"heat": 2100, "cold": 2600},
    "currentTemp": 2015, "fan": {"fMode": 0, "speed": 0, "hTime": 99999},
    "more": {"humi": 455, "hStatus": 1, "cStatus": 0, "fStatus": 1},
}  # fmt: skip


@pytest.fixture
def mode_c():
    thermostat = ThermostatC(about("mts300", MODE_C))
    thermostat.take(MODE_C, {"control": [C_ITEM]}, AT)
    return thermostat


def test_mode_c_has_two_set_points_fan_and_humidity(mode_c):
    assert mode_c.take(MODE_C, {"control": {"channel": 0}}, AT).states == {
        "thermostat": ClimateState(
            mode="heat", target_c=21, current_c=20.15, humidity_percent=45.5,
            action="heating", preset="manual",
        ),
        "thermostat_heat_target": 21,
        "thermostat_cool_target": 26,
        "thermostat_humidity": 45.5,
        "thermostat_fan": "auto",
    }  # fmt: skip
    state = mode_c.take(MODE_C, {"control": [{"mode": 3}]}, AT).states["thermostat"]
    assert (state.mode, state.target_c) == ("auto", None)


def test_commands_of_mode_c(mode_c):
    def told(key, command):
        ((namespace, payload),) = tell(mode_c, key, command)
        assert namespace == MODE_C
        (item,) = payload["control"]
        return item

    both = {"heat": 2200, "cold": 2600}
    assert told("thermostat", ClimateState(target_c=22)) == {
        "channel": 0, "targetTemp": both, "work": 1}  # fmt: skip
    assert told("thermostat", ClimateState(mode="cool", target_c=24)) == {
        "channel": 0, "mode": 2, "targetTemp": {"heat": 2100, "cold": 2400}, "work": 1}  # fmt: skip
    assert told("thermostat", ClimateState(mode="off")) == {"channel": 0, "mode": 0}
    assert told("thermostat", ClimateState(preset="schedule")) == {
        "channel": 0,
        "work": 2,
    }
    assert told("thermostat_cool_target", 25.0) == {
        "channel": 0, "targetTemp": {"heat": 2100, "cold": 2500}}  # fmt: skip
    fan = {"fMode": 1, "speed": 2, "hTime": 99999}
    assert told("thermostat_fan", "medium") == {"channel": 0, "fan": fan}
    with pytest.raises(
        UsageError, match="thermostat_heat_target or thermostat_cool_target"
    ):
        told("thermostat", ClimateState(mode="auto", target_c=22))
    update = acknowledge(mode_c, "thermostat_fan", "high")
    assert update.states["thermostat_fan"] == "high"
