"""Thermostats of the first generation (mts200, mts205b, mts215): `Thermostat.Mode`.

Facts: reference 4.10. Temperatures are ten times as large on the wire. Each mode but the
schedule has a set point of its own, and the target is that of the mode it is in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.climate import ClimateFeature, Zone
from structiot.meross.features.feature import Poll, Request, Update, entity_key
from structiot.meross.features.fields import celsius
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import (
    BinarySensor,
    ClimateState,
    Command,
    Entity,
    Number,
    Select,
    State,
)

__all__ = ["MODE", "SUMMER_MODE", "Thermostat"]

MODE: Final = "Appliance.Control.Thermostat.Mode"
SUMMER_MODE: Final = "Appliance.Control.Thermostat.SummerMode"

_PRESETS: Final = {
    0: "comfort",
    1: "sleep",
    2: "economy",
    3: "schedule",
    4: "manual",
}
_NUMBERS: Final = {name: number for number, name in _PRESETS.items()}
_SCHEDULE: Final = 3
_MANUAL: Final = 4
# Which set point holds in which mode.
_SET_POINTS: Final = {0: "heatTemp", 1: "coolTemp", 2: "ecoTemp", 4: "manualTemp"}
_SEASONS: Final = {1: "heating", 2: "cooling"}
_TEMPERATURES: Final = (*_SET_POINTS.values(), "currentTemp", "targetTemp")
# Heats whatever it says of a season.
_ONLY_HEATING: Final = ("mts205b",)


class Thermostat(ClimateFeature):
    """`Thermostat.Mode`, with the set points of its presets and the season."""

    name = "thermostat"
    abilities: ClassVar[tuple[str, ...]] = (MODE,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MODE, SUMMER_MODE})
    namespace = MODE
    digest_key: ClassVar[str | None] = "mode"
    scale = 10
    presets: ClassVar[tuple[str, ...]] = tuple(_PRESETS.values())

    @property
    def modes(self) -> tuple[str, ...]:
        """It cools if it knows seasons."""
        cool = ("cool",) if self._has_seasons else ()
        return ("off", "heat", *cool, "auto")

    @property
    def polls(self) -> Sequence[Poll]:
        """Its mode, and the season."""
        season = [Poll(request=self._question(SUMMER_MODE), pace="slow")]
        return [*super().polls, *season * self._has_seasons]

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read the mode, then the season."""
        update = super().take_digest(digest, at_utc)
        found = {"summerMode": object_of(digest, "thermostat").get("summerMode")}
        season = self.take(SUMMER_MODE, found, at_utc)
        return Update(
            states={**update.states, **season.states},
            entities_changed=update.entities_changed or season.entities_changed,
        )

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Set the mode, preset or target, a preset's set point, or the season."""
        for channel in self._zones:
            if key == self._key("season", channel):
                return [self._season(channel, str(command))]
            for name, member in self._numbers().items():
                if key == self._key(name, channel) and isinstance(command, int | float):
                    return [self._order(channel, {member: self._write(command)})]
        return super().command(key, command, at_utc)

    @property
    def _has_seasons(self) -> bool:
        return (
            SUMMER_MODE in self.about.abilities
            and self.about.model not in _ONLY_HEATING
        )

    @staticmethod
    def _numbers() -> Mapping[str, str]:
        """The set points that are settings, by the end of their keys."""
        return {
            f"{_PRESETS[mode]}_temperature": member
            for mode, member in _SET_POINTS.items()
            if mode != _MANUAL
        }

    def _besides(self, channel: int) -> Sequence[Entity]:
        low, high = self._range(channel)
        suffix = f" {channel}" if channel else ""
        found: list[Entity] = [
            Number(
                key=self._key(name, channel),
                name=f"{name.replace('_', ' ').capitalize()}{suffix}",
                category="config",
                device_class="temperature",
                minimum=low,
                maximum=high,
                step=self.step_c,
                unit="°C",
            )
            for name in self._numbers()
        ]
        if self._has_seasons:
            season = Select(
                key=self._key("season", channel),
                name=f"Season{suffix}",
                category="config",
                options=tuple(_SEASONS.values()),
            )
            found.append(season)
        warning = BinarySensor(
            key=self._key("warning", channel),
            name=f"Warning{suffix}",
            category="diagnostic",
            device_class="problem",
        )
        return [*found, warning]

    def _read(self, namespace: str, item: Item, zone: Zone) -> None:
        if namespace == SUMMER_MODE:
            season = integer_of(item.get("mode"))
            if season in _SEASONS:
                zone.numbers["season"] = season
            return
        for name, known in (
            ("mode", tuple(_PRESETS)),
            *((name, (0, 1)) for name in ("onoff", "state", "warning")),
        ):
            number = integer_of(item.get(name))
            if number in known:
                zone.numbers[name] = number
        for name in _TEMPERATURES:
            temperature = celsius(item.get(name), self.scale)
            if temperature is not None:
                zone.temperatures_c[name] = temperature
        self._read_range(item, zone, "min", "max")
        point = zone.temperatures_c.get(
            _SET_POINTS.get(zone.numbers.get("mode", -1), "")
        )
        if "targetTemp" not in item and point is not None:
            # An order acknowledged, or a push of what changed: the target follows.
            zone.temperatures_c["targetTemp"] = point

    def _states(self, channel: int) -> Mapping[str, State | None]:
        zone = self._zones[channel]
        numbers, temperatures = zone.numbers, zone.temperatures_c
        states: dict[str, State | None] = {
            self._key(name, channel): temperatures[member]
            for name, member in self._numbers().items()
            if member in temperatures
        }
        if "warning" in numbers:
            states[self._key("warning", channel)] = numbers["warning"] == 1
        if "season" in numbers and self._has_seasons:
            states[self._key("season", channel)] = _SEASONS[numbers["season"]]
        if "onoff" in numbers or "mode" in numbers:
            states[entity_key(self.name, channel)] = ClimateState(
                mode=self._mode(numbers),
                target_c=temperatures.get("targetTemp"),
                current_c=temperatures.get("currentTemp"),
                action=self._action(numbers),
                preset=_PRESETS.get(numbers.get("mode", -1)),
            )
        return states

    def _mode(self, numbers: Mapping[str, int]) -> str | None:
        if numbers.get("onoff") == 0:
            return "off"
        if numbers.get("mode") == _SCHEDULE:
            return "auto"
        return "cool" if self._is_cooling(numbers) else "heat"

    def _action(self, numbers: Mapping[str, int]) -> str | None:
        if numbers.get("onoff") == 0:
            return "off"
        if "state" not in numbers:
            return None
        working = "cooling" if self._is_cooling(numbers) else "heating"
        return working if numbers["state"] == 1 else "idle"

    def _is_cooling(self, numbers: Mapping[str, int]) -> bool:
        return self._has_seasons and numbers.get("season") == 2

    def _climate(self, channel: int, command: ClimateState) -> Sequence[Request]:
        numbers = self._zones[channel].numbers
        now = numbers.get("mode", _MANUAL)
        mode = now if command.preset is None else _NUMBERS[command.preset]
        if command.mode == "auto":
            if command.preset not in (None, "schedule"):
                raise self._refuse(f"in auto there is no preset {command.preset}")
            mode = _SCHEDULE
        elif command.mode in {"heat", "cool"} and mode == _SCHEDULE:
            mode = _MANUAL
        if command.target_c is not None and mode == _SCHEDULE:
            if command.mode == "auto" or command.preset == "schedule":
                raise self._refuse("a schedule has its own targets")
            mode = _MANUAL
        members: dict[str, object] = {}
        if command.mode is not None:
            members["onoff"] = 0 if command.mode == "off" else 1
        if mode != now or command.preset is not None or command.target_c is not None:
            members["mode"] = mode
        if command.target_c is not None:
            members[_SET_POINTS[mode]] = self._write(command.target_c)
        season = {"heat": "heating", "cool": "cooling"}.get(command.mode or "")
        turns = season is not None and self._has_seasons
        is_so = _SEASONS.get(numbers.get("season", 0)) == season
        requests = (
            [self._season(channel, season)] if turns and season and not is_so else []
        )
        return [*requests, self._order(channel, members)] if members else requests

    def _season(self, channel: int, season: str) -> Request:
        number = next(n for n, name in _SEASONS.items() if name == season)
        payload = {"summerMode": [{"channel": channel, "mode": number}]}
        return Request(method=Method.SET, namespace=SUMMER_MODE, payload=payload)
