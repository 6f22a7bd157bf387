"""Fans and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from structiot.model.entity import Entity

__all__ = ["Fan", "FanDirection", "FanState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fan(Entity):
    """A fan. State: `FanState`; command: a `FanState` of what shall change, or `bool`.

    Attributes:
        speed_steps: How many speeds it has; with fewer than two there is none to
            choose. Its speeds are `100 / speed_steps` percent apart; the device takes
            the one that is nearest to a commanded speed.
        presets: Named presets.
        can_oscillate: It can swing from side to side.
        has_direction: It can turn either way.
    """

    speed_steps: int = 0
    presets: tuple[str, ...] = ()
    can_oscillate: bool = False
    has_direction: bool = False


class FanDirection(StrEnum):
    """Which way a fan turns."""

    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True, kw_only=True)
class FanState:
    """What a fan does; as a command, None leaves a field as it is.

    Attributes:
        is_on: Whether it turns.
        speed_percent: 0 to 100.
        preset: One of `Fan.presets`.
        is_oscillating: Whether it swings from side to side.
        direction: Which way it turns.
    """

    is_on: bool | None = None
    speed_percent: float | None = None
    preset: str | None = None
    is_oscillating: bool | None = None
    direction: FanDirection | None = None
