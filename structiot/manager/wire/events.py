"""What comes from the other side, whatever the dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from structiot.manager.wire.info import Info

__all__ = [
    "Acknowledged",
    "AliveAsked",
    "Data",
    "Event",
    "InfoAsked",
    "InfoTold",
    "IsAlive",
    "Left",
    "Welcomed",
]


@dataclass(frozen=True, slots=True)
class InfoTold:
    """A device says who it is."""

    info: Info


@dataclass(frozen=True, slots=True)
class InfoAsked:
    """The server asks who the device is."""


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The server has taken the device; only our own dialect says so.

    Attributes:
        heartbeat_s: How often it will ask whether the device is there.
    """

    heartbeat_s: int


@dataclass(frozen=True, slots=True)
class AliveAsked:
    """The other side asks whether we are there."""


@dataclass(frozen=True, slots=True)
class IsAlive:
    """The other side is there: it answers, or tells something else."""


@dataclass(frozen=True, slots=True)
class Data:
    """A message; without frames a piece of what was sent.

    Attributes:
        data: What was sent.
        message_id: Where messages are acknowledged, by which; 0 where they are not.
    """

    data: bytes
    message_id: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The other side has a message; only our own dialect says so."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Left:
    """The other side says goodbye.

    Attributes:
        reason: Why, where it says so.
    """

    reason: str = ""


Event: TypeAlias = (
    InfoTold | InfoAsked | Welcomed | AliveAsked | IsAlive | Data | Acknowledged | Left
)
