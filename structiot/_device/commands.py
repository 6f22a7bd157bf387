"""Whether an entity can be told what it is told, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

from structiot.errors import UsageError
from structiot.model import (
    BinarySensor,
    Button,
    Command,
    Entity,
    Event,
    Number,
    Select,
    Sensor,
    Switch,
)

__all__ = ["check_command"]


def check_command(
    entities: Sequence[Entity], key: str, command: Command, *, device: str
) -> None:
    """Refuse a command for no entity, or one that a simple entity cannot take.

    Raises:
        UsageError: No such entity, one that is only read, or a value it cannot take.
    """
    told = {e.key: e for e in entities if not isinstance(e, _READ_ONLY)}
    entity = told.get(key)
    if entity is None:
        is_read = any(entity.key == key for entity in entities)
        problem = "is only read" if is_read else "does not exist"
        message = f"{key} of {device} {problem}; what can be told: {', '.join(told)}"
        raise UsageError(message)
    is_number = isinstance(command, int | float) and not isinstance(command, bool)
    match entity:
        case Switch():
            can_take, wanted = isinstance(command, bool), "true or false"
        case Button():
            can_take, wanted = command is None, "no value"
        case Select(options=options):
            can_take, wanted = command in options, f"one of {', '.join(options)}"
        case Number(minimum=low, maximum=high):
            can_take = is_number and low <= float(str(command)) <= high
            wanted = f"a number from {low:g} to {high:g}"
        case _:
            return
    if not can_take:
        message = f"{key} of {device} takes {wanted}, not {command!r}"
        raise UsageError(message)


_READ_ONLY = (Sensor, BinarySensor, Event)
