"""From what an entity is to what stands on its state topic; what happens to it. Pure.

Simple kinds are plain text: `ON`, `5.2`, `eco`; what is not known is `None`, the
word by which Home Assistant resets an entity. Lights, covers, climates, fans, sirens,
texts and updates are JSON objects with Home Assistant's names for lights, sirens and
updates, and the names of our own fields for the others. A text is an object because
MQTT does not retain what is empty.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from functools import singledispatch
from typing import TypeVar

from structiot.errors import UsageError
from structiot.gateway.entities.commands import shown_text, text_rule
from structiot.gateway.entities.members import members_of
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
    Fan,
    FanState,
    Light,
    LightState,
    Lock,
    LockState,
    Number,
    Occurrence,
    Select,
    Sensor,
    Siren,
    SirenState,
    State,
    Switch,
    Text,
    Update,
    UpdateState,
)

__all__ = [
    "OFF",
    "ON",
    "UNKNOWN",
    "occurrence_payload",
    "shown_state",
    "state_json",
    "state_payload",
]

ON = "ON"
OFF = "OFF"
UNKNOWN = "None"
_EVENT_TYPE = "event_type"

_MAX_BYTES = 65_536
_OF_PLAIN_TEXT = Switch | BinarySensor | Sensor | Select | Number | Lock

T = TypeVar(
    "T", LightState, CoverState, ClimateState, FanState, SirenState, UpdateState
)


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
    return _sendable(entity, _shown(entity, state))


def state_json(entity: Entity, state: State | None, payload: str) -> str:
    """Give what `state_payload` has written as JSON: `"ON"`, `5.2`, `null`, an object."""
    if isinstance(entity, _OF_PLAIN_TEXT):
        is_figure = isinstance(state, int | float) and not isinstance(state, bool)
        if state is None or is_figure:
            return "null" if state is None else payload
        return json.dumps(payload, ensure_ascii=False)
    return payload


def shown_state(entity: Entity, state: State | None) -> State | None:
    """Give a state with as many decimals as its entity says are worth showing."""
    decimals = entity.decimals if isinstance(entity, Sensor) else None
    if decimals is None or not isinstance(state, float) or not math.isfinite(state):
        return state
    # Without decimals it is a whole number, and written as one.
    return round(state, decimals or None)


def occurrence_payload(
    entity: Event, occurrence: Occurrence, *, is_timed: bool = False
) -> str:
    """Write what has happened as the topic of its event tells it.

    Args:
        entity: To what.
        occurrence: What has happened.
        is_timed: Whether it says when as `at`, if the device does not by itself: it may
            wait before it is told.

    Raises:
        UsageError: It is nothing that can happen there, or its data are no JSON.
    """
    given, known = occurrence.event_type, entity.event_types
    if given not in known:
        message = f"{entity.key} has no event {given!r}; it has {', '.join(known)}"
        raise UsageError(message)
    if _EVENT_TYPE in occurrence.data:
        message = f"the data of {entity.key} have a member {_EVENT_TYPE!r} of their own"
        raise UsageError(message)
    told: dict[str, object] = {_EVENT_TYPE: given}
    if is_timed:
        told["at"] = occurrence.at_utc.isoformat(timespec="milliseconds")
    payload = _json(entity, {**told, **occurrence.data})
    return _sendable(entity, payload)


def _sendable(entity: Entity, payload: str) -> str:
    try:
        size = len(payload.encode())
    except UnicodeEncodeError:
        # Half of a surrogate pair: JSON can bring it in, and nothing can carry it on.
        raise UsageError(f"{entity.key} tells a text that is none in UTF-8") from None
    if size > _MAX_BYTES:
        message = f"{entity.key} tells {size} bytes; {_MAX_BYTES} are the most"
        raise UsageError(message)
    return payload


@_shown.register
def _switch(entity: Switch, state: State | None) -> str:
    return _on_off(entity, state)


@_shown.register
def _binary_sensor(entity: BinarySensor, state: State | None) -> str:
    return _on_off(entity, state)


@_shown.register
def _sensor(entity: Sensor, state: State | None) -> str:
    if state is not None and not entity.options and not isinstance(state, str):
        return repr(_number_of(entity, state))
    return _text(entity, state, entity.options)


@_shown.register
def _select(entity: Select, state: State | None) -> str:
    return _text(entity, state, entity.options)


@_shown.register
def _number(entity: Number, state: State | None) -> str:
    return UNKNOWN if state is None else repr(_number_of(entity, state))


@_shown.register
def _lock(entity: Lock, state: State | None) -> str:
    if state is None:
        return UNKNOWN
    if not isinstance(state, LockState):
        raise _impossible(entity, state)
    return state.upper()


@_shown.register
def _stateless(entity: Button | Event, state: State | None) -> str:
    raise _impossible(entity, state)


def _as(kind: type[T], entity: Entity, state: State | None) -> T:
    if state is None:
        return kind()
    if not isinstance(state, kind):
        raise _impossible(entity, state)
    return state


def _impossible(entity: Entity, state: object) -> UsageError:
    kind = type(entity).__name__.lower()
    article = "an" if kind[0] in "aeiou" else "a"
    try:
        shown = repr(state)
    except ValueError:
        # Python writes no integer of more than 4,300 digits.
        shown = "so large a number"
    return UsageError(f"{entity.key} is {article} {kind} and cannot be {shown}")


def _json(entity: Entity, value: Mapping[str, object]) -> str:
    try:
        return json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
    except (TypeError, ValueError, RecursionError) as exc:
        raise UsageError(f"{entity.key} tells what is no JSON: {exc}") from None


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


def _number_of(entity: Entity, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Of an integer with more than 308 digits it is not even told.
        with suppress(OverflowError):
            if math.isfinite(value):
                return value + 0  # minus zero becomes zero
    raise _impossible(entity, value)


def _plain(entity: Entity, value: float, high: float = math.inf) -> float:
    """Check a figure and drop a fraction of nothing: 50, not 50.0."""
    figure = _number_of(entity, value)
    if not 0 <= figure <= high:
        raise _impossible(entity, value)
    return int(figure) if figure == int(figure) else figure


def _word(state: LightState | FanState | SirenState) -> str | None:
    return None if state.is_on is None else ON if state.is_on else OFF


@_shown.register
def _light(entity: Light, given: State | None) -> str:
    state = _as(LightState, entity, given)
    shown: dict[str, object] = {"state": _word(state)}
    if state.brightness_percent is not None:
        shown["brightness"] = _plain(entity, state.brightness_percent, 100)
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
    return _json(entity, shown)


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
    return _json(entity, shown)


@_shown.register
def _climate(entity: Climate, given: State | None) -> str:
    state = _as(ClimateState, entity, given)
    return _json(
        entity,
        {
            "mode": state.mode,
            "target_c": state.target_c,
            "current_c": state.current_c,
            "humidity_percent": state.humidity_percent,
            "action": state.action,
            "preset": state.preset,
        },
    )


@_shown.register
def _fan(entity: Fan, given: State | None) -> str:
    state = _as(FanState, entity, given)
    speed, preset = state.speed_percent, state.preset
    shown = {
        "state": _word(state),
        "speed_percent": None if speed is None else _plain(entity, speed, 100),
        "preset": None if preset is None else _text(entity, preset, entity.presets),
        "is_oscillating": state.is_oscillating,
        "direction": state.direction,
    }
    return _json(entity, {member: shown[member] for member in members_of(entity)})


@_shown.register
def _siren(entity: Siren, given: State | None) -> str:
    state = _as(SirenState, entity, given)
    # Home Assistant takes no null here: `None` is its word, the others are left out.
    shown: dict[str, object] = {"state": _word(state) or UNKNOWN}
    if state.tone is not None:
        shown["tone"] = _text(entity, state.tone, entity.tones)
    if state.volume_percent is not None:
        shown["volume_level"] = _plain(entity, state.volume_percent, 100) / 100
    if state.duration_s is not None:
        shown["duration"] = _plain(entity, state.duration_s)
    known = members_of(entity)
    return _json(entity, {k: shown[k] for k in known if k in shown})


@_shown.register
def _text_entity(entity: Text, state: State | None) -> str:
    if state is not None and not isinstance(state, str):
        raise _impossible(entity, state)
    if state is not None and not entity.fits(state):
        shown, rule = shown_text(entity, state), text_rule(entity)
        raise UsageError(f"{entity.key} cannot be {shown!r}; it is {rule}")
    return _json(entity, {"text": state})


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
    return _json(entity, shown)
