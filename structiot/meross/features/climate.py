"""What thermostats of all generations, and radiator valves, have in common.

What is known of a channel is a `Zone`; here are the entities, the limits, what changes,
and which preset a command comes to. Everything is in Celsius, also when the device shows
Fahrenheit.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.errors import UsageError
from structiot.meross.features.channels import ChannelFeature, title
from structiot.meross.features.feature import About, Request, Update, entity_key, joined
from structiot.meross.features.fields import (
    Adjustable,
    Field,
    Limits,
    celsius,
    limits_of,
)
from structiot.meross.wire.payloads import Item, key_of, object_of
from structiot.model import Climate, ClimateState, Command, Entity, State

__all__ = ["CTL_RANGE", "ClimateFeature", "SetPoint", "ThermostatFeature", "Zone"]

CTL_RANGE: Final = "Appliance.Control.Thermostat.CtlRange"
# Targets until the device tells its own range.
_DOCUMENTED_C: Final = (5.0, 35.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoint(Adjustable):
    """A target that is set by itself; it has the range and the step of the thermostat."""

    device_class: str | None = "temperature"
    minimum: float = _DOCUMENTED_C[0]
    maximum: float = _DOCUMENTED_C[1]

    def write(self, command: Command, off: int | None = None) -> object:  # noqa: ARG002
        """Write it, rounded to its step."""
        wanted_c = command if isinstance(command, int | float) else 0.0
        return round(round(wanted_c / self.step) * self.step * self.scale)


@dataclass(slots=True, kw_only=True)
class Zone:
    """What is known of one channel; numbers as on the wire, by their names there."""

    numbers: dict[str, int] = field(default_factory=dict)
    temperatures_c: dict[str, float] = field(default_factory=dict)
    told: dict[str, State | None] = field(default_factory=dict)
    limits_c: Limits | None = None


class ThermostatFeature(ChannelFeature):
    """A feature of a thermostat: asked by channel, and found in its part of the digest."""

    is_certain = True
    asks_by_channel = True
    max_channels = 16

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read what the thermostat's part has of what it can be asked for."""
        found = object_of(digest, "thermostat")
        asked = [setting.namespace for setting in self.settings if setting.pace]
        keys = {key_of(namespace): namespace for namespace in asked}
        return joined(
            self.take(namespace, {key: found[key]}, at_utc)
            for key, namespace in keys.items()
            if key in found
        )


class ClimateFeature(ThermostatFeature):
    """A thermostat with one `Climate` a channel.

    Attributes:
        scale: How many times as large temperatures are on the wire.
        modes: As `Climate.modes`.
        presets: Presets by their numbers.
        schedule: The preset that has targets of its own.
        manual: The preset for a target while the schedule runs.
        numbers: Which numbers are known of each member that is one.
        temperatures: Members that are temperatures.
        preset, current, target: Members that tell them.
        set_points: The member that is the target of a preset, by the preset's number.
        tells_all: Whether all that is known is told with each item.
    """

    scale: ClassVar[int]
    modes: tuple[str, ...] = ("off", "heat", "cool", "auto")
    presets: ClassVar[Mapping[int, str]]
    schedule: ClassVar[str] = "schedule"
    manual: ClassVar[str] = "manual"
    numbers: ClassVar[Mapping[str, Container[int]]]
    temperatures: ClassVar[Sequence[str]]
    preset: ClassVar[str] = "mode"
    current: ClassVar[str] = "currentTemp"
    target: ClassVar[str] = "targetTemp"
    set_points: ClassVar[Mapping[int, str]] = {}
    tells_all: ClassVar[bool] = True

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._zones: dict[int, Zone] = {}

    def zone(self, channel: int) -> Zone:
        """Give what is known of a channel."""
        return self._zones.setdefault(channel, Zone())

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """Whatever is told is of a channel."""
        return True

    def entities_of(self, channel: int) -> Iterable[Entity]:
        """A `Climate`, and what else there is."""
        low, high = self.zone(channel).limits_c or _DOCUMENTED_C
        climate = Climate(
            key=entity_key(self.name, channel),
            name=title(self.about, channel, "Thermostat") if channel else None,
            modes=self.modes,
            presets=tuple(self.presets.values()),
            min_target_c=low,
            max_target_c=high,
        )
        return [climate, *super().entities_of(channel)]

    def limits(self, field: Field, channel: int) -> Limits | None:
        """Give the range of a field; set points have that of the thermostat."""
        if isinstance(field, SetPoint):
            return self.zone(channel).limits_c
        return super().limits(field, channel)

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Read its state, or the range of its targets."""
        zone = self.zone(channel)
        states = dict(super().read(namespace, item, channel, at_utc))
        zone.told.update(states)
        if namespace == CTL_RANGE:
            self._read_range(item, zone, "ctlMin", "ctlMax")
        elif namespace == self.abilities[0]:
            self._read_zone(self.members_of(item), zone)
        if self.tells_all:
            states = {**zone.told}
        state = self.state(channel)
        if state is not None:
            states[entity_key(self.name, channel)] = state
        return states

    def members_of(self, item: Item) -> Item:
        """Give the members of an item, and of the objects in it."""
        return item

    @abstractmethod
    def state(self, channel: int) -> ClimateState | None:
        """Give what a channel does; None if it has not told."""

    def state_of(
        self,
        channel: int,
        *,
        is_on: bool | None,
        is_active: bool | None,
        working: str | None,
    ) -> ClimateState:
        """Give the state of a channel that heats or cools, which `working` says."""
        zone = self.zone(channel)
        preset = self.presets.get(zone.numbers.get(self.preset, -1))
        mode = "auto" if preset == self.schedule else working
        action = f"{working or 'heat'}ing" if is_active else "idle"
        return ClimateState(
            mode=None if is_on is None else mode if is_on else "off",
            target_c=zone.temperatures_c.get(self.target),
            current_c=zone.temperatures_c.get(self.current),
            action="off" if is_on is False else None if is_active is None else action,
            preset=preset,
        )

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Carry out what a `Climate` is told, or set a field.

        Raises:
            UsageError: A combination that the device cannot be in.
        """
        if isinstance(command, ClimateState):
            keys = {
                entity_key(self.name, channel): channel for channel in self.channels
            }
            return self.orders(keys[key], command)
        return super().command(key, command, at_utc)

    @abstractmethod
    def orders(self, channel: int, command: ClimateState) -> Sequence[Request]:
        """Give the orders that carry out what a `Climate` is told."""

    def preset_for(self, channel: int, command: ClimateState) -> int | None:
        """Give the number of the preset that a command comes to; None if it stays.

        Raises:
            UsageError: The command contradicts itself.
        """
        now = self.presets.get(self.zone(channel).numbers.get(self.preset, -1))
        preset = command.preset
        if command.mode == "auto":
            if preset not in (None, self.schedule):
                raise self.refusal(f"in auto there is no preset {preset}")
            preset = self.schedule
        elif command.mode in {"heat", "cool"} and preset is None:
            preset = self.manual if now == self.schedule else None
        if command.target_c is not None:
            if preset == self.schedule:
                raise self.refusal("a schedule has its own targets")
            # One that belongs to a preset would change that for good.
            is_of_preset = now in (None, self.schedule) or bool(self.set_points)
            if preset is None and is_of_preset and now != self.manual:
                preset = self.manual
        return next((n for n, name in self.presets.items() if name == preset), None)

    def wire_temperature(self, target_c: float) -> int:
        """Write a target, rounded to half a degree."""
        return round(round(target_c * 2) * self.scale / 2)

    def refusal(self, problem: str) -> UsageError:
        """Make the error for a command that the device cannot carry out."""
        return UsageError(f"{self.name} of a {self.about.model}: {problem}")

    def _read_zone(self, item: Item, zone: Zone) -> None:
        before = zone.numbers.get(self.preset)
        for name, known in self.numbers.items():
            number = integer_of(item.get(name))
            if number is not None and number in known:
                zone.numbers[name] = number
        read = {name: celsius(item.get(name), self.scale) for name in self.temperatures}
        told = {name: value for name, value in read.items() if value is not None}
        zone.temperatures_c.update(told)
        self._read_range(item, zone, "min", "max")
        now = zone.numbers.get(self.preset)
        point = self.set_points.get(-1 if now is None else now, "")
        is_news = now != before or point in told
        if self.target not in told and is_news and point in zone.temperatures_c:
            # An order acknowledged, or a push of what changed: the target follows.
            zone.temperatures_c[self.target] = zone.temperatures_c[point]

    def _read_range(self, item: Item, zone: Zone, low: str, high: str) -> None:
        found = limits_of(item, low, high, self.scale)
        if found is not None and found[0] >= -50 and found[1] <= 150:
            zone.limits_c = found
