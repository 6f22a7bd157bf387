"""From the state of one entity to the command of another. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from structiot._kit.json_text import compact
from structiot.errors import UsageError
from structiot.gateway.entities.commands import parse_command
from structiot.gateway.entities.members import members_of
from structiot.gateway.entities.states import OFF, ON, UNKNOWN, state_payload
from structiot.model import (
    Climate,
    Cover,
    CoverAction,
    CoverMotion,
    CoverState,
    Entity,
    Fan,
    Light,
    Lock,
    LockAction,
    LockState,
    Siren,
    State,
    Text,
    Update,
)

__all__ = ["handed_on", "is_so", "opposite", "word_of"]

_WITH_MEMBERS: Final = (Climate, Fan, Light, Siren)
_MAIN: Final = {Climate: "mode", Text: "text", Update: "installed_version"}
_SETTLED: Final = {
    CoverMotion.OPEN: CoverAction.OPEN,
    CoverMotion.CLOSED: CoverAction.CLOSE,
    LockState.LOCKED: LockAction.LOCK,
    LockState.UNLOCKED: LockAction.UNLOCK,
    LockState.OPEN: LockAction.OPEN,
}


def word_of(entity: Entity, state: State | None) -> str | None:
    """Give a state in one word, as on the state topic; None if it is not known.

    Of what has several values it is the main one: `ON` of a light, `heat` of a climate.
    """
    shown = state_payload(entity, state)
    if isinstance(entity, Cover | Text | Update | Climate | Fan | Light | Siren):
        found = _fields(shown).get(_MAIN.get(type(entity), "state"))
        shown = UNKNOWN if found is None else str(found)
    return None if state is None or shown == UNKNOWN else shown


def _fields(shown: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(shown)
    return found


def handed_on(source: Entity, state: State | None, target: Entity) -> str | None:
    """Give the command that brings an entity to the state of another one.

    Args:
        source: Whose state it is.
        state: The state.
        target: Whom the command is for.

    Returns:
        What would be published on its set topic; None if there is nothing to hand on:
        the state is not known, or one on the way to another.
    """
    word = word_of(source, state)
    if word is None:
        return None
    if isinstance(state, CoverState) and isinstance(target, Cover):
        return _of_cover(state, target)
    if isinstance(state, LockState):
        settled = _SETTLED.get(state)
        return None if settled is None else settled.upper()
    is_alike = isinstance(target, _WITH_MEMBERS) and isinstance(source, type(target))
    if isinstance(target, _WITH_MEMBERS) and is_alike and word != OFF:
        shown = _fields(state_payload(source, state))
        told = {k: shown[k] for k in members_of(target) if shown.get(k) is not None}
        return compact(told, is_ascii=False)
    return word


def _of_cover(state: CoverState, target: Cover) -> str | None:
    motion = state.motion
    if motion in {CoverMotion.OPENING, CoverMotion.CLOSING}:
        return None
    if target.has_position and state.position_percent is not None:
        return str(state.position_percent)
    settled = None if motion is None else _SETTLED.get(motion)
    return None if settled is None else settled.upper()


def opposite(entity: Entity, state: State | None) -> str:
    """Give the command that makes of a state its opposite.

    Raises:
        UsageError: It has none, or the state is not known.
    """
    is_on = state if isinstance(state, bool) else getattr(state, "is_on", None)
    if isinstance(is_on, bool):
        return OFF if is_on else ON
    if isinstance(state, LockState):
        is_locked = state in {LockState.LOCKED, LockState.LOCKING}
        return (LockAction.UNLOCK if is_locked else LockAction.LOCK).upper()
    if isinstance(state, CoverState) and (motion := _motion(state)) is not None:
        is_open = motion not in {CoverMotion.CLOSED, CoverMotion.CLOSING}
        return (CoverAction.CLOSE if is_open else CoverAction.OPEN).upper()
    if isinstance(entity, Cover | Lock | Light | Fan | Siren) or state is None:
        raise UsageError(f"what {entity.key} is now is not known: nothing to toggle")
    raise UsageError(f"{entity.key} has no opposite")


def _motion(state: CoverState) -> CoverMotion | None:
    if state.motion is None and state.position_percent is not None:
        is_closed = state.position_percent == 0
        return CoverMotion.CLOSED if is_closed else CoverMotion.OPEN
    return state.motion


def is_so(entity: Entity, state: State | None, payload: str) -> bool:
    """Tell whether an entity is what a command would make of it, as far as is known.

    Raises:
        UsageError: It takes no such command.
    """
    command = parse_command(entity, payload.encode(errors="replace"))
    if state is None or command is None:
        return False
    if isinstance(command, CoverAction | LockAction):
        settled = _motion(state) if isinstance(state, CoverState) else state
        return isinstance(settled, CoverMotion | LockState) and (
            _SETTLED.get(settled) is command
        )
    if isinstance(state, CoverState):
        return state.position_percent == command
    if isinstance(command, type(state)) and hasattr(command, "__dataclass_fields__"):
        told = {name: getattr(command, name) for name in command.__dataclass_fields__}
        return all(
            value is None or getattr(state, name) == value
            for name, value in told.items()
        )
    return bool(command == state)
