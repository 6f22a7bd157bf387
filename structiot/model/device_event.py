"""What a device tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from structiot.model.state import State

__all__ = [
    "Availability",
    "DeviceEvent",
    "EntitiesChanged",
    "Occurrence",
    "StateChange",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """An entity has a state; None means the device does not report it any more."""

    key: str
    state: State | None
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """A device can be reached, or not and why.

    Attributes:
        is_available: Whether it can be reached.
        at_utc: Since when.
        reason: Why it cannot.
        is_replaced: Another device answers in its place: whoever wants what is there
            now opens it anew.
    """

    is_available: bool
    at_utc: datetime
    reason: str = ""
    is_replaced: bool = False


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
    data: Mapping[str, object] = field(default_factory=dict, hash=False)


DeviceEvent: TypeAlias = StateChange | Availability | EntitiesChanged | Occurrence
