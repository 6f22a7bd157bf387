"""Any state in words: of a lamp, a thermostat, a sensor, whatever comes.

This is the one place that does it: programs, tables and pages show the same text.
"""

from __future__ import annotations

import dataclasses
import math
from enum import Enum
from typing import Final

from structiot.model.entity import BinarySensor, Entity, Number, Sensor
from structiot.model.state import State

__all__ = ["figure_text", "scaled", "state_text"]

# What our names of quantities end with.
_UNITS: Final = {
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
# From a thousand on in the next larger one.
_LARGER: Final = {"W": "kW", "Wh": "kWh", "VA": "kVA", "var": "kvar", "kWh": "MWh"}
# Household meters show thousands of these.
_LARGER_FROM: Final = {"kWh": 100_000.0}
_SCALED_DIGITS: Final = 3
_DIGITS: Final = 4
_USUAL_DECIMALS: Final = 2
# How Home Assistant calls what is true and false of a class.
_WORDS: Final = {
    "battery": ("low", "normal"),
    "battery_charging": ("charging", "not charging"),
    "cold": ("cold", "normal"),
    "connectivity": ("connected", "disconnected"),
    "door": ("open", "closed"),
    "garage_door": ("open", "closed"),
    "heat": ("hot", "normal"),
    "light": ("light detected", "no light"),
    "lock": ("unlocked", "locked"),
    "moisture": ("wet", "dry"),
    "opening": ("open", "closed"),
    "plug": ("plugged in", "unplugged"),
    "presence": ("home", "away"),
    "problem": ("problem", "OK"),
    "running": ("running", "not running"),
    "safety": ("unsafe", "safe"),
    "update": ("update available", "up to date"),
    "window": ("open", "closed"),
    **dict.fromkeys(
        (
            "carbon_monoxide", "gas", "motion", "moving", "occupancy", "power",
            "smoke", "sound", "tamper", "vibration",
        ),
        ("detected", "clear"),
    ),
}  # fmt: skip


def state_text(state: State | None, entity: Entity | None = None) -> str:
    """Write a state as it is read; nothing for one that the device does not tell.

    Figures have the decimals that the entity gives, and fewer where they are large;
    from 1,000 on watts are written as kilowatts, and watt-hours likewise.

    Args:
        state: Any state of the model.
        entity: What is in that state, for the unit of a figure and the words of a class.
    """
    if state is None:
        return ""
    if isinstance(state, bool):
        words = ("on", "off")
        if isinstance(entity, BinarySensor):
            words = _WORDS.get(entity.device_class or "", words)
        return words[0] if state else words[1]
    if dataclasses.is_dataclass(state):
        members = [one.name for one in dataclasses.fields(state)]
        told = [(name, getattr(state, name)) for name in members]
        return ", ".join(_member(*one) for one in told if one[1] is not None)
    if isinstance(state, Enum):
        return str(state.value)
    if isinstance(entity, Sensor | Number) and isinstance(state, int | float):
        decimals = entity.decimals if isinstance(entity, Sensor) else None
        return figure_text(state, entity.unit, decimals)
    return str(state)


def figure_text(value: float, unit: str | None, decimals: int | None = None) -> str:
    """Write a figure with its unit: `12.3 W`, `1.24 kW`, `1,840`.

    Args:
        value: The figure, in the unit.
        unit: Unit as Home Assistant writes it, if it has one.
        decimals: Decimals worth showing, two by default.
    """
    if not math.isfinite(value):
        return str(value)
    factor, shown_unit = scaled(value, unit)
    figure = value / factor
    digits = len(str(int(abs(figure))))
    if factor != 1:
        places = max(0, _SCALED_DIGITS - digits)
        text = f"{figure:,.{places}f}"
    elif decimals is None:
        text = f"{figure:,.{min(_USUAL_DECIMALS, max(0, _DIGITS - digits))}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{figure:,.{min(decimals, max(0, _DIGITS - digits))}f}"
    # Nothing is less than nothing.
    text = text.removeprefix("-") if not text.strip("-0.,") else text
    return f"{text} {shown_unit or ''}".rstrip()


def scaled(value: float, unit: str | None) -> tuple[float, str | None]:
    """Give by what a figure is divided to be written, and the unit it then has."""
    if unit in _LARGER and abs(value) >= _LARGER_FROM.get(unit, 1000.0):
        return 1000.0, _LARGER[unit]
    return 1.0, unit


def _member(name: str, value: object) -> str:
    """Write one member of a state: where `is_on` and `motion` say it all, others have names."""
    if isinstance(value, bool):
        text = "on" if value else "off"
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
