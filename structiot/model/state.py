"""All that an entity can be, and all that it can be told."""

from __future__ import annotations

from typing import TypeAlias

from structiot.model.climate import ClimateState
from structiot.model.cover import CoverAction, CoverState
from structiot.model.fan import FanState
from structiot.model.light import LightState
from structiot.model.lock import LockAction, LockState
from structiot.model.siren import SirenState
from structiot.model.update import UpdateState

__all__ = ["Command", "State"]

State: TypeAlias = (
    bool
    | int
    | float
    | str
    | LightState
    | CoverState
    | ClimateState
    | FanState
    | LockState
    | SirenState
    | UpdateState
)
Command: TypeAlias = (
    bool
    | int
    | float
    | str
    | LightState
    | CoverAction
    | ClimateState
    | FanState
    | LockAction
    | SirenState
    | None
)
