"""What thermostats of every generation have besides their mode: `Thermostat.*`.

Facts: reference 4.10. Which there are, the abilities tell; how many times as large
temperatures are on the wire, the generation. Ranges are the device's own as soon as it
tells them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.climate import CTL_RANGE, ThermostatFeature
from structiot.meross.features.feature import About, Happened, Update, entity_key
from structiot.meross.features.fields import (
    Adjustable,
    Amount,
    Choice,
    Flag,
    Limits,
    Occurring,
    Setting,
    Switched,
    celsius,
)
from structiot.meross.features.samples import TEMPERATURE
from structiot.meross.features.thermostat import MODE_B
from structiot.meross.features.thermostat_c import MODE_C
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import channel_of, items_of

__all__ = ["ThermostatSettings"]

_T: Final = "Appliance.Control.Thermostat."
_ALARM: Final = _T + "Alarm"
_SCREEN: Final = "Appliance.Control.Screen.Brightness"
_TEMP_UNIT: Final = "Appliance.Control.TempUnit"
_ROOM: Final = (5.0, 35.0)
_MOST_ALARMS: Final = 16


def _switch(key: str, member: str, off: int, name: str = "") -> Switched:
    return Switched(key, (member,), name=name, category="config", off=off)


def _choice(key: str, member: str, options: dict[int, str], name: str = "") -> Choice:
    return Choice(key, (member,), name=name, category="config", options=options)


def _problem(key: str, on: int, name: str = "") -> Flag:
    return Flag(
        key,
        ("warning",),
        name=name,
        category="diagnostic",
        device_class="problem",
        is_optional=True,
        on=(on,),
    )


def _temperature(
    key: str, scale: int, limits: Limits, member: str = "value", name: str = ""
) -> Adjustable:
    return Adjustable(
        key,
        (member,),
        name=name,
        category="config",
        device_class="temperature",
        scale=scale,
        minimum=limits[0],
        maximum=limits[1],
        step=0.1,
    )


def _difference(key: str, scale: int, limits: Limits) -> Adjustable:
    # A difference is no temperature: who shows Fahrenheit would add 32.
    return replace(_temperature(key, scale, limits), device_class=None)


def _minutes(
    key: str, path: tuple[str, ...], name: str = "", most: float = 1440
) -> Amount:
    return Amount(key, path, name=name, maximum=most, unit="min", is_optional=True)


def _brightness(member: str, when: str) -> Amount:
    name = f"Screen brightness, {when}"
    return Amount(
        f"screen_{member}", (member,), name=name, maximum=100, step=12.5, unit="%"
    )


def _protection(scale: int, off: int) -> list[Setting]:
    opened = Flag("window_open", ("status",), name="Window", device_class="window")
    floor = replace(
        TEMPERATURE, key="floor_temperature", path=("currentTemp",), scale=scale
    )
    window = (opened, _switch("window_detection", "detect", off))
    frost = (
        _switch("frost_protection", "onoff", off),
        _temperature("frost_temperature", scale, (5, 15)),
        _problem("frost_warning", 1, "Frost"),
    )
    overheat = (
        _switch("overheat_protection", "onoff", off),
        _temperature("overheat_temperature", scale, (20, 70)),
        _problem("overheat_warning", 1, "Overheating"),
        _problem("floor_sensor_missing", 2),
        floor,
    )
    alarms = (
        _switch("alarm_high", "highEnable", off, "High alarm"),
        _temperature(
            "alarm_high_temperature", scale, _ROOM, "highTemp", "High alarm at"
        ),
        _switch("alarm_low", "lowEnable", off, "Low alarm"),
        _temperature("alarm_low_temperature", scale, _ROOM, "lowTemp", "Low alarm at"),
    )
    return [
        Setting(_T + "WindowOpened", window, pace="live"),
        Setting(_T + "Frost", frost),
        Setting(_T + "Overheat", overheat, pace="live"),
        Setting(_T + "AlarmConfig", alarms, is_whole=True),
    ]


def _corrections(scale: int) -> list[Setting]:
    most, widest = (20.0, 20.0) if scale == 100 else (8.0, 3.5)
    humidity = Adjustable(
        "humidity_calibration",
        ("humiValue",),
        category="config",
        scale=10,
        minimum=-20,
        maximum=20,
        step=0.1,
        unit="%",
        is_optional=True,
        ends=("humiMin", "humiMax"),
    )
    calibration = (_difference("calibration", scale, (-most, most)), humidity)
    dead_zone = (_difference("dead_zone", scale, (0.5, widest)),)
    return [
        Setting(_T + "Calibration", calibration),
        Setting(_T + "DeadZone", dead_zone),
    ]


def _control(scale: int) -> list[Setting]:
    ends = (
        _temperature("range_low", scale, _ROOM, "ctlMin", "Lowest target"),
        _temperature("range_high", scale, _ROOM, "ctlMax", "Highest target"),
    )
    hold = (
        _choice("hold", "mode", {0: "permanent", 1: "until_next_slot", 2: "timer"}),
        _minutes("hold_time", ("time",), "Hold for"),
    )
    sensors = {0: "internal_and_external", 1: "external", 2: "internal"}
    delay = (
        _switch("compressor_delay", "enable", 2),
        _minutes("compressor_delay_time", ("value",), most=60),
    )
    timer = (
        _choice("timer", "type", {1: "countdown", 2: "cycle"}),
        _minutes("timer_duration", ("down", "duration"), "Countdown"),
        _minutes("timer_on_time", ("cycle", "onDuration"), "Time on"),
        _minutes("timer_off_time", ("cycle", "offDuration"), "Time off"),
    )
    return [
        Setting(CTL_RANGE, ends, is_whole=True),
        Setting(_T + "HoldAction", hold, is_whole=True),
        Setting(_T + "Sensor", (_choice("sensor", "mode", sensors),)),
        Setting(_T + "CompressorDelay", delay, is_whole=True),
        Setting(_T + "Timer", timer, is_whole=True),
    ]


def _display() -> list[Setting]:
    brightness = (
        _brightness("operation", "in use"),
        _brightness("standby", "standing by"),
    )
    units = {1: "celsius", 2: "fahrenheit"}
    unit = _choice("display_unit", "tempUnit", units, "Unit on display")
    alarm = Occurring("temperature_alarm", event_types=("alarm",))
    return [
        Setting(_SCREEN, brightness, is_whole=True),
        Setting(_TEMP_UNIT, (unit,)),
        Setting(_ALARM, (alarm,), pace=None),
    ]


def _settings(scale: int, off: int) -> list[Setting]:
    return [
        *_protection(scale, off),
        *_corrections(scale),
        *_control(scale),
        *_display(),
    ]


class ThermostatSettings(ThermostatFeature):
    """All of `Thermostat.*` but modes, seasons and schedules; screen and alarms."""

    name = "thermostat_settings"
    abilities: ClassVar[tuple[str, ...]] = tuple(
        sorted(setting.namespace for setting in _settings(10, 0))
    )

    def __init__(self, about: About) -> None:
        is_newer = MODE_B in about.abilities or MODE_C in about.abilities
        self._scale = 100 if is_newer else 10
        self.settings: Sequence[Setting] = _settings(self._scale, 2 if is_newer else 0)
        super().__init__(about)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read settings, or what an alarm says."""
        if namespace != _ALARM:
            return super().take(namespace, payload, at_utc)
        known = self.channels
        happened = tuple(
            Happened(
                key=entity_key("temperature_alarm", channel if channel in known else 0),
                event_type="alarm",
                data={
                    "channel": channel,
                    "temperature_c": celsius(item.get("temp"), self._scale),
                    "type": _type(item.get("type")),
                },
                at_utc=at_utc,
            )
            for item in items_of(payload, "alarm")[:_MOST_ALARMS]
            for channel in [channel_of(item)]
        )
        return Update(happened=happened)


def _type(value: object) -> int | None:
    number = integer_of(value)
    return number if number is not None and 0 <= number <= 255 else None
