"""Members of payloads as entities: how each is read, shown and set.

A feature that is nothing but members of items (a frost protection, the thresholds of a
sensor) is a list of `Setting`, see `table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from structiot._kit.json_text import integer_of, number_of
from structiot.meross.wire.payloads import Item
from structiot.model import (
    BinarySensor,
    Button,
    Command,
    Entity,
    Number,
    Select,
    Sensor,
    State,
    Switch,
)

__all__ = [
    "HIGHEST_C",
    "LOWEST_C",
    "Adjustable",
    "Choice",
    "Field",
    "Flag",
    "Limits",
    "Measured",
    "Pace",
    "Pressed",
    "Setting",
    "Switched",
    "celsius",
    "limits_of",
    "scaled",
    "value_at",
]

# Beyond these it is no temperature of a room, a floor or a boiler.
LOWEST_C: Final = -50.0
HIGHEST_C: Final = 150.0

Limits = tuple[float, float]
Pace = Literal["live", "slow", "once"]


def value_at(item: Item, path: tuple[str, ...]) -> object:
    """Give what stands at the end of a path of members; None if there is none."""
    value: object = item
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def scaled(value: object, scale: float, lowest: float, highest: float) -> float | None:
    """Read a number that the wire has `scale` times as large; None out of the range."""
    number = number_of(value)
    if number is None or not lowest <= number / scale <= highest:
        return None
    return number / scale


def celsius(value: object, scale: float) -> float | None:
    """Read a temperature that the wire has `scale` times as large."""
    return scaled(value, scale, LOWEST_C, HIGHEST_C)


def limits_of(item: Item, lowest: str, highest: str, scale: float) -> Limits | None:
    """Read the ends of a range; None if they are missing or make no range."""
    low, high = number_of(item.get(lowest)), number_of(item.get(highest))
    if low is None or high is None or not low < high:
        return None
    if max(abs(low), abs(high)) / scale > 10_000:
        return None
    return low / scale, high / scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One member of an item, as an entity.

    Attributes:
        key: Key of its entity.
        path: Where it stands in the item.
        name: What a person calls it.
        category: As `Entity.category`.
        device_class: As `Entity.device_class`.
        is_optional: Its entity exists only once it has been reported.
        is_enabled: As `Entity.is_enabled`.
        icon: As `Entity.icon`.
        tells_unknown: Whether what is there and makes no sense is told as not reported,
            instead of being left out.
    """

    is_command: ClassVar[bool] = False

    key: str
    path: tuple[str, ...]
    name: str
    category: Literal["config", "diagnostic"] | None = None
    device_class: str | None = None
    is_optional: bool = False
    is_enabled: bool = True
    icon: str | None = None
    tells_unknown: bool = False

    def entity(self, key: str, name: str, limits: Limits | None) -> Entity:
        """Describe it under a key, with the limits that the device told."""
        raise NotImplementedError

    def of(self, item: Item) -> State | None:
        """Read it in an item."""
        return self.read(value_at(item, self.path))

    def read(self, value: object) -> State | None:
        """Read what stands there; None for what makes no sense."""
        raise NotImplementedError

    def limits(self, item: Item) -> Limits | None:  # noqa: ARG002 - few have some
        """Read the limits that the item tells of it."""
        return None

    def write(self, command: Command, off: int | None) -> object:
        """Give what stands there to carry out a command.

        Args:
            command: What it shall be; it has been checked.
            off: How this device writes off, if it is known.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Field):
    """A quantity that is read. Attributes: `scale`: the wire has it so many times."""

    scale: float = 1
    lowest: float = LOWEST_C
    highest: float = HIGHEST_C
    unit: str | None = "°C"
    decimals: int | None = None
    state_class: Literal["measurement", "total"] | None = "measurement"

    def entity(self, key: str, name: str, limits: Limits | None) -> Entity:  # noqa: ARG002
        """Describe a sensor."""
        return Sensor(
            key=key,
            name=name,
            category=self.category,
            device_class=self.device_class,
            is_enabled=self.is_enabled,
            icon=self.icon,
            unit=self.unit,
            state_class=self.state_class,
            decimals=self.decimals,
        )

    def of(self, item: Item) -> float | None:
        """Read it in an item."""
        return self.read(value_at(item, self.path))

    def read(self, value: object) -> float | None:
        """Read it in its unit."""
        return scaled(value, self.scale, self.lowest, self.highest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustable(Measured):
    """A quantity that can be set.

    Attributes:
        step: Resolution, in its unit.
        minimum: Documented lowest value, until the device tells another.
        maximum: Documented highest value, likewise.
        ends: Members of the item that tell both.
        ends_scale: How many times as large these are on the wire; as the value if None.
    """

    is_command: ClassVar[bool] = True

    step: float = 0.5
    minimum: float
    maximum: float
    ends: tuple[str, str] = ("min", "max")
    ends_scale: float | None = None

    def entity(self, key: str, name: str, limits: Limits | None) -> Entity:
        """Describe a number."""
        low, high = limits or (self.minimum, self.maximum)
        return Number(
            key=key,
            name=name,
            category=self.category,
            device_class=self.device_class,
            is_enabled=self.is_enabled,
            icon=self.icon,
            minimum=low,
            maximum=high,
            step=self.step,
            unit=self.unit,
        )

    def limits(self, item: Item) -> Limits | None:
        """Read the limits beside it."""
        return limits_of(item, *self.ends, self.ends_scale or self.scale)

    def write(self, command: Command, off: int | None) -> object:  # noqa: ARG002
        """Write it as a whole number: devices know no others."""
        return round((number_of(command) or 0.0) * self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Field):
    """Something that is so or not. Attributes: `on`: which numbers say that it is."""

    on: tuple[int, ...] = (1,)

    def entity(self, key: str, name: str, limits: Limits | None) -> Entity:  # noqa: ARG002
        """Describe a binary sensor."""
        return BinarySensor(
            key=key,
            name=name,
            category=self.category,
            device_class=self.device_class,
            is_enabled=self.is_enabled,
            icon=self.icon,
        )

    def read(self, value: object) -> State | None:
        """Read whether it is so."""
        number = integer_of(value)
        return None if number is None or not 0 <= number <= 255 else number in self.on


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched(Flag):
    """Something to switch. Attributes: `off`: 0 or 2, unless the device has shown it."""

    is_command: ClassVar[bool] = True

    off: int = 0

    def read(self, value: object) -> State | None:
        """Read whether it is on; None for what is neither on nor off."""
        number = integer_of(value)
        # Where 1 is on, both are seen as off.
        known = {*self.on, self.off, *((0, 2) if self.on == (1,) else ())}
        return None if number not in known else number in self.on

    def entity(self, key: str, name: str, limits: Limits | None) -> Entity:  # noqa: ARG002
        """Describe a switch."""
        return Switch(
            key=key,
            name=name,
            category=self.category,
            is_enabled=self.is_enabled,
            icon=self.icon,
        )

    def write(self, command: Command, off: int | None) -> object:
        """Write on, or off as this device does."""
        return self.on[0] if command else self.off if off is None else off


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Field):
    """One of some. Attributes: `options`: what each number means."""

    is_command: ClassVar[bool] = True

    options: Mapping[int, str]

    def entity(self, key: str, name: str, limits: Limits | None) -> Entity:  # noqa: ARG002
        """Describe a select."""
        return Select(
            key=key,
            name=name,
            category=self.category,
            is_enabled=self.is_enabled,
            icon=self.icon,
            options=tuple(self.options.values()),
        )

    def read(self, value: object) -> State | None:
        """Read which it is; None for a number that is not known."""
        number = integer_of(value)
        return None if number is None else self.options.get(number)

    def write(self, command: Command, off: int | None) -> object:  # noqa: ARG002
        """Write its number."""
        return next(n for n, option in self.options.items() if option == command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed(Field):
    """Something to press. Attributes: `value`: what is written then."""

    is_command: ClassVar[bool] = True

    value: int

    def entity(self, key: str, name: str, limits: Limits | None) -> Entity:  # noqa: ARG002
        """Describe a button."""
        return Button(
            key=key,
            name=name,
            category=self.category,
            is_enabled=self.is_enabled,
            icon=self.icon,
        )

    def read(self, value: object) -> State | None:  # noqa: ARG002
        """Read nothing: a button has no state."""
        return None

    def write(self, command: Command, off: int | None) -> object:  # noqa: ARG002
        """Write what it stands for."""
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one namespace has.

    Attributes:
        namespace: The namespace.
        fields: Its members, as far as they are entities.
        pace: How often it is asked for.
        is_whole: A SET has all members that are known, not only the one that changes.
        constant: Members that a SET has besides.
    """

    namespace: str
    fields: tuple[Field, ...]
    pace: Pace = "slow"
    is_whole: bool = False
    constant: Item = field(default_factory=dict)
