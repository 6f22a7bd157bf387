"""The entities whose state and command are plain values, or that have none."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

from structiot.errors import UsageError

__all__ = [
    "BinarySensor",
    "Button",
    "Entity",
    "Event",
    "Number",
    "Select",
    "Sensor",
    "Switch",
    "Text",
]

# How the types of fields that hold several begin.
_OF_MANY = ("tuple[", "frozenset[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One thing of a device that can be read or commanded, or that happens.

    Attributes:
        key: Unique within the device; letters, digits and `_`, as in a topic level.
        name: What a person calls it; None for the device's main feature.
        device_class: Home Assistant's device class, such as `"power"`.
        category: None for what a user wants to see, else `"config"` or `"diagnostic"`.
        is_enabled: Whether a fresh installation shows it.
        icon: Icon name such as `"mdi:power-socket"`, where the class gives none.

    Raises:
        UsageError: One text was given where a tuple of texts belongs.
    """

    key: str
    name: str | None = None
    device_class: str | None = None
    category: Literal["config", "diagnostic"] | None = None
    is_enabled: bool = True
    icon: str | None = None

    def __post_init__(self) -> None:
        """Look whether a text stands where texts do: it would be taken letter by letter.

        Raises:
            UsageError: It does.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str) and str(field.type).startswith(_OF_MANY):
                message = f"{field.name} of {self.key} are several: write ({value!r},)"
                raise UsageError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Entity):
    """Something that is on or off. State and command: `bool`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor(Entity):
    """A quantity or a text that is only read. State: `float`, `int` or `str`.

    Attributes:
        unit: Unit as Home Assistant writes it (`"W"`, `"Wh"`, `"°C"`), if it has one.
        state_class: How the figure behaves over time, if it is a figure.
        decimals: Decimals worth showing; the gateway rounds figures to them.
        is_periodic: It counts what a period has brought, such as a day, and begins anew
            with the next: the gateway shows it as it is, and makes no total of it.
        options: All texts it can take, if it is an enumeration.
    """

    unit: str | None = None
    state_class: Literal["measurement", "total", "total_increasing"] | None = None
    decimals: int | None = None
    is_periodic: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BinarySensor(Entity):
    """Something that is true or false and only read. State: `bool`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button(Entity):
    """Something to press. It has no state; its command is `None`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Entity):
    """Something that happens: a button, a bell, a motion.

    It has no state and takes no command; each time it happens is an `Occurrence`.
    Device classes are `"button"`, `"doorbell"` and `"motion"`.

    Attributes:
        event_types: What can happen, such as `("single", "double", "long")`.
    """

    event_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Entity):
    """A setting with a range. State and command: `float`.

    Attributes:
        minimum: Lowest value.
        maximum: Highest value.
        step: Resolution.
        unit: Unit as Home Assistant writes it, if it has one.
    """

    minimum: float
    maximum: float
    step: float = 1.0
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Entity):
    """A choice. State and command: `str`, one of the options."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Entity):
    """A text that can be set. State and command: `str`.

    Attributes:
        min_length: Fewest characters.
        max_length: Most characters; Home Assistant shows 255 at most.
        pattern: Regular expression for the whole text, if not every text will do. It
            is matched in the event loop: a simple one. The gateway takes none with a
            group that is repeated and has repeats or choices in it.
        is_secret: It is shown as dots, and no message repeats it.
    """

    min_length: int = 0
    max_length: int = 255
    pattern: str | None = None
    is_secret: bool = False

    def fits(self, text: str) -> bool:
        """Tell whether it can be this text."""
        if not self.min_length <= len(text) <= self.max_length:
            return False
        return self.pattern is None or re.fullmatch(self.pattern, text) is not None
