"""What thermostats have besides their mode, as reference 4.10 describes it."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.meross.features.thermostat import MODE_B
from structiot.meross.features.thermostat_settings import ThermostatSettings
from tests._support.meross_features import AT, about, acknowledge, entity, tell

T = "Appliance.Control.Thermostat."


def settings(model, *abilities):
    return ThermostatSettings(about(model, *abilities))


SETTINGS = [
    # namespace, key of the payload, item, scale is a hundred, states
    ("WindowOpened", "windowOpened", {"status": 1, "detect": 1}, False,
     {"window_open": True, "window_detection": True}),
    ("Calibration", "calibration", {"value": -15, "min": -80, "max": 80}, False,
     {"calibration": -1.5}),
    ("Calibration", "calibration", {"value": 150, "humiValue": 20}, True,
     {"calibration": 1.5, "humidity_calibration": 2}),
    ("DeadZone", "deadZone", {"value": 5, "min": 5, "max": 35}, False,
     {"dead_zone": 0.5}),
    ("Frost", "frost", {"onoff": 1, "value": 50, "min": 50, "max": 150, "warning": 0}, False,
     {"frost_protection": True, "frost_temperature": 5, "frost_warning": False}),
    ("Overheat", "overheat",
     {"onoff": 0, "value": 450, "min": 200, "max": 700, "currentTemp": 251, "warning": 2}, False,
     {"overheat_protection": False, "overheat_temperature": 45, "overheat_warning": False,
      "floor_sensor_missing": True, "floor_temperature": 25.1}),
    ("HoldAction", "holdAction", {"mode": 2, "time": 90}, False,
     {"hold": "timer", "hold_time": 90}),
    ("Sensor", "sensor", {"mode": 2}, False, {"sensor": "internal"}),
    ("CtlRange", "ctlRange", {"max": 3500, "min": 500, "ctlMax": 3000, "ctlMin": 1000}, True,
     {"range_low": 10, "range_high": 30}),
    ("CompressorDelay", "delay", {"enable": 2, "value": 5}, True,
     {"compressor_delay": False, "compressor_delay_time": 5}),
    ("Timer", "timer", {"type": 1, "down": {"duration": 30, "end": 0, "onoff": 1}}, True,
     {"timer": "countdown", "timer_duration": 30}),
    ("Timer", "timer", {"type": 2, "cycle": {"onDuration": 5, "offDuration": 10}}, True,
     {"timer": "cycle", "timer_on_time": 5, "timer_off_time": 10}),
    ("AlarmConfig", "alarmConfig",
     {"highEnable": 1, "highTemp": 3000, "lowEnable": 2, "lowTemp": 800}, True,
     {"alarm_high": True, "alarm_high_temperature": 30, "alarm_low": False,
      "alarm_low_temperature": 8}),
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("is_list", [True, False])
def test_settings_are_read(setting, is_list):
    name, key, item, is_hundred, states = setting
    feature = settings("x", T + name, *[MODE_B] * is_hundred)
    item = {"channel": 0, **item}
    payload = {key: [item] if is_list else item}
    assert feature.take(T + name, payload, AT).states == states
    assert {e.key for e in feature.entities} >= set(states)
    (poll,) = feature.polls
    assert (poll.request.namespace, poll.request.payload) == (
        T + name,
        {key: [{"channel": 0}]},
    )


@pytest.mark.parametrize(
    ("name", "before", "key", "command", "members"),
    [
        ("WindowOpened", {}, "window_detection", False, {"detect": 0}),
        ("Calibration", {"value": 0, "min": -80, "max": 80}, "calibration", -2.3, {"value": -23}),
        ("DeadZone", {}, "dead_zone", 1.5, {"value": 15}),
        ("Frost", {"onoff": 1}, "frost_protection", False, {"onoff": 0}),
        # One that writes 2 for off has shown it.
        ("Frost", {"onoff": 2}, "frost_protection", False, {"onoff": 2}),
        ("Frost", {"onoff": 2}, "frost_protection", True, {"onoff": 1}),
        ("Frost", {}, "frost_temperature", 7.5, {"value": 75}),
        ("HoldAction", {"mode": 0, "time": 60}, "hold", "timer", {"mode": 2, "time": 60}),
        ("Sensor", {}, "sensor", "external", {"mode": 1}),
        ("CompressorDelay", {"enable": 1, "value": 5}, "compressor_delay", False,
         {"enable": 2, "value": 5}),
        ("Timer", {"type": 1, "down": {"duration": 30}}, "timer_duration", 45,
         {"type": 1, "down": {"duration": 45}}),
    ],
)  # fmt: skip
def test_settings_are_set(name, before, key, command, members):
    feature = settings("mts200", T + name)
    payload_key = next(k for n, k, *_ in SETTINGS if n == name)
    feature.take(T + name, {payload_key: [{"channel": 0, **before}]}, AT)
    wanted = {payload_key: [{"channel": 0, **members}]}
    assert tell(feature, key, command) == [(T + name, wanted)]
    assert acknowledge(feature, key, command).states[key] == command


def test_ranges_of_settings_come_from_the_device():
    feature = settings("mts200", T + "Calibration", T + "Frost")
    number = entity(feature, "calibration")
    assert (number.minimum, number.maximum) == (-8, 8)
    payload = {"calibration": [{"value": 0, "min": -45, "max": 45}]}
    assert feature.take(T + "Calibration", payload, AT).entities_changed
    number = entity(feature, "calibration")
    assert (number.minimum, number.maximum) == (-4.5, 4.5)
    assert not feature.take(T + "Calibration", payload, AT).entities_changed
    with pytest.raises(UsageError):
        tell(feature, "calibration", 6)


def test_screen_and_unit_of_display():
    screen, unit = "Appliance.Control.Screen.Brightness", "Appliance.Control.TempUnit"
    feature = settings("mts200", screen, unit)
    payload = {"brightness": [{"channel": 0, "operation": 75, "standby": 12.5}]}
    states = feature.take(screen, payload, AT).states
    assert states == {"screen_operation": 75, "screen_standby": 12.5}
    wanted = {"brightness": [{"channel": 0, "operation": 50, "standby": 12.5}]}
    assert tell(feature, "screen_operation", 50) == [(screen, wanted)]
    assert feature.take(unit, {"tempUnit": {"tempUnit": 2}}, AT).states == {
        "display_unit": "fahrenheit"
    }
    wanted = {"tempUnit": [{"channel": 0, "tempUnit": 1}]}
    assert tell(feature, "display_unit", "celsius") == [(unit, wanted)]


def test_an_alarm_happens():
    feature = settings("mts960", MODE_B, T + "Alarm")
    payload = {"alarm": [{"channel": 0, "temp": 3012, "type": 1}]}
    (happened,) = feature.take(T + "Alarm", payload, AT).happened
    assert happened.key == "temperature_alarm"
    assert happened.event_type in entity(feature, "temperature_alarm").event_types
    assert happened.data == {"channel": 0, "temperature_c": 30.12, "type": 1}
    assert feature.polls == []


def test_a_digest_tells_of_no_alarm():
    feature = settings("mts960", MODE_B, T + "Alarm")
    digest = {"thermostat": {"alarm": [{"channel": 0, "temp": 3012, "type": 1}]}}
    assert feature.take_digest(digest, AT).happened == ()


def test_the_window_is_in_the_digest():
    feature = settings("mts200", T + "WindowOpened")
    digest = {
        "thermostat": {"windowOpened": [{"channel": 0, "status": 0, "detect": 1}]}
    }
    states = feature.take_digest(digest, AT).states
    assert states == {"window_open": False, "window_detection": True}
