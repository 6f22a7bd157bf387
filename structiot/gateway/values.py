"""What is known of each entity now: its value, how it reads, and how fresh it is.

It never says more than the gateway knows. A value that was not heard within its time is
stale, one of a device that cannot be reached unavailable, whatever it was before. How old
a value is, is told by a clock that does not jump.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.entities.states import state_payload
from structiot.model import Button, Climate, Cover, Entity, Event, Fan, Light, Siren
from structiot.model.text import state_text

__all__ = ["UNKNOWN_TEXT", "Value", "ValueState", "is_stale", "value_of", "values_of"]

ValueState: TypeAlias = Literal["live", "stale", "unavailable", "unknown"]

UNKNOWN_TEXT = "\N{EN DASH}"
_UNAVAILABLE_TEXT = "unavailable"
_WITH_FIELDS = (Climate, Cover, Fan, Light, Siren)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One entity of one device, as it is known now.

    Attributes:
        value: A figure as it is, else the text that stands on the state topic (`ON`,
            `eco`); of what has several values the main one; None if it is not known.
        text: How people read it, with its unit.
        state: `"live"`: heard within its time; `"stale"`: not, though nothing is known
            to be wrong; `"unavailable"`: the device cannot be reached, or does not report
            it any more; `"unknown"`: it never did.
        at_utc: When it was heard last, changed or not; None if never.
        fields: Of what has several values (a light, a thermostat) all of them, as on its
            state topic; None for others.
    """

    value: float | str | None
    text: str
    state: ValueState
    at_utc: datetime | None
    fields: Mapping[str, Any] | None = None


def values_of(
    device: ServedDevice, now_utc: datetime
) -> Iterator[tuple[Entity, Value]]:
    """Give each entity of a device that has a value, with it."""
    for entity in device.entities.values():
        if not isinstance(entity, Button):
            yield entity, value_of(device, entity, now_utc)


def value_of(device: ServedDevice, entity: Entity, now_utc: datetime) -> Value:
    """Give the value of an entity.

    Args:
        device: Whose entity it is.
        entity: The entity.
        now_utc: The time.
    """
    if isinstance(entity, Event):
        return _happened(device, entity)
    silent_s = device.silent_s(entity.key)
    at_utc = None if silent_s is None else now_utc - timedelta(seconds=silent_s)
    is_told = entity.key in device.states
    state = device.states.get(entity.key)
    if not device.is_available or (is_told and state is None):
        return Value(
            value=None, text=_UNAVAILABLE_TEXT, state="unavailable", at_utc=at_utc
        )
    if not is_told or silent_s is None:
        return Value(value=None, text=UNKNOWN_TEXT, state="unknown", at_utc=at_utc)
    shown = state_payload(entity, state)
    fields: Mapping[str, Any] | None = None
    value: float | str | None = shown
    if isinstance(entity, _WITH_FIELDS):
        fields = json.loads(shown)
        value = fields.get("mode" if isinstance(entity, Climate) else "state")
    elif isinstance(state, int | float) and not isinstance(state, bool):
        value = state
    elif isinstance(state, str):
        value = str(state)
    return Value(
        value=value,
        text=state_text(state, entity),
        state="stale" if is_stale(device, entity.key) else "live",
        at_utc=at_utc,
        fields=fields,
    )


def is_stale(device: ServedDevice, key: str) -> bool:
    """Tell whether a state was not heard within its time."""
    limit_s, silent_s = device.stale_after_s(key), device.silent_s(key)
    return limit_s is not None and silent_s is not None and silent_s > limit_s


def _happened(device: ServedDevice, entity: Event) -> Value:
    last = device.occurrences.get(entity.key)
    if not device.is_available:
        at_utc = None if last is None else last.at_utc
        return Value(
            value=None, text=_UNAVAILABLE_TEXT, state="unavailable", at_utc=at_utc
        )
    if last is None:
        return Value(value=None, text=UNKNOWN_TEXT, state="unknown", at_utc=None)
    text = last.event_type.replace("_", " ")
    return Value(value=last.event_type, text=text, state="live", at_utc=last.at_utc)
