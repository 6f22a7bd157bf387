"""Thermostats of the third generation (mts300): `Thermostat.ModeC`.

Facts: reference 4.10. Temperatures are a hundred times as large on the wire. It has one
set point to heat to and one to cool to; in auto both hold, so that its `Climate` has no
target then, and two numbers set them in every mode. An order has both: it is not known
to keep the one that is left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.climate import CTL_RANGE, ClimateFeature, SetPoint
from structiot.meross.features.feature import Request, entity_key
from structiot.meross.features.fields import Choice, Setting
from structiot.meross.features.room_sensors import LATEST_X
from structiot.meross.features.samples import HUMIDITY
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import ClimateState, Command, Entity, State

__all__ = ["MODE_C", "ThermostatC"]

MODE_C: Final = "Appliance.Control.Thermostat.ModeC"

_MODES: Final = {0: "off", 1: "heat", 2: "cool", 3: "auto"}
_MANUAL: Final = 1
# What `fMode` and `speed` are for each choice; auto takes no speed.
_SPEEDS: Final = ((0, 0), (1, 0), (1, 1), (1, 2), (1, 3))
_NO_HOLD: Final = 99_999
# Which part works: heat, cool, auxiliary heat.
_PARTS: Final = ("hStatus", "cStatus", "aStatus")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fan(Choice):
    """The fan: one choice is two members of an object."""

    def read(self, value: object) -> State | None:
        fan = value if isinstance(value, Mapping) else {}
        mode, speed = integer_of(fan.get("fMode")), integer_of(fan.get("speed"))
        found = (mode, speed or 0 if mode else 0)
        return self.options[_SPEEDS.index(found)] if found in _SPEEDS else None

    def write(self, command: Command, off: int | None = None) -> object:  # noqa: ARG002
        number = next(n for n, option in self.options.items() if option == command)
        mode, speed = _SPEEDS[number]
        return {"fMode": mode, "speed": speed, "hTime": _NO_HOLD}


_FAN: Final = _Fan(
    "thermostat_fan",
    ("fan",),
    name="Fan",
    options=dict(enumerate(("auto", "on", "low", "medium", "high"))),
)
_HUMIDITY: Final = replace(
    HUMIDITY,
    key="thermostat_humidity",
    path=("more", "humi"),
    name="Humidity",
    is_optional=False,
)
_TARGETS: Final = {
    mode: SetPoint(
        f"thermostat_{mode}_target",
        ("targetTemp", member),
        name=f"{mode.capitalize()} target",
        scale=100,
    )
    for mode, member in (("heat", "heat"), ("cool", "cold"))
}


class ThermostatC(ClimateFeature):
    """`Thermostat.ModeC`, with both set points, fan and humidity."""

    name = "thermostat"
    abilities: ClassVar[tuple[str, ...]] = (MODE_C,)
    namespaces: ClassVar[frozenset[str]] = frozenset({MODE_C, CTL_RANGE})
    settings: Sequence[Setting] = (
        Setting(MODE_C, tuple(_TARGETS.values()), pace="live", is_whole=True),
        Setting(MODE_C, (_FAN, _HUMIDITY), pace=None),
        Setting(CTL_RANGE),
    )
    scale = 100
    presets: ClassVar[Mapping[int, str]] = {_MANUAL: "manual", 2: "schedule"}
    numbers: ClassVar[Mapping[str, Container[int]]] = {
        "mode": _MODES,
        "work": presets,
        **dict.fromkeys(_PARTS, range(256)),
    }
    temperatures: ClassVar[Sequence[str]] = ("currentTemp",)
    preset = "work"

    def entities_of(self, channel: int) -> Iterable[Entity]:
        """As of any; its sensor tells the humidity where it has one."""
        hidden = self._hidden(channel)
        return [one for one in super().entities_of(channel) if one.key != hidden]

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Read its state; what its sensor tells is left to that."""
        states = super().read(namespace, item, channel, at_utc)
        hidden = self._hidden(channel)
        return {key: state for key, state in states.items() if key != hidden}

    def _hidden(self, channel: int) -> str | None:
        has_sensor = LATEST_X in self.about.abilities
        return entity_key(_HUMIDITY.key, channel) if has_sensor else None

    def members_of(self, item: Item) -> Item:
        """Give the members of an item, and those that say which part works."""
        return {**object_of(item, "more"), **item}

    def state(self, channel: int) -> ClimateState | None:
        """Give what it does, and the target that holds in its mode."""
        zone = self.zone(channel)
        mode = _MODES.get(zone.numbers.get("mode", -1))
        if mode is None:
            return None
        humidity = zone.told.get(entity_key(_HUMIDITY.key, channel))
        target = None
        if mode in _TARGETS:
            target = zone.told.get(entity_key(_TARGETS[mode].key, channel))
        return ClimateState(
            mode=mode,
            target_c=target if isinstance(target, float) else None,
            current_c=zone.temperatures_c.get("currentTemp"),
            humidity_percent=humidity if isinstance(humidity, float) else None,
            action=_action(mode, zone.numbers),
            preset=self.presets.get(zone.numbers.get("work", 0)),
        )

    def orders(self, channel: int, command: ClimateState) -> Sequence[Request]:
        """Set all at once; a target is that of the mode it is for."""
        now = _MODES.get(self.zone(channel).numbers.get("mode", -1))
        members: dict[str, object] = {}
        if command.mode is not None:
            members["mode"] = next(n for n, m in _MODES.items() if m == command.mode)
        if command.preset is not None:
            is_so = (n for n, name in self.presets.items() if name == command.preset)
            members["work"] = next(is_so)
        if command.target_c is not None:
            mode = command.mode or now
            if command.preset == self.schedule:
                raise self.refusal("a schedule has its own targets")
            if mode not in _TARGETS:
                keys = [entity_key(f.key, channel) for f in _TARGETS.values()]
                problem = f"in mode {mode} no one target holds: set {' or '.join(keys)}"
                raise self.refusal(problem)
            members |= self.changes(
                self.settings[0], _TARGETS[mode], channel, command.target_c
            )
            members["work"] = _MANUAL
        return [self.order(channel, members)] if members else []


def _action(mode: str, numbers: Mapping[str, int]) -> str | None:
    if mode == "off":
        return "off"
    if numbers.get("hStatus") or numbers.get("aStatus"):
        return "heating"
    if numbers.get("cStatus"):
        return "cooling"
    return "idle" if "hStatus" in numbers or "cStatus" in numbers else None
