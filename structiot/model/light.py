"""Lamps and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from structiot.model.entity import Entity

__all__ = ["Light", "LightState"]


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
