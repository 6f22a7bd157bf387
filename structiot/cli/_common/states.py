"""The state of any entity in words: of a lamp, a thermostat, a sensor, whatever comes."""

from __future__ import annotations

import dataclasses

from structiot.model import Entity, Number, Sensor, State

__all__ = ["state_text"]

# What our names of quantities end with.
_UNITS = {
    "a": "A",
    "c": "°C",
    "hz": "Hz",
    "k": "K",
    "percent": "%",
    "s": "s",
    "v": "V",
    "w": "W",
    "wh": "Wh",
}


def state_text(state: State | None, entity: Entity | None = None) -> str:
    """Write a state as it is read; nothing for one that the device does not tell.

    Args:
        state: Any state of the model.
        entity: What is in that state, for the unit of a figure.
    """
    if state is None:
        return ""
    if isinstance(state, bool):
        return "ON" if state else "OFF"
    if dataclasses.is_dataclass(state):
        members = [one.name for one in dataclasses.fields(state)]
        told = [(name, getattr(state, name)) for name in members]
        return ", ".join(_member(*one) for one in told if one[1] is not None)
    if isinstance(entity, Sensor | Number) and isinstance(state, int | float):
        decimals = entity.decimals if isinstance(entity, Sensor) else None
        figure = str(state) if decimals is None else f"{state:.{decimals}f}"
        return f"{figure} {entity.unit or ''}".rstrip()
    return str(state)


def _member(name: str, value: object) -> str:
    """Write one member of a state: where `is_on` and `motion` say it all, others have names."""
    if isinstance(value, bool):
        text = "ON" if value else "OFF"
        return text if name == "is_on" else f"{name.removeprefix('is_')} {text}"
    if name == "motion":
        return str(value)
    words = name.split("_")
    unit = _UNITS.get(words[-1]) if len(words) > 1 else None
    label = " ".join(words if unit is None else words[:-1])
    if isinstance(value, tuple):
        return f"{label} {'/'.join(map(str, value))}"
    if isinstance(value, float):
        value = f"{value:g}"
    return f"{label} {value} {unit or ''}".rstrip()
