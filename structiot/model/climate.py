"""Thermostats and valves, and what they do."""

from __future__ import annotations

from dataclasses import dataclass

from structiot.model.entity import Entity

__all__ = ["Climate", "ClimateState"]


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
