"""Thermostats of the second generation (mts960): `Thermostat.ModeB`.

Facts: reference 4.10. Temperatures are a hundred times as large on the wire, and 2 is
off. It heats or cools by what hangs on it, which `working` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.climate import CTL_RANGE, ClimateFeature, Zone
from structiot.meross.features.feature import Request, entity_key
from structiot.meross.features.fields import celsius
from structiot.meross.wire.payloads import Item
from structiot.model import BinarySensor, ClimateState, Entity, State

__all__ = ["MODE_B", "ThermostatB"]

MODE_B: Final = "Appliance.Control.Thermostat.ModeB"

_PRESETS: Final = {1: "manual", 2: "schedule", 3: "timer"}
_NUMBERS: Final = {name: number for number, name in _PRESETS.items()}
_SCHEDULE: Final = 2
_WORKING: Final = {1: "heat", 2: "cool"}
_ON: Final = 1
_OFF: Final = 2
_KNOWN: Final = {
    "mode": tuple(_PRESETS),
    "working": tuple(_WORKING),
    # 0 is not seen of this model; another client takes it for off.
    "onoff": (0, _ON, _OFF),
    "state": (0, 1, 2),
    "sensorStatus": (0, 1, 2),
}


class ThermostatB(ClimateFeature):
    """`Thermostat.ModeB`, with its probe."""

    name = "thermostat"
    abilities: ClassVar[tuple[str, ...]] = (MODE_B,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MODE_B, CTL_RANGE})
    namespace = MODE_B
    digest_key: ClassVar[str | None] = "modeB"
    scale = 100
    presets: ClassVar[tuple[str, ...]] = tuple(_PRESETS.values())

    def _besides(self, channel: int) -> Sequence[Entity]:
        probe = BinarySensor(
            key=self._key("probe", channel),
            name=f"Probe {channel}" if channel else "Probe",
            category="diagnostic",
            device_class="connectivity",
        )
        return [probe]

    def _read(self, namespace: str, item: Item, zone: Zone) -> None:
        if namespace == CTL_RANGE:
            self._read_range(item, zone, "ctlMin", "ctlMax")
            return
        for name, known in _KNOWN.items():
            number = integer_of(item.get(name))
            if number in known:
                zone.numbers[name] = number
        for name in ("targetTemp", "currentTemp"):
            temperature = celsius(item.get(name), self.scale)
            if temperature is not None:
                zone.temperatures_c[name] = temperature
        self._read_range(item, zone, "min", "max")

    def _states(self, channel: int) -> Mapping[str, State | None]:
        zone = self._zones[channel]
        numbers, temperatures = zone.numbers, zone.temperatures_c
        states: dict[str, State | None] = {}
        if "sensorStatus" in numbers:
            states[self._key("probe", channel)] = numbers["sensorStatus"] == 1
        if "onoff" in numbers or "mode" in numbers:
            is_off = numbers.get("onoff", _ON) != _ON
            working = _WORKING.get(numbers.get("working", 0))
            mode = "auto" if numbers.get("mode") == _SCHEDULE else working
            doing = {1: f"{working or 'heat'}ing", 2: "idle"}.get(
                numbers.get("state", 0)
            )
            states[entity_key(self.name, channel)] = ClimateState(
                mode="off" if is_off else mode,
                target_c=temperatures.get("targetTemp"),
                current_c=temperatures.get("currentTemp"),
                action="off" if is_off else doing,
                preset=_PRESETS.get(numbers.get("mode", 0)),
            )
        return states

    def _climate(self, channel: int, command: ClimateState) -> Sequence[Request]:
        now = self._zones[channel].numbers.get("mode")
        preset = None if command.preset is None else _NUMBERS[command.preset]
        members: dict[str, object] = {}
        if command.mode is not None:
            members["onoff"] = _OFF if command.mode == "off" else _ON
        if command.mode == "auto":
            if preset not in (None, _SCHEDULE):
                raise self._refuse(f"in auto there is no preset {command.preset}")
            preset = _SCHEDULE
        elif command.mode in {"heat", "cool"}:
            working = next(n for n, mode in _WORKING.items() if mode == command.mode)
            members["working"] = working
            if preset is None and now == _SCHEDULE:
                preset = _NUMBERS["manual"]
        if command.target_c is not None:
            if preset == _SCHEDULE:
                raise self._refuse("a schedule has its own targets")
            if preset is None and now in (None, _SCHEDULE):
                preset = _NUMBERS["manual"]
            members["targetTemp"] = self._write(command.target_c)
        if preset is not None:
            members["mode"] = preset
        return [self._order(channel, members)] if members else []
