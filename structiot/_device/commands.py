"""Whether an entity can be told what it is told, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import singledispatch
from typing import TypeAlias

from structiot._kit.arguments import check_argument
from structiot._kit.redact import HIDDEN
from structiot.errors import UsageError
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Command,
    Cover,
    CoverAction,
    Entity,
    Event,
    Fan,
    FanDirection,
    FanState,
    Light,
    LightState,
    Lock,
    LockAction,
    Number,
    Select,
    Sensor,
    Siren,
    SirenState,
    Switch,
    Text,
    Update,
)

__all__ = ["check_command", "members_told"]

_Rule: TypeAlias = tuple[Callable[[object], bool], str]
# Of the command of one kind: the rule of each member that this entity can be told.
_Rules: TypeAlias = Mapping[str, _Rule | None]

_READ_ONLY = (Sensor, BinarySensor, Event)
_MEMBERS: Mapping[type[Entity], type[object]] = {
    Light: LightState,
    Climate: ClimateState,
    Fan: FanState,
    Siren: SirenState,
}


def check_command(
    entities: Sequence[Entity], key: str, command: Command, *, device: str
) -> None:
    """Refuse a command for no entity, or one that the entity cannot take by the model.

    Entities of kinds that the model does not have are not looked at.

    Raises:
        UsageError: No such entity, one that is only read, or a value it cannot take.
    """
    check_argument("key", key, str)
    told = {e.key: e for e in entities if not _is_only_read(e)}
    entity = told.get(key)
    if entity is None:
        is_read = any(entity.key == key for entity in entities)
        problem = "is only read" if is_read else "does not exist"
        message = f"{key} of {device} {problem}; what can be told: {', '.join(told)}"
        raise UsageError(message)
    if command is not None and isinstance(command, _state_class(entity)):
        _check_members(entity, command, f"{key} of {device}")
        return
    rule = _rule_of(entity)
    if rule is None or rule[0](command):
        return
    for kind in (CoverAction, LockAction):
        member = next((one for one in kind if command == one.value), None)
        if member is not None and rule[0](member):
            wanted = f"{rule[1]}: say {kind.__name__}.{member.name}"
            raise UsageError(f"{key} of {device} takes {wanted}, not {command!r}")
    is_secret = isinstance(entity, Text) and entity.is_secret
    given = HIDDEN if is_secret else repr(command)
    raise UsageError(f"{key} of {device} takes {rule[1]}, not {given}")


def members_told(entity: Entity) -> dict[str, bool]:
    """Give the members that entities of its kind are told, and whether this one is."""
    return {name: rule is not None for name, rule in _rules_of(entity).items()}


def _is_only_read(entity: Entity) -> bool:
    cannot_install = isinstance(entity, Update) and not entity.can_install
    return cannot_install or isinstance(entity, _READ_ONLY)


@singledispatch
def _rule_of(_entity: Entity) -> _Rule | None:
    """Give the rule of a command that is one value."""
    return None


@_rule_of.register
def _switch(_switch: Switch) -> _Rule:
    return _SWITCHED


@_rule_of.register
def _plain(_plain: Button | Update) -> _Rule:
    return lambda given: given is None, "no value"


@_rule_of.register
def _select(select: Select) -> _Rule | None:
    return _one_of(select.options)


@_rule_of.register
def _number(number: Number) -> _Rule:
    return _figure(number.minimum, number.maximum)


@_rule_of.register
def _text(text: Text) -> _Rule:
    wanted = f"a text of {text.min_length} to {text.max_length} characters"
    if text.pattern is not None:
        wanted += f" that matches {text.pattern}"
    return lambda given: isinstance(given, str) and text.fits(given), wanted


@_rule_of.register
def _lock(lock: Lock) -> _Rule:
    actions = [LockAction.LOCK, LockAction.UNLOCK]
    return _action(LockAction, [*actions, *[LockAction.OPEN] * lock.can_open])


@_rule_of.register
def _cover(cover: Cover) -> _Rule:
    actions = [CoverAction.OPEN, CoverAction.CLOSE]
    is_action, wanted = _action(
        CoverAction, [*actions, *[CoverAction.STOP] * cover.has_stop]
    )
    if not cover.has_position:
        return is_action, wanted
    is_position, _ = _figure(0, 100)
    return (
        lambda given: is_action(given) or is_position(given),
        f"{wanted} or a position from 0 to 100",
    )


@_rule_of.register
def _fan_or_siren(entity: Fan | Siren) -> _Rule:
    return _SWITCHED[0], f"true, false or a {_state_class(entity).__name__}"


@_rule_of.register
def _light_or_climate(entity: Light | Climate) -> _Rule:
    return lambda _: False, f"a {_state_class(entity).__name__}"


def _state_class(entity: Entity) -> type[object]:
    """Give the class of a command that has members; of the others none."""
    kinds = (members for kind, members in _MEMBERS.items() if isinstance(entity, kind))
    return next(kinds, type(None))


def _check_members(entity: Entity, command: object, whose: str) -> None:
    rules = _rules_of(entity)
    for name in (item.name for item in fields(command)):  # type: ignore[arg-type]  # all are dataclasses
        given = getattr(command, name)
        if given is None:
            continue
        rule = rules.get(name)
        if rule is None:
            known = ", ".join(name for name, rule in rules.items() if rule)
            raise UsageError(f"{whose} cannot be told {name}; there are {known}")
        if not rule[0](given):
            raise UsageError(f"{name} of {whose} takes {rule[1]}, not {given!r}")


def _rules_of(entity: Entity) -> _Rules:
    match entity:
        case Light(color_modes=modes):
            low, high = (
                entity.min_color_temp_k or 1000,
                entity.max_color_temp_k or 40_000,
            )
            return {
                "is_on": _SWITCHED,
                "brightness_percent": _figure(0, 100) if modes else None,
                "color_temp_k": _figure(low, high) if "color_temp" in modes else None,
                "rgb": _COLOUR if "rgb" in modes else None,
                "effect": _one_of(entity.effects),
            }
        case Climate():
            return {
                "mode": _one_of(entity.modes),
                "target_c": _figure(entity.min_target_c, entity.max_target_c),
                "preset": _one_of(entity.presets),
            }
        case Fan():
            return {
                "is_on": _SWITCHED,
                "speed_percent": _figure(0, 100) if entity.speed_steps > 1 else None,
                "preset": _one_of(entity.presets),
                "is_oscillating": _SWITCHED if entity.can_oscillate else None,
                "direction": _one_of(list(FanDirection))
                if entity.has_direction
                else None,
            }
        case Siren():
            return {
                "is_on": _SWITCHED,
                "tone": _one_of(entity.tones),
                "volume_percent": _figure(0, 100) if entity.has_volume else None,
                "duration_s": _figure(0, _A_DAY_S) if entity.has_duration else None,
            }
    return {}


def _one_of(options: Sequence[str]) -> _Rule | None:
    if not options:
        return None
    return lambda given: given in options, f"one of {', '.join(options)}"


def _action(kind: type[object], actions: Sequence[str]) -> _Rule:
    return (
        lambda given: isinstance(given, kind) and given in actions,
        f"one of {', '.join(actions)}",
    )


def _figure(low: float, high: float) -> _Rule:
    def is_one(given: object) -> bool:
        # Not a number is in no range.
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        return is_number and isinstance(given, int | float) and low <= given <= high

    return is_one, f"a number from {low:g} to {high:g}"


def _is_colour(given: object) -> bool:
    is_byte, _ = _figure(0, 255)
    return isinstance(given, tuple) and len(given) == 3 and all(map(is_byte, given))


_A_DAY_S = 86_400
_SWITCHED: _Rule = (lambda given: isinstance(given, bool), "true or false")
_COLOUR: _Rule = (_is_colour, "red, green and blue from 0 to 255")
