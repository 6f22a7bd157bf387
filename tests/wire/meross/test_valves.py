"""Radiator valves (reference 4.12)."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.model import ClimateState
from tests._support.meross_features import HubOfOne, entity

TEMPERATURE = {
    "room": 205, "currentSet": 220, "custom": 200, "comfort": 220, "economy": 180,
    "max": 350, "min": 50, "heating": 1, "away": 120, "openWindow": 0,
}  # fmt: skip
ALL = {
    "scheduleBMode": 6, "online": {"status": 1, "lastActiveTime": 1699999900},
    "togglex": {"onoff": 1}, "timeSync": {"state": 1}, "mode": {"state": 1},
    "temperature": TEMPERATURE,
}  # fmt: skip


@pytest.fixture(params=["mts100", "mts100v3", "mts150", "mts150p"])
def valve(request):
    one = HubOfOne(request.param)
    one.take("Hub.Mts100.All", "all", ALL)
    return one


def test_all_of_a_valve():
    one = HubOfOne("mts100v3")
    assert one.take("Hub.Mts100.All", "all", ALL).states == {
        "valve": ClimateState(
            mode="heat", target_c=22, current_c=20.5, action="heating", preset="comfort"
        ),
        "window_open": False,
        "comfort_temperature": 22,
        "economy_temperature": 18,
        "away_temperature": 12,
    }


def test_a_push_of_a_valve_is_partial(valve):
    update = valve.take("Hub.Mts100.Temperature", "temperature", {"room": 211})
    assert update.states == {
        "valve": ClimateState(
            mode="heat", target_c=22, current_c=21.1, action="heating", preset="comfort"
        )
    }
    update = valve.take(
        "Hub.Mts100.Temperature", "temperature", {"currentSet": 180, "openWindow": 1}
    )
    assert update.states["valve"].target_c == 18
    assert update.states["window_open"] is True


@pytest.mark.parametrize(
    ("state", "mode", "preset", "target_c"),
    [(0, "heat", "custom", 20), (1, "heat", "comfort", 22), (2, "heat", "economy", 18),
     (4, "heat", "away", 12), (3, "auto", "auto", 22)],
)  # fmt: skip
def test_modes_of_a_valve(valve, state, mode, preset, target_c):
    now = valve.take("Hub.Mts100.Mode", "mode", {"state": state})
    if state != 1:
        climate = now.states["valve"]
        assert (climate.mode, climate.preset, climate.target_c) == (
            mode,
            preset,
            target_c,
        )
    command = ClimateState(preset=preset)
    assert valve.tell("valve", command) == [("Hub.Mts100.Mode", {"state": state})]
    # The answer is empty; the push that confirms comes later.
    assert valve.acknowledge("valve", command).states["valve"].preset == preset


def test_off_heat_and_auto_of_a_valve(valve):
    toggle = "Hub.ToggleX"
    off = ClimateState(mode="off")
    assert valve.tell("valve", off) == [(toggle, {"channel": 0, "onoff": 0})]
    state = valve.acknowledge("valve", off).states["valve"]
    assert (state.mode, state.action, state.preset) == ("off", "off", "comfort")
    on = (toggle, {"channel": 0, "onoff": 1})
    assert valve.tell("valve", ClimateState(mode="heat")) == [on]
    auto = ClimateState(mode="auto")
    assert valve.tell("valve", auto) == [on, ("Hub.Mts100.Mode", {"state": 3})]
    valve.take("Hub.ToggleX", "togglex", {"onoff": 1})
    assert valve.acknowledge("valve", auto).states["valve"].mode == "auto"
    custom = ("Hub.Mts100.Mode", {"state": 0})
    assert valve.tell("valve", ClimateState(mode="heat")) == [on, custom]


def test_a_target_of_a_valve_is_mode_0_and_custom(valve):
    mode = ("Hub.Mts100.Mode", {"state": 0})
    custom = ("Hub.Mts100.Temperature", {"custom": 205})
    assert valve.tell("valve", ClimateState(target_c=20.4)) == [mode, custom]
    answer = {
        "temperature": [
            {"id": valve.id, **TEMPERATURE, "custom": 205, "currentSet": 205}
        ]
    }
    state = valve.acknowledge("valve", ClimateState(target_c=20.5), answer).states[
        "valve"
    ]
    assert (state.target_c, state.preset) == (20.5, "custom")
    # It is in mode 0 now.
    assert valve.tell("valve", ClimateState(target_c=20.5)) == [custom]
    assert (
        valve.acknowledge("valve", ClimateState(target_c=19)).states["valve"].target_c
        == 19
    )


def test_targets_of_presets_of_a_valve(valve):
    assert valve.tell("valve", ClimateState(preset="away", target_c=10)) == [
        ("Hub.Mts100.Mode", {"state": 4}),
        ("Hub.Mts100.Temperature", {"away": 100}),
    ]
    assert valve.tell("economy_temperature", 17.5) == [
        ("Hub.Mts100.Temperature", {"economy": 175})
    ]
    update = valve.acknowledge("comfort_temperature", 23)
    assert update.states["comfort_temperature"] == 23
    assert update.states["valve"].target_c == 23
    for command in (
        ClimateState(preset="auto", target_c=20),
        ClimateState(mode="auto", target_c=20),
        ClimateState(mode="auto", preset="away"),
    ):
        with pytest.raises(UsageError):
            valve.tell("valve", command)


def test_the_range_and_the_adjustment_of_a_valve(valve):
    limits = {"min": 100, "max": 300}
    assert valve.take("Hub.Mts100.Temperature", "temperature", limits).entities_changed
    climate = entity(valve.sub, "valve")
    assert (climate.min_target_c, climate.max_target_c) == (10, 30)
    adjusted = valve.take("Hub.Mts100.Adjust", "adjust", {"temperature": -150})
    assert adjusted.states == {"temperature_adjustment": -1.5}
    wanted = [("Hub.Mts100.Adjust", {"temperature": 50})]
    assert valve.tell("temperature_adjustment", 0.5) == wanted
    detection = {"enable": 1, "level": 2, "alert": 1}
    update = valve.take("Hub.Mts100.SuperCtl", "superCtl", detection)
    assert update.states == {"window_detection": True}
    wanted = [("Hub.Mts100.SuperCtl", {"enable": 0})]
    assert valve.tell("window_detection", False) == wanted


def test_a_digest_that_is_older_loses():
    one = HubOfOne("mts100v3")
    assert one.digest(lastActiveTime=1699990000, onoff=1, mts100v3={"mode": 2}).states
    one.take("Hub.Mts100.All", "all", ALL)
    for time in (1699990000, 1699999900):
        assert not one.digest(lastActiveTime=time, onoff=0, mts100v3={"mode": 2}).states
    # A push has no time, and is news all the same.
    pushed = one.take("Hub.Mts100.Mode", "mode", {"state": 4})
    assert pushed.states["valve"].preset == "away"
    assert not one.digest(lastActiveTime=1699999900, mts100v3={"mode": 1}).states
    newer = one.digest(lastActiveTime=1699999950, onoff=0, mts100v3={"mode": 2})
    assert newer.states["valve"].mode == "off"
    assert not one.take("Hub.Mts100.All", "all", ALL).states


def test_a_clock_far_ahead_silences_nobody():
    one = HubOfOne("mts100v3")
    ahead = {**ALL, "online": {"status": 1, "lastActiveTime": 1999999999}}
    assert one.take("Hub.Mts100.All", "all", ahead).states
    assert one.take("Hub.Mts100.All", "all", ALL).states
