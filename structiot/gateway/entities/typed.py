"""Whether an entity is what its class says: every field of its type. Pure.

Drivers are not checked by anybody before; what is JSON may be announced and still be no
limit that a command can be compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.gateway.entities.announcement import KEY
from structiot.model import Climate, Cover, Entity, Fan, Light, Lock, Siren, Update

__all__ = ["check_key", "settled"]

_OURS = {
    one.__module__ for one in (Climate, Cover, Entity, Fan, Light, Lock, Siren, Update)
}

# What is only shown, and how much of it.
_SHOWN = {"name": 100, "unit": 32}

EntityT = TypeVar("EntityT", bound=Entity)


def settled(entity: EntityT) -> EntityT:
    """Give an entity as it stays: lists and sets in it become its own, texts fit to show.

    Raises:
        UsageError: It is no entity, or a field is of another type.
    """
    if not isinstance(entity, Entity):
        raise UsageError(f"{printable(repr(entity), most=40)} is no entity")
    changed: dict[str, Any] = {}
    kind: Any = type(entity)
    for name, hint in _hints_of(kind).items():
        given = getattr(entity, name)
        try:
            kept = _kept(given, hint)
        except (TypeError, OverflowError):
            shown = printable(repr(given), most=40)
            message = f"{name} of {entity.key} is {shown}, which it cannot be"
            raise UsageError(message) from None
        if name in _SHOWN and isinstance(kept, str):
            kept = _unless_same(kept, printable(kept, most=_SHOWN[name]))
        if kept is not given:
            changed[name] = kept
    return replace(entity, **changed) if changed else entity


def check_key(key: str) -> None:
    """Refuse what cannot be the key of an entity.

    Raises:
        UsageError: It is no level of a topic.
    """
    if not KEY.fullmatch(key):
        raise UsageError(f"{key!r} is no key of an entity")


@cache
def _hints_of(kind: Any) -> Mapping[str, object]:  # noqa: ANN401 - an entity's class
    # What a driver's own class adds is its own business.
    ours = next(one for one in kind.__mro__ if one.__module__ in _OURS)
    hints = get_type_hints(ours)
    return MappingProxyType({one.name: hints[one.name] for one in fields(ours)})


def _kept(value: object, hint: object) -> object:
    """Give a value as a type has it.

    Raises:
        TypeError: It is of another type.
        OverflowError: It is a number that nobody can reckon with.
    """
    kind, members = get_origin(hint), get_args(hint)
    if kind in {Union, UnionType}:
        return _of_either(value, members)
    if kind is Literal:
        return _confirmed(value, isinstance(value, str) and value in members)
    if kind is tuple:
        _confirmed(value, isinstance(value, list | tuple))
        return _unless_same(value, tuple(_all_kept(value, members[0])))
    if kind is frozenset:
        _confirmed(value, isinstance(value, list | tuple | set | frozenset))
        return _unless_same(value, frozenset(_all_kept(value, members[0])))
    if hint is float:
        hint = int | float
    if isinstance(value, bool) and hint is not bool:
        raise TypeError
    is_one = isinstance(value, hint)  # type: ignore[arg-type]
    is_finite = not isinstance(value, int | float) or math.isfinite(value)
    return _confirmed(value, is_one and is_finite)


def _of_either(value: object, hints: Iterable[object]) -> object:
    for hint in hints:
        try:
            return _kept(value, hint)
        except TypeError:
            continue
    raise TypeError


def _all_kept(values: Any, hint: object) -> list[object]:  # noqa: ANN401 - a collection
    return [_kept(one, hint) for one in values]


def _confirmed(value: object, is_so: bool) -> object:  # noqa: FBT001 - a condition
    if not is_so:
        raise TypeError
    return value


def _unless_same(value: object, kept: object) -> object:
    return value if type(value) is type(kept) and value == kept else kept
