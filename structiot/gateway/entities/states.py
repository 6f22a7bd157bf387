"""From what an entity is to what stands on its state topic. Pure.

Simple kinds are plain text: `ON`, `5.2`, `eco`; what is not known is `None`, the
word by which Home Assistant resets an entity. Lights, covers, climates and updates
are JSON objects with Home Assistant's names for lights and updates, and the names
of our own fields for the others.
"""

from __future__ import annotations

import json
import math
from functools import singledispatch
from typing import TypeVar

from structiot.errors import UsageError
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Cover,
    CoverMotion,
    CoverState,
    Entity,
    Event,
    Light,
    LightState,
    Number,
    Occurrence,
    Select,
    Sensor,
    State,
    Switch,
    Update,
    UpdateState,
)

__all__ = ["OFF", "ON", "UNKNOWN", "occurrence_payload", "state_payload"]

ON = "ON"
OFF = "OFF"
UNKNOWN = "None"

T = TypeVar("T", LightState, CoverState, ClimateState, UpdateState)


@singledispatch
def _shown(entity: Entity, state: State | None) -> str:  # noqa: ARG001 - of the others
    message = (
        f"{entity.key} is a {type(entity).__name__}, which the gateway does not know"
    )
    raise UsageError(message)


def state_payload(entity: Entity, state: State | None) -> str:
    """Write the state of an entity as its topic shows it.

    Raises:
        UsageError: The state is none that such an entity can have.
    """
    return _shown(entity, state)


@_shown.register
def _switch(entity: Switch, state: State | None) -> str:
    return _on_off(entity, state)


@_shown.register
def _binary_sensor(entity: BinarySensor, state: State | None) -> str:
    return _on_off(entity, state)


@_shown.register
def _sensor(entity: Sensor, state: State | None) -> str:
    if state is not None and not entity.options and not isinstance(state, str):
        return _figure(entity, state)
    return _text(entity, state, entity.options)


@_shown.register
def _select(entity: Select, state: State | None) -> str:
    return _text(entity, state, entity.options)


@_shown.register
def _number(entity: Number, state: State | None) -> str:
    return UNKNOWN if state is None else _figure(entity, state)


@_shown.register
def _button(entity: Button, state: State | None) -> str:
    raise _impossible(entity, state)


def _as(kind: type[T], entity: Entity, state: State | None) -> T:
    if state is None:
        return kind()
    if not isinstance(state, kind):
        raise _impossible(entity, state)
    return state


def _impossible(entity: Entity, state: State | None) -> UsageError:
    kind = type(entity).__name__.lower()
    return UsageError(f"{entity.key} is a {kind} and cannot be {state!r}")


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _on_off(entity: Entity, state: State | None) -> str:
    if state is None:
        return UNKNOWN
    if not isinstance(state, bool):
        raise _impossible(entity, state)
    return ON if state else OFF


def _text(entity: Entity, state: State | None, options: tuple[str, ...]) -> str:
    if state is None:
        return UNKNOWN
    if not isinstance(state, str):
        raise _impossible(entity, state)
    if options and state not in options:
        known = ", ".join(options)
        raise UsageError(f"{entity.key} cannot be {state!r}; it is one of {known}")
    return state


def _figure(entity: Entity, state: State) -> str:
    if isinstance(state, bool) or not isinstance(state, int | float):
        raise _impossible(entity, state)
    if not math.isfinite(state):
        raise _impossible(entity, state)
    return repr(state + 0)  # minus zero becomes zero


def _plain(figure: float) -> float:
    """Drop a fraction of nothing: 50, not 50.0."""
    return int(figure) if figure == int(figure) else figure


@_shown.register
def _light(entity: Light, given: State | None) -> str:
    state = _as(LightState, entity, given)
    shown: dict[str, object] = {"state": None}
    if state.is_on is not None:
        shown["state"] = ON if state.is_on else OFF
    if state.brightness_percent is not None:
        shown["brightness"] = _plain(state.brightness_percent)
    modes = entity.color_modes
    if state.rgb is not None and "rgb" in modes:
        shown["color_mode"] = "rgb"
        shown["color"] = dict(zip("rgb", state.rgb, strict=True))
    elif state.color_temp_k is not None and "color_temp" in modes:
        shown["color_mode"] = "color_temp"
        shown["color_temp"] = state.color_temp_k
    elif modes == {"brightness"}:
        shown["color_mode"] = "brightness"
    if state.effect is not None:
        shown["effect"] = state.effect
    return _json(shown)


@_shown.register
def _cover(entity: Cover, given: State | None) -> str:
    state = _as(CoverState, entity, given)
    position = state.position_percent
    motion = state.motion
    if motion is None and position is not None:
        motion = CoverMotion.CLOSED if position == 0 else CoverMotion.OPEN
    shown: dict[str, object] = {"state": None if motion is None else motion.value}
    if position is not None:
        shown["position"] = position
    return _json(shown)


@_shown.register
def _climate(entity: Climate, given: State | None) -> str:
    state = _as(ClimateState, entity, given)
    return _json(
        {
            "mode": state.mode,
            "target_c": state.target_c,
            "current_c": state.current_c,
            "humidity_percent": state.humidity_percent,
            "action": state.action,
            "preset": state.preset,
        }
    )


@_shown.register
def _update(entity: Update, given: State | None) -> str:
    state = _as(UpdateState, entity, given)
    shown: dict[str, object] = {}
    if state.installed is not None:
        shown["installed_version"] = state.installed
    if state.latest is not None:
        shown["latest_version"] = state.latest
    if shown:
        shown["in_progress"] = state.progress_percent is not None
        shown["update_percentage"] = state.progress_percent
    return _json(shown)


def occurrence_payload(entity: Event, occurrence: Occurrence) -> str:
    if occurrence.event_type not in entity.event_types:
        raise UsageError("no such event")
    return _json({**occurrence.data, "event_type": occurrence.event_type})
