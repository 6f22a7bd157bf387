"""What thermostats of every generation have besides their mode: `Thermostat.*`.

Facts: reference 4.10. Which there are, the abilities tell; how many times as large
temperatures are on the wire, the generation. Ranges are the device's own as soon as it
tells them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.climate import CTL_RANGE
from structiot.meross.features.feature import (
    About,
    Happened,
    Update,
    entity_key,
)
from structiot.meross.features.fields import (
    Adjustable,
    Choice,
    Field,
    Flag,
    Measured,
    Setting,
    Switched,
    celsius,
)
from structiot.meross.features.table import MAX_CHANNELS
from structiot.meross.features.table_feature import TableFeature
from structiot.meross.features.thermostat_b import MODE_B
from structiot.meross.features.thermostat_c import MODE_C
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import channel_of, items_of, object_of
from structiot.model import Entity, Event

__all__ = ["ThermostatSettings"]

_T: Final = "Appliance.Control.Thermostat."
_WINDOW: Final = _T + "WindowOpened"
_ALARM: Final = _T + "Alarm"
_SCREEN: Final = "Appliance.Control.Screen.Brightness"
_TEMP_UNIT: Final = "Appliance.Control.TempUnit"
_DAY_MIN: Final = 1440
_MINUTE: Final = "min"
# What 1 and 2 are, of things that have no 0.
_TIMERS: Final = {1: "countdown", 2: "cycle"}
_HOLDS: Final = {0: "permanent", 1: "until_next_slot", 2: "timer"}
_SENSORS: Final = {0: "internal_and_external", 1: "external", 2: "internal"}
_UNITS: Final = {1: "celsius", 2: "fahrenheit"}
_MOST_ALARMS: Final = 16


def _namespaces() -> frozenset[str]:
    return frozenset(s.namespace for s in _settings(10, 0)) | {_ALARM}


def _temperature(
    key: str, name: str, scale: int, low: float, high: float, *path: str
) -> Adjustable:
    return Adjustable(
        key=key,
        path=path or ("value",),
        name=name,
        category="config",
        device_class="temperature",
        scale=scale,
        minimum=low,
        maximum=high,
        step=0.1,
    )


def _offset(key: str, name: str, scale: int, limit: float) -> Adjustable:
    # A difference is no temperature: who shows Fahrenheit would add 32.
    return Adjustable(
        key=key,
        path=("value",),
        name=name,
        category="config",
        scale=scale,
        minimum=-limit,
        maximum=limit,
        step=0.1,
    )


def _amount(
    key: str, name: str, unit: str | None, most: float, *path: str
) -> Adjustable:
    return Adjustable(
        key=key,
        path=path,
        name=name,
        category="config",
        minimum=0,
        maximum=most,
        lowest=0,
        highest=most,
        step=1,
        unit=unit,
        is_optional=True,
        ends=("", ""),
    )


def _switch(key: str, name: str, member: str, off: int) -> Switched:
    return Switched(key=key, path=(member,), name=name, category="config", off=off)


def _choice(key: str, name: str, member: str, options: dict[int, str]) -> Choice:
    return Choice(
        key=key, path=(member,), name=name, category="config", options=options
    )


def _problem(key: str, name: str, *on: int) -> Flag:
    return Flag(
        key=key,
        path=("warning",),
        name=name,
        category="diagnostic",
        device_class="problem",
        is_optional=True,
        on=on,
    )


def _settings(scale: int, off: int) -> list[Setting]:
    return [
        *_protection(scale, off),
        _overheat(scale, off),
        _alarms(scale, off),
        *_corrections(scale),
        *_control(scale),
        *_display(),
    ]


def _protection(scale: int, off: int) -> list[Setting]:
    opened = Flag(
        key="window_open", path=("status",), name="Window", device_class="window"
    )
    return [
        Setting(
            namespace=_WINDOW,
            fields=(
                opened,
                _switch("window_detection", "Window detection", "detect", off),
            ),
            pace="live",
        ),
        Setting(
            namespace=_T + "Frost",
            fields=(
                _switch("frost_protection", "Frost protection", "onoff", off),
                _temperature("frost_temperature", "Frost temperature", scale, 5, 15),
                _problem("frost_warning", "Frost", 1),
            ),
        ),
    ]


def _overheat(scale: int, off: int) -> Setting:
    floor = Measured(
        key="floor_temperature",
        path=("currentTemp",),
        name="Floor temperature",
        device_class="temperature",
        scale=scale,
        is_optional=True,
    )
    return Setting(
        namespace=_T + "Overheat",
        fields=(
            _switch("overheat_protection", "Overheat protection", "onoff", off),
            _temperature("overheat_temperature", "Overheat temperature", scale, 20, 70),
            _problem("overheat_warning", "Overheating", 1),
            Flag(
                key="floor_sensor_missing",
                path=("warning",),
                name="Floor sensor missing",
                category="diagnostic",
                device_class="problem",
                is_optional=True,
                on=(2,),
            ),
            floor,
        ),
        pace="live",
    )


def _alarms(scale: int, off: int) -> Setting:
    return Setting(
        namespace=_T + "AlarmConfig",
        fields=(
            _switch("alarm_high", "High alarm", "highEnable", off),
            _temperature(
                "alarm_high_temperature", "High alarm at", scale, 5, 35, "highTemp"
            ),
            _switch("alarm_low", "Low alarm", "lowEnable", off),
            _temperature(
                "alarm_low_temperature", "Low alarm at", scale, 5, 35, "lowTemp"
            ),
        ),
        is_whole=True,
    )


def _corrections(scale: int) -> list[Setting]:
    limit = 20.0 if scale == 100 else 8.0
    humidity = Adjustable(
        key="humidity_calibration",
        path=("humiValue",),
        name="Humidity calibration",
        category="config",
        scale=10,
        minimum=-20,
        maximum=20,
        step=0.1,
        unit="%",
        is_optional=True,
        ends=("humiMin", "humiMax"),
    )
    dead_zone = Adjustable(
        key="dead_zone",
        path=("value",),
        name="Dead zone",
        category="config",
        scale=scale,
        minimum=0.5,
        maximum=20.0 if scale == 100 else 3.5,
        step=0.1,
    )
    return [
        Setting(
            namespace=_T + "Calibration",
            fields=(_offset("calibration", "Calibration", scale, limit), humidity),
        ),
        Setting(namespace=_T + "DeadZone", fields=(dead_zone,)),
    ]


def _control(scale: int) -> list[Setting]:
    low = _temperature("range_low", "Lowest target", scale, 5, 35, "ctlMin")
    high = _temperature("range_high", "Highest target", scale, 5, 35, "ctlMax")
    return [
        Setting(namespace=CTL_RANGE, fields=(low, high), is_whole=True),
        Setting(
            namespace=_T + "HoldAction",
            fields=(
                _choice("hold", "Hold", "mode", _HOLDS),
                _amount("hold_time", "Hold for", _MINUTE, _DAY_MIN, "time"),
            ),
            is_whole=True,
        ),
        Setting(
            namespace=_T + "Sensor",
            fields=(_choice("sensor", "Sensor", "mode", _SENSORS),),
        ),
        Setting(
            namespace=_T + "CompressorDelay",
            fields=(
                _switch("compressor_delay", "Compressor delay", "enable", 2),
                _amount(
                    "compressor_delay_time",
                    "Compressor delay time",
                    _MINUTE,
                    60,
                    "value",
                ),
            ),
            is_whole=True,
        ),
        Setting(namespace=_T + "Timer", fields=_timer(), is_whole=True),
    ]


def _timer() -> tuple[Field, ...]:
    return (
        _choice("timer", "Timer", "type", _TIMERS),
        _amount("timer_duration", "Countdown", _MINUTE, _DAY_MIN, "down", "duration"),
        _amount("timer_on_time", "Time on", _MINUTE, _DAY_MIN, "cycle", "onDuration"),
        _amount(
            "timer_off_time", "Time off", _MINUTE, _DAY_MIN, "cycle", "offDuration"
        ),
    )


def _display() -> list[Setting]:
    brightness = tuple(
        Adjustable(
            key=f"screen_{member}",
            path=(member,),
            name=f"Screen brightness, {when}",
            category="config",
            minimum=0,
            maximum=100,
            lowest=0,
            highest=100,
            step=12.5,
            unit="%",
            ends=("", ""),
        )
        for member, when in (("operation", "in use"), ("standby", "standing by"))
    )
    unit = _choice("display_unit", "Unit on display", "tempUnit", _UNITS)
    return [
        Setting(namespace=_SCREEN, fields=brightness, is_whole=True),
        Setting(namespace=_TEMP_UNIT, fields=(unit,)),
    ]


class ThermostatSettings(TableFeature):
    """All of `Thermostat.*` but modes, seasons and schedules; screen and alarms."""

    name = "thermostat_settings"
    namespaces: ClassVar[frozenset[str]] = _namespaces()
    abilities: ClassVar[tuple[str, ...]] = tuple(sorted(namespaces))

    def __init__(self, about: About) -> None:
        is_newer = MODE_B in about.abilities or MODE_C in about.abilities
        super().__init__(
            about, _settings(100 if is_newer else 10, 2 if is_newer else 0)
        )
        self._scale = 100 if is_newer else 10

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The settings, and what alarms there can be."""
        if _ALARM not in self.about.abilities:
            return super().entities
        alarm = Event(
            key="temperature_alarm", name="Temperature alarm", event_types=("alarm",)
        )
        return (*super().entities, alarm)

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read the window."""
        found = object_of(digest, "thermostat").get("windowOpened")
        return self.take(_WINDOW, {"windowOpened": found}, at_utc)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read settings, or what an alarm says."""
        if namespace != _ALARM:
            return super().take(namespace, payload, at_utc)
        return Update(happened=self._alarms(payload, at_utc))

    def _alarms(self, payload: Payload, at_utc: datetime) -> tuple[Happened, ...]:
        items: Sequence[object] = items_of(payload, "alarm")[:_MOST_ALARMS]
        return tuple(
            Happened(
                key=entity_key("temperature_alarm", 0),
                event_type="alarm",
                data={
                    "channel": channel_of(item),
                    "temperature_c": celsius(item.get("temp"), self._scale),
                    "type": _type(item.get("type")),
                },
                at_utc=at_utc,
            )
            for item in items
            if isinstance(item, dict) and channel_of(item) < MAX_CHANNELS
        )


def _type(value: object) -> int | None:
    number = integer_of(value)
    return number if number is not None and 0 <= number <= 255 else None
