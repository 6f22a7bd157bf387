"""What the gateway and the dashboard see of every system.

A `Device` has an identity (`DeviceInfo`), a fixed set of entities and a stream of
updates. An `Entity` describes one thing that can be read or commanded; its fields
follow Home Assistant's vocabulary, because that is what most readers know. What an
entity reads or is told is one of the value types below: plain `bool`, `float`, `str`
for the simple kinds, a small frozen class for lights, covers, climates and updates.

Every system maps onto this with nothing left over:

* MaxSmart: an outlet is a `Switch` and a power `Sensor`.
* Meross: channels are switches, lights, covers and climates; sprays are `Select`,
  limits are `Number`, alarms and leaks are `BinarySensor`, firmware is `Update`.
* Manager: a dialled-in device's JSON data become sensors, its commands buttons.
* Connector: a platform service is an entity, an event is a `StateChange`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias, runtime_checkable

__all__ = [
    "Availability",
    "BinarySensor",
    "Button",
    "Climate",
    "ClimateState",
    "Command",
    "Cover",
    "CoverAction",
    "CoverMotion",
    "CoverState",
    "Device",
    "DeviceEvent",
    "DeviceInfo",
    "EntitiesChanged",
    "Entity",
    "Event",
    "Light",
    "LightState",
    "Number",
    "Occurrence",
    "Reading",
    "Select",
    "Sensor",
    "State",
    "StateChange",
    "Switch",
    "Update",
    "UpdateState",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """Who a device is.

    Attributes:
        id: Stable identity within its system, never reused for another device.
        system: Name of the system, such as `"maxsmart"`.
        name: What a person calls it.
        manufacturer: Maker, if known.
        model: Model, if known.
        firmware: Firmware version as the device writes it, if known.
        hardware: Hardware version, if known.
        serial: Serial number, if known.
        mac: Hardware address as 12 lower-case hex digits, if known.
        via: `id` of the device this one is reached through (a hub), if any.
        url: Page of the device, if it has one.
        is_provisional: `id` is a makeshift, such as an address: the device has not
            said yet who it is. `EntitiesChanged` tells when it has another one.
    """

    id: str
    system: str
    name: str
    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    hardware: str | None = None
    serial: str | None = None
    mac: str | None = None
    via: str | None = None
    url: str | None = None
    is_provisional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One thing of a device that can be read, commanded or both.

    Attributes:
        key: Unique within the device; letters, digits and `_`, as in a topic level.
        name: What a person calls it; None for the device's main feature.
        device_class: Home Assistant's device class, such as `"power"`.
        category: None for what a user wants to see, else `"config"` or `"diagnostic"`.
        is_enabled: Whether a fresh installation shows it.
        icon: Icon name such as `"mdi:power-socket"`, where the class gives none.
    """

    key: str
    name: str | None = None
    device_class: str | None = None
    category: Literal["config", "diagnostic"] | None = None
    is_enabled: bool = True
    icon: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Entity):
    """Something that is on or off. State and command: `bool`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor(Entity):
    """A quantity or a text that is only read. State: `float`, `int` or `str`.

    Attributes:
        unit: Unit as Home Assistant writes it (`"W"`, `"Wh"`, `"°C"`), if it has one.
        state_class: How the figure behaves over time, if it is a figure.
        decimals: Decimals worth showing.
        options: All texts it can take, if it is an enumeration.
    """

    unit: str | None = None
    state_class: Literal["measurement", "total", "total_increasing"] | None = None
    decimals: int | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BinarySensor(Entity):
    """Something that is true or false and only read. State: `bool`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Light(Entity):
    """A lamp. State: `LightState`; command: a `LightState` of what shall change.

    Attributes:
        color_modes: What it can do; empty for on and off alone.
        min_color_temp_k: Warmest white, in kelvin.
        max_color_temp_k: Coldest white, in kelvin.
        effects: Names of its effects.
    """

    color_modes: frozenset[Literal["brightness", "color_temp", "rgb"]] = frozenset()
    min_color_temp_k: int | None = None
    max_color_temp_k: int | None = None
    effects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover(Entity):
    """A door, gate or shutter. State: `CoverState`; command: `CoverAction`, percent.

    Attributes:
        has_position: It reports and takes a position; a command may be an `int`.
        has_stop: It can be stopped on its way.
    """

    has_position: bool = False
    has_stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate(Entity):
    """A thermostat or valve. State: `ClimateState`; command: what shall change.

    Attributes:
        modes: Modes it knows, such as `"off"`, `"heat"`, `"cool"`, `"auto"`.
        presets: Named presets.
        min_target_c: Lowest target temperature.
        max_target_c: Highest target temperature.
        step_c: Resolution of the target temperature.
    """

    modes: tuple[str, ...]
    presets: tuple[str, ...] = ()
    min_target_c: float = 5.0
    max_target_c: float = 35.0
    step_c: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Button(Entity):
    """Something to press. It has no state; its command is `None`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Entity):
    """Something that happens: a button, a bell, a motion.

    It has no state and takes no command; each time it happens is an `Occurrence`.

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
class Update(Entity):
    """Firmware that can be renewed. State: `UpdateState`; command `None` installs."""

    can_install: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LightState:
    """What a light does; as a command, None leaves a field as it is.

    Attributes:
        is_on: Whether it shines.
        brightness_percent: 0 to 100.
        color_temp_k: Colour temperature in kelvin.
        rgb: Red, green, blue, 0 to 255 each.
        effect: Name of the running effect.
    """

    is_on: bool | None = None
    brightness_percent: float | None = None
    color_temp_k: int | None = None
    rgb: tuple[int, int, int] | None = None
    effect: str | None = None


class CoverAction(StrEnum):
    """What a cover can be told."""

    OPEN = "open"
    CLOSE = "close"
    STOP = "stop"


class CoverMotion(StrEnum):
    """What a cover does."""

    OPEN = "open"
    CLOSED = "closed"
    OPENING = "opening"
    CLOSING = "closing"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverState:
    """Where a cover is; position 0 is closed, 100 open, None not reported."""

    motion: CoverMotion | None = None
    position_percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClimateState:
    """What a thermostat does; as a command, None leaves a field as it is.

    Attributes:
        mode: One of `Climate.modes`.
        target_c: Target temperature.
        current_c: Measured temperature; not commanded.
        humidity_percent: Measured humidity; not commanded.
        action: `"heating"`, `"cooling"`, `"idle"` or `"off"`; not commanded.
        preset: One of `Climate.presets`.
    """

    mode: str | None = None
    target_c: float | None = None
    current_c: float | None = None
    humidity_percent: float | None = None
    action: str | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """Which firmware runs and which could."""

    installed: str | None = None
    latest: str | None = None
    progress_percent: float | None = None


State: TypeAlias = (
    bool | int | float | str | LightState | CoverState | ClimateState | UpdateState
)
Command: TypeAlias = (
    bool | int | float | str | LightState | CoverAction | ClimateState | None
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One metered sample of one channel; None where the device reports nothing.

    Attributes:
        device: `DeviceInfo.id` of the device.
        channel: Outlet or other part, as numbered on the device from 1; 0 is the whole.
        at_utc: When it was read.
        is_on: Whether it is on.
        power_w: Power in watts; negative is export.
        current_a: Current in amperes.
        voltage_v: Voltage in volts.
        energy_wh: Energy counted by the device, in watt-hours.
    """

    device: str
    channel: int
    at_utc: datetime
    is_on: bool | None = None
    power_w: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    energy_wh: float | None = None

    @property
    def port(self) -> int:
        """The channel, in the word of power strips."""
        return self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """An entity has a state; None means the device does not report it any more."""

    key: str
    state: State | None
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """A device can be reached, or not and why."""

    is_available: bool
    at_utc: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitiesChanged:
    """The device is described anew: other names, other entities or new firmware."""

    at_utc: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """Something that happened at one moment: a press, a ring, a motion.

    It is no state: nobody who comes later is told, and two that are alike are two.

    Attributes:
        key: Key of the `Event` entity.
        event_type: What happened, one of `Event.event_types`.
        at_utc: When it happened, as exactly as is known.
        data: What else is known of it; JSON values.
    """

    key: str
    event_type: str
    at_utc: datetime
    data: Mapping[str, object] = field(default_factory=dict)


DeviceEvent: TypeAlias = StateChange | Availability | EntitiesChanged | Occurrence


@runtime_checkable
class Device(Protocol):
    """What a system offers the gateway for each of its devices."""

    @property
    def info(self) -> DeviceInfo:
        """Who the device is."""
        ...

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What it has; changes are told by `EntitiesChanged`."""
        ...

    @property
    def availability(self) -> Availability:
        """Whether it can be reached, since when, and why not."""
        ...

    @property
    def states(self) -> Mapping[str, State | None]:
        """The latest state of each entity that has told one, by key."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[DeviceEvent]]:
        """Iterate over availability and states, beginning with the present ones.

        A state is told when it differs from the one before; an `Occurrence` always.
        The iterator goes on while the device is away; leaving the block ends it.
        """
        ...

    async def command(self, key: str, command: Command) -> None:
        """Carry out a command on the entity `key`; return when the device has it.

        Raises:
            UsageError: No such entity, or a value it cannot take.
            PeerError: The device refused.
            TransportError: The device could not be reached.
        """
        ...
