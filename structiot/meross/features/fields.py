"""Members of payloads as entities: how each is read, shown and set."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias

from structiot._kit.json_text import integer_of, number_of
from structiot.errors import UsageError
from structiot.meross.wire.payloads import Item
from structiot.model import (
    BinarySensor,
    Button,
    Command,
    Entity,
    Event,
    Number,
    Select,
    Sensor,
    State,
    Switch,
)

__all__ = [
    "Adjustable",
    "Amount",
    "Choice",
    "Field",
    "Flag",
    "Hidden",
    "Limits",
    "Measured",
    "Named",
    "Occurring",
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
_LOWEST_C: Final = -50.0
_HIGHEST_C: Final = 150.0

Category: TypeAlias = Literal["config", "diagnostic"]
Limits: TypeAlias = tuple[float, float]
Pace: TypeAlias = Literal["live", "counting", "slow", "once"]


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
    return scaled(value, scale, _LOWEST_C, _HIGHEST_C)


def limits_of(item: Item, lowest: str, highest: str, scale: float) -> Limits | None:
    """Read the ends of a range; None if they are missing or make no range."""
    low, high = number_of(item.get(lowest)), number_of(item.get(highest))
    if low is None or high is None or not low < high:
        return None
    if max(abs(low), abs(high)) / scale > 10_000:
        return None
    return low / scale, high / scale


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an item, as an entity.

    Attributes:
        key: Key of its entity.
        path: Where it stands in the item.
        name: What a person calls it; the key in words if it is not said.
        category: As `Entity.category`.
        device_class: As `Entity.device_class`.
        is_optional: Its entity exists only once it has been reported.
        is_enabled: As `Entity.is_enabled`.
        icon: As `Entity.icon`.
        tells_unknown: Whether what is there and makes no sense is told as not reported,
            instead of being left out.
    """

    kind: ClassVar[type[Entity]]
    is_command: ClassVar[bool] = False
    is_shown: ClassVar[bool] = True

    key: str
    path: tuple[str, ...] = ()
    _: KW_ONLY
    name: str | None = ""
    category: Category | None = None
    device_class: str | None = None
    is_optional: bool = False
    is_enabled: bool = True
    icon: str | None = None
    tells_unknown: bool = False

    @property
    def label(self) -> str | None:
        """What a person calls it; None for the main feature of the device."""
        return self.key.replace("_", " ").capitalize() if self.name == "" else self.name

    def entity(
        self, key: str, name: str | None, limits: Limits | None = None
    ) -> Entity:
        """Describe it under a key, with the limits that the device told."""
        return self.kind(
            key=key,
            name=name,
            device_class=self.device_class,
            category=self.category,
            is_enabled=self.is_enabled,
            icon=self.icon,
            **self._details(limits),
        )

    def _details(self, limits: Limits | None) -> Mapping[str, Any]:  # noqa: ARG002
        return {}

    def of(self, item: Item) -> State | None:
        """Read it in an item."""
        return self.read(value_at(item, self.path))

    def read(self, value: object) -> State | None:  # noqa: ARG002
        """Read what stands there; None for what makes no sense, or has no state."""
        return None

    def limits(self, item: Item) -> Limits | None:  # noqa: ARG002 - few have some
        """Read the limits that the item tells of it."""
        return None

    def write(
        self,
        command: Command,  # noqa: ARG002 - what can be set takes some
        off: int | None = None,  # noqa: ARG002
    ) -> object:
        """Give what stands there to carry out a command.

        Args:
            command: What it shall be; it has been checked.
            off: How this device writes off, if it is known.

        Raises:
            UsageError: Nothing can be written there.
        """
        raise UsageError(f"{self.key} takes no commands")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Field):
    """A quantity that is read. Attributes: `scale`: the wire has it so many times."""

    kind: ClassVar[type[Entity]] = Sensor

    scale: float = 1
    lowest: float = _LOWEST_C
    highest: float = _HIGHEST_C
    unit: str | None = "°C"
    decimals: int | None = None
    state_class: Literal["measurement", "total", "total_increasing"] | None = (
        "measurement"
    )

    def of(self, item: Item) -> float | None:
        """Read it in an item."""
        return self.read(value_at(item, self.path))

    def read(self, value: object) -> float | None:
        """Read it in its unit."""
        return scaled(value, self.scale, self.lowest, self.highest)

    def _details(self, limits: Limits | None) -> Mapping[str, Any]:  # noqa: ARG002
        return {
            "unit": self.unit,
            "state_class": self.state_class,
            "decimals": self.decimals,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustable(Measured):
    """A quantity that can be set.

    Attributes:
        step: Resolution, in its unit.
        minimum: Documented lowest value, until the device tells another.
        maximum: Documented highest value, likewise.
        ends: Members of the item that tell both, if any do.
        ends_scale: How many times as large these are on the wire; as the value if None.
    """

    kind: ClassVar[type[Entity]] = Number
    is_command: ClassVar[bool] = True

    step: float = 0.5
    minimum: float
    maximum: float
    ends: tuple[str, str] = ("min", "max")
    ends_scale: float | None = None

    def limits(self, item: Item) -> Limits | None:
        """Read the limits beside it."""
        return limits_of(item, *self.ends, self.ends_scale or self.scale)

    def write(self, command: Command, off: int | None = None) -> object:  # noqa: ARG002
        """Write it as a whole number: devices know no others."""
        return round((number_of(command) or 0.0) * self.scale)

    def _details(self, limits: Limits | None) -> Mapping[str, Any]:
        low, high = limits or (self.minimum, self.maximum)
        return {"minimum": low, "maximum": high, "step": self.step, "unit": self.unit}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount(Adjustable):
    """A setting between limits that no device tells; what is beyond makes no sense."""

    category: Category | None = "config"
    minimum: float = 0
    step: float = 1
    unit: str | None = None
    ends: tuple[str, str] = ("", "")

    def read(self, value: object) -> float | None:
        """Read it in its unit; 0 may stand for none."""
        return scaled(value, self.scale, min(self.minimum, 0), self.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Field):
    """Something that is so or not.

    Attributes:
        on: Which numbers say that it is.
        known: Which numbers say anything.
    """

    kind: ClassVar[type[Entity]] = BinarySensor

    on: tuple[int, ...] = (1,)
    known: Container[int] = range(256)

    def read(self, value: object) -> State | None:
        """Read whether it is so."""
        number = integer_of(value)
        return (
            number in self.on if number is not None and number in self.known else None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched(Flag):
    """Something to switch. Attributes: `off`: 0 or 2, unless the device has shown it."""

    kind: ClassVar[type[Entity]] = Switch
    is_command: ClassVar[bool] = True

    off: int = 0

    def read(self, value: object) -> State | None:
        """Read whether it is on; None for what is neither on nor off."""
        number = integer_of(value)
        # Where 1 is on, both are seen as off.
        known = {*self.on, self.off, *((0, 2) if self.on == (1,) else ())}
        return None if number not in known else number in self.on

    def write(self, command: Command, off: int | None = None) -> object:
        """Write on, or off as this device does."""
        return self.on[0] if command else self.off if off is None else off


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden(Field):
    """A member that is no entity; a SET of the whole repeats its number."""

    is_shown: ClassVar[bool] = False

    def read(self, value: object) -> State | None:
        """Read the number."""
        return scaled(value, 1, -1, 10_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named(Field):
    """One of some, by number. Attributes: `options`: what each number means."""

    kind: ClassVar[type[Entity]] = Sensor

    options: Mapping[int, str]

    def read(self, value: object) -> State | None:
        """Read which it is; None for a number that is not known."""
        number = integer_of(value)
        return None if number is None else self.options.get(number)

    def _details(self, limits: Limits | None) -> Mapping[str, Any]:  # noqa: ARG002
        return {"options": tuple(self.options.values())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Named):
    """One of some, to choose."""

    kind: ClassVar[type[Entity]] = Select
    is_command: ClassVar[bool] = True

    def write(self, command: Command, off: int | None = None) -> object:  # noqa: ARG002
        """Write its number."""
        return next(n for n, option in self.options.items() if option == command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed(Field):
    """Something to press. Attributes: `value`: what is written then."""

    kind: ClassVar[type[Entity]] = Button
    is_command: ClassVar[bool] = True

    value: int

    def write(self, command: Command, off: int | None = None) -> object:  # noqa: ARG002
        """Write what it stands for."""
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurring(Field):
    """Something that happens. Attributes: `event_types`: what can."""

    kind: ClassVar[type[Entity]] = Event

    event_types: tuple[str, ...]

    def _details(self, limits: Limits | None) -> Mapping[str, Any]:  # noqa: ARG002
        return {"event_types": self.event_types}


@dataclass(frozen=True, slots=True)
class Setting:
    """What one namespace has.

    Attributes:
        namespace: The namespace.
        fields: Its members, as far as they are entities.
        pace: How often it is asked for; None if it is not.
        is_whole: A SET has all members that are known, not only the one that changes.
    """

    namespace: str
    fields: tuple[Field, ...] = ()
    _: KW_ONLY
    pace: Pace | None = "slow"
    is_whole: bool = False
