"""What of an entity is recorded: its figures, and what it is as steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from structiot._kit.text import printable
from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.energy_totals import is_energy_total
from structiot.gateway.history.answers import Kind, RecordedSeries
from structiot.model import (
    BinarySensor,
    Button,
    Entity,
    Event,
    Number,
    Sensor,
    State,
    Switch,
    Text,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Recorded", "Value", "part_name", "recorded_of", "series_of"]

Value: TypeAlias = float | str | None
"""A figure; a text; None where nothing is known."""

# One part of an entity: what stands behind its key, kind, unit, value.
Recorded: TypeAlias = tuple[str, Kind, str, Value]

_LONGEST_TEXT = 255
_LONGEST_NAME = 100
_LONGEST_UNIT = 32
_MOST_DECIMALS = 15
# Beyond it, a sum over years would have no end, and a mean none either.
_LARGEST = 1e100
# What units at the end of a name are when it is spoken.
_SPOKEN = {
    "_temp_k": " temperature",
    "_c": " temperature",
    "_k": "",
    "_percent": "",
    "_s": "",
}
_UNITS = {"c": "°C", "k": "K", "percent": "%", "s": "s"}


def recorded_of(entity: Entity, state: State | None) -> Iterator[Recorded]:
    """Give what is recorded of an entity in a state; nothing of what nobody may see.

    Of what has several values (a light, a thermostat) that is what it is, and each of
    its figures under the figure's name.
    """
    if isinstance(entity, Button | Event) or (
        isinstance(entity, Text) and entity.is_secret
    ):
        return
    if is_dataclass(state):
        yield from _members(state)
    elif isinstance(entity, Switch | BinarySensor):
        yield "", "switch", "", None if state is None else float(bool(state))
    elif isinstance(state, bool):
        yield "", "switch", "", float(state)
    elif isinstance(state, int | float) or (
        state is None and isinstance(entity, Sensor | Number) and _is_figure(entity)
    ):
        kind: Kind = "energy" if is_energy_total(entity) else "figure"
        unit = entity.unit if isinstance(entity, Sensor | Number) else None
        yield "", kind, printable(unit or "", most=_LONGEST_UNIT), _figure(state)
    else:
        yield "", "text", "", _text(state)


def part_name(suffix: str) -> str:
    """Name one value of several as people do: `.target_c` is the target temperature.

    Args:
        suffix: What stands behind the entity's key; empty for what it mainly is.
    """
    name = suffix.removeprefix(".").removeprefix("is_").replace("color", "colour")
    for unit, instead in _SPOKEN.items():
        if name.endswith(unit):
            name = name.removesuffix(unit) + instead
            break
    return name.replace("_", " ")


def _is_figure(entity: Sensor | Number) -> bool:
    return isinstance(entity, Number) or bool(entity.unit or entity.state_class)


def _members(state: DataclassInstance) -> Iterator[Recorded]:
    """Give the parts of a state that has several; the first text is what it is."""
    is_named = False
    for field in fields(state):
        value = getattr(state, field.name)
        name = f".{field.name}"
        if field.name == "is_on":
            is_named = True
            yield "", "switch", "", None if value is None else float(value)
        elif isinstance(value, bool):
            yield name, "switch", "", float(value)
        elif isinstance(value, int | float):
            unit = _UNITS.get(field.name.rpartition("_")[2], "")
            yield name, "figure", unit, _figure(value)
        elif isinstance(value, str):
            yield name if is_named else "", "text", "", _text(value)
            is_named = True


def _figure(state: object) -> float | None:
    if not isinstance(state, int | float):
        return None
    try:
        figure = float(state)
    except OverflowError:
        return None
    # What is no number is not as large as any.
    return figure if abs(figure) <= _LARGEST else None


def _text(state: object) -> str | None:
    if state is None:
        return None
    text = str(state.value if isinstance(state, Enum) else state)
    return printable(text, most=_LONGEST_TEXT)


def series_of(
    entity: Entity, part: Recorded, *, device: ServedDevice, slug: str
) -> RecordedSeries:
    """Describe the series that a part of an entity belongs to."""
    info = device.info
    assert info is not None  # noqa: S101 - nothing is noted of who is not known
    suffix, kind, unit, _ = part
    decimals = entity.decimals if isinstance(entity, Sensor) and not suffix else None
    if decimals is not None:
        decimals = min(max(decimals, 0), _MOST_DECIMALS)
    label = entity.name or ""
    if suffix:
        label = f"{label} {part_name(suffix)}".strip()
    return RecordedSeries(
        system=info.system,
        device=info.id,
        entity=f"{entity.key}{suffix}",
        kind=kind,
        unit=unit,
        slug=slug,
        name=printable(device.name, most=_LONGEST_NAME),
        label=printable(label, most=_LONGEST_NAME),
        decimals=decimals,
    )
