"""Locks, how they stand and what they can be told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from structiot.model.entity import Entity

__all__ = ["Lock", "LockAction", "LockState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(Entity):
    """A door's lock. State: `LockState`; command: `LockAction`.

    Attributes:
        can_open: It can draw the latch as well, so that the door opens.
    """

    can_open: bool = False


class LockAction(StrEnum):
    """What a lock can be told."""

    LOCK = "lock"
    UNLOCK = "unlock"
    OPEN = "open"


class LockState(StrEnum):
    """How a lock stands, or what it does."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    LOCKING = "locking"
    UNLOCKING = "unlocking"
    JAMMED = "jammed"
    OPEN = "open"
    OPENING = "opening"
