"""Thermostats of the third generation (mts300): `Thermostat.ModeC`.

Facts: reference 4.10. Temperatures are a hundred times as large on the wire. It has one
set point to heat to and one to cool to; in auto both hold, so that its `Climate` has no
target then, and two numbers set them in every mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.climate import CTL_RANGE, ClimateFeature, Zone
from structiot.meross.features.feature import Request, entity_key
from structiot.meross.features.fields import celsius, scaled
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import (
    ClimateState,
    Command,
    Entity,
    Number,
    Select,
    Sensor,
    State,
)

__all__ = ["MODE_C", "ThermostatC"]

MODE_C: Final = "Appliance.Control.Thermostat.ModeC"

_MODES: Final = {0: "off", 1: "heat", 2: "cool", 3: "auto"}
_WORK: Final = {1: "manual", 2: "schedule"}
_MANUAL: Final = 1
_SET_POINTS: Final = {"heat": "heat", "cool": "cold"}
# What `fMode` and `speed` are for each choice; auto takes no speed.
_FAN: Final = {
    "auto": (0, 0),
    "on": (1, 0),
    "low": (1, 1),
    "medium": (1, 2),
    "high": (1, 3),
}
_NO_HOLD: Final = 99_999
# Which part works: heat, cool, fan, auxiliary heat, humidifier.
_PARTS: Final = ("hStatus", "cStatus", "fStatus", "aStatus", "hdStatus")


class ThermostatC(ClimateFeature):
    """`Thermostat.ModeC`, with both set points, fan and humidity."""

    name = "thermostat"
    abilities: ClassVar[tuple[str, ...]] = (MODE_C,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MODE_C, CTL_RANGE})
    namespace = MODE_C
    scale = 100
    presets: ClassVar[tuple[str, ...]] = tuple(_WORK.values())

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Set the mode, preset or target, one of the set points, or the fan."""
        for channel in self._zones:
            if key == self._key("fan", channel):
                mode, speed = _FAN[str(command)]
                fan = {"fMode": mode, "speed": speed, "hTime": _NO_HOLD}
                return [self._order(channel, {"fan": fan})]
            for mode_name in _SET_POINTS:
                if key == self._key(f"{mode_name}_target", channel) and isinstance(
                    command, int | float
                ):
                    return [
                        self._order(channel, self._target(channel, mode_name, command))
                    ]
        return super().command(key, command, at_utc)

    def _besides(self, channel: int) -> Sequence[Entity]:
        low, high = self._range(channel)
        suffix = f" {channel}" if channel else ""
        targets = [
            Number(
                key=self._key(f"{mode}_target", channel),
                name=f"{mode.capitalize()} target{suffix}",
                device_class="temperature",
                minimum=low,
                maximum=high,
                step=self.step_c,
                unit="°C",
            )
            for mode in _SET_POINTS
        ]
        fan = Select(
            key=self._key("fan", channel), name=f"Fan{suffix}", options=tuple(_FAN)
        )
        humidity = Sensor(
            key=self._key("humidity", channel),
            name=f"Humidity{suffix}",
            device_class="humidity",
            unit="%",
            state_class="measurement",
            decimals=1,
        )
        return [*targets, fan, humidity]

    def _read(self, namespace: str, item: Item, zone: Zone) -> None:
        if namespace == CTL_RANGE:
            self._read_range(item, zone, "ctlMin", "ctlMax")
            return
        fan, more = object_of(item, "fan"), object_of(item, "more")
        parts = {name: more.get(name) for name in _PARTS}
        said = {"mode": item.get("mode"), "work": item.get("work"), **parts}
        said |= {"fMode": fan.get("fMode"), "speed": fan.get("speed")}
        for name, value in said.items():
            number = integer_of(value)
            if number is not None and 0 <= number <= 255:
                zone.numbers[name] = number
        targets = object_of(item, "targetTemp")
        for name, value in (
            ("currentTemp", item.get("currentTemp")),
            *((point, targets.get(point)) for point in _SET_POINTS.values()),
        ):
            temperature = celsius(value, self.scale)
            if temperature is not None:
                zone.temperatures_c[name] = temperature
        humidity = scaled(more.get("humi"), 10, 0, 100)
        if humidity is not None:
            zone.humidity_percent = humidity

    def _states(self, channel: int) -> Mapping[str, State | None]:
        zone = self._zones[channel]
        numbers, temperatures = zone.numbers, zone.temperatures_c
        states: dict[str, State | None] = {
            self._key(f"{mode}_target", channel): temperatures[point]
            for mode, point in _SET_POINTS.items()
            if point in temperatures
        }
        if zone.humidity_percent is not None:
            states[self._key("humidity", channel)] = zone.humidity_percent
        if "fMode" in numbers:
            speed = numbers.get("speed", 0) if numbers["fMode"] else 0
            fan = (numbers["fMode"], speed)
            states[self._key("fan", channel)] = next(
                (name for name, known in _FAN.items() if known == fan), None
            )
        mode = _MODES.get(numbers.get("mode", -1))
        if mode is not None:
            states[entity_key(self.name, channel)] = ClimateState(
                mode=mode,
                target_c=temperatures.get(_SET_POINTS.get(mode, "")),
                current_c=temperatures.get("currentTemp"),
                humidity_percent=zone.humidity_percent,
                action=_action(mode, numbers),
                preset=_WORK.get(numbers.get("work", 0)),
            )
        return states

    def _target(self, channel: int, mode: str, celsius: float) -> dict[str, object]:
        """Give both set points: it is not known to keep the one that is left out."""
        known = self._zones[channel].temperatures_c
        targets = {
            point: self._write(known[point])
            for point in _SET_POINTS.values()
            if point in known
        }
        targets[_SET_POINTS[mode]] = self._write(celsius)
        return {"targetTemp": targets}

    def _climate(self, channel: int, command: ClimateState) -> Sequence[Request]:
        now = _MODES.get(self._zones[channel].numbers.get("mode", -1))
        mode = command.mode or now
        members: dict[str, object] = {}
        if command.mode is not None:
            members["mode"] = next(n for n, m in _MODES.items() if m == command.mode)
        if command.preset is not None:
            members["work"] = next(n for n, w in _WORK.items() if w == command.preset)
        if command.target_c is not None:
            if command.preset == "schedule":
                raise self._refuse("a schedule has its own targets")
            if mode not in _SET_POINTS:
                keys = [self._key(f"{m}_target", channel) for m in _SET_POINTS]
                problem = f"in mode {mode} no one target holds: set {' or '.join(keys)}"
                raise self._refuse(problem)
            members.update(self._target(channel, mode, command.target_c))
            members["work"] = _MANUAL
        return [self._order(channel, members)] if members else []


def _action(mode: str, numbers: Mapping[str, int]) -> str | None:
    if mode == "off":
        return "off"
    if numbers.get("hStatus") or numbers.get("aStatus"):
        return "heating"
    if numbers.get("cStatus"):
        return "cooling"
    return "idle" if "hStatus" in numbers or "cStatus" in numbers else None
