"""A value as the page shows it: what is nobody's business is hidden.

Devices may be anybody's code: what fails of one costs that value and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from structiot._kit.rare_lines import RareLines
from structiot._kit.text import printable
from structiot.errors import InternalError
from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.isolation import called
from structiot.gateway.values import UNKNOWN_TEXT, Value, value_of
from structiot.model import Entity, Text

__all__ = ["is_secret", "seconds_of", "shown_value"]

_HIDDEN_TEXT = "•••"


def is_secret(entity: Entity) -> bool:
    """Tell whether what an entity is leaves the gateway by no page."""
    return isinstance(entity, Text) and entity.is_secret


def shown_value(
    device: ServedDevice,
    entity: Entity,
    now_utc: datetime,
    warnings: RareLines | None = None,
) -> Value:
    """Give the value of an entity, hidden if it is a secret.

    Args:
        device: Whose entity it is.
        entity: The entity.
        now_utc: The time.
        warnings: Where it is said that a device cannot tell; one place is enough.
    """
    try:
        value = called(lambda: value_of(device, entity, now_utc))
    except InternalError as exc:
        if warnings is not None:
            text = "a value of %s cannot be shown: %s"
            warnings.say(text, printable(device.name), exc, about=entity.key)
        return Value(value=None, text=UNKNOWN_TEXT, state="unknown", at_utc=None)
    if is_secret(entity) and value.value is not None:
        return replace(value, value=None, text=_HIDDEN_TEXT)
    return value


def seconds_of(at_utc: datetime | None) -> float | None:
    """Write a time as seconds of the epoch, by the millisecond."""
    return None if at_utc is None else round(at_utc.timestamp(), 3)
