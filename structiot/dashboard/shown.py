"""A value as the page shows it: what is nobody's business is hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.values import Value, value_of
from structiot.model import Entity, Text

__all__ = ["is_secret", "seconds_of", "shown_value"]

_HIDDEN_TEXT = "•••"


def is_secret(entity: Entity) -> bool:
    """Tell whether what an entity is leaves the gateway by no page."""
    return isinstance(entity, Text) and entity.is_secret


def shown_value(device: ServedDevice, entity: Entity, now_utc: datetime) -> Value:
    """Give the value of an entity, hidden if it is a secret."""
    value = value_of(device, entity, now_utc)
    if is_secret(entity) and value.value is not None:
        return replace(value, value=None, text=_HIDDEN_TEXT)
    return value


def seconds_of(at_utc: datetime | None) -> float | None:
    """Write a time as seconds of the epoch, by the millisecond."""
    return None if at_utc is None else round(at_utc.timestamp(), 3)
