"""Doors, gates and shutters, where they are and what they can be told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from structiot.model.entity import Entity

__all__ = ["Cover", "CoverAction", "CoverMotion", "CoverState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover(Entity):
    """A door, gate or shutter. State: `CoverState`; command: `CoverAction`, percent.

    Attributes:
        has_position: It reports and takes a position; a command may be an `int`.
        has_stop: It can be stopped on its way.
    """

    has_position: bool = False
    has_stop: bool = False


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
