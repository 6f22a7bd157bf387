"""What any entity is told on a command line: a word, or the members that shall change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from structiot._device.commands import members_told
from structiot.errors import UsageError
from structiot.gateway.entities.commands import INSTALL, PRESS, parse_command
from structiot.gateway.entities.members import on_off, refusal
from structiot.model import (
    Button,
    Climate,
    ClimateState,
    Command,
    Entity,
    Fan,
    FanDirection,
    FanState,
    Light,
    LightState,
    Siren,
    SirenState,
    Update,
)

__all__ = ["command_of"]

_STATES: dict[type[Entity], type[LightState | ClimateState | FanState | SirenState]] = {
    Light: LightState,
    Climate: ClimateState,
    Fan: FanState,
    Siren: SirenState,
}
_UNITS = ("percent", "k", "c", "s")


def command_of(entity: Entity, words: Sequence[str]) -> Command:
    """Read a command: `on`, `21.5`, `open`, or `rgb=255,0,0 brightness=40`.

    What the entity cannot be told, or not like this, is seen when it is told.

    Args:
        entity: Whom it is for.
        words: As they stand on the command line; none at all presses a button.

    Raises:
        UsageError: It takes no commands, or nothing that looks like this.
    """
    text = " ".join(words)
    if not words:
        text = {Button: PRESS, Update: INSTALL}.get(type(entity), "")
    state_class = next(
        (one for kind, one in _STATES.items() if isinstance(entity, kind)), None
    )
    if state_class is None or text.startswith("{"):
        return parse_command(entity, text.encode())
    names = members_told(entity)
    # Whether the values fit is for whoever is told them.
    members: dict[str, Any] = {}
    for word in words:
        if "=" in word:
            members |= [_member(entity, names, word)]
        elif "is_on" in names and len(words) == 1 and on_off(word) is not None:
            members["is_on"] = on_off(word)
        else:
            members.clear()
            break
    if not members:
        switched = "on, off or " if "is_on" in names else ""
        wanted = f"{switched}NAME=VALUE of {_listed(names)}"
        raise refusal(entity.key, wanted, text)
    return state_class(**members)


def _member(entity: Entity, names: Mapping[str, bool], word: str) -> tuple[str, object]:
    """Read one `name=value`; a name may do without `is_` and without its unit."""
    given, _, value = word.partition("=")
    spelt = {name: name for name in names} | {_short(name): name for name in names}
    name = spelt.get(given.strip().lower())
    if name is None:
        message = f"{entity.key} cannot be told {given!r}; there are {_listed(names)}"
        raise UsageError(message)
    return name, _value(name, value.strip())


def _short(name: str) -> str:
    stem, _, unit = name.removeprefix("is_").rpartition("_")
    return stem if stem and unit in _UNITS else name.removeprefix("is_")


def _listed(names: Mapping[str, bool]) -> str:
    return ", ".join(_short(name) for name, is_told in names.items() if is_told)


def _value(name: str, text: str) -> object:
    if name.startswith("is_"):
        is_on = on_off(text)
        return text if is_on is None else is_on
    if name == "rgb":
        return _colour(text)
    if name == "direction" and text.lower() in list(FanDirection):
        return FanDirection(text.lower())
    if name.endswith(tuple(f"_{unit}" for unit in _UNITS)):
        return _number(text)
    return text


def _colour(text: str) -> object:
    digits = text.removeprefix("#")
    if digits != text and len(digits) == 6:
        try:
            return tuple(bytes.fromhex(digits))
        except ValueError:
            return text
    return tuple(_number(part) for part in text.split(","))


def _number(text: str) -> object:
    """Read a number; what is none is told as it is, to be refused with the range."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
