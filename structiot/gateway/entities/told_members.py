"""Members of what devices say: where they are, and which states they are. Pure.

All of it is a stranger's word: it is bounded, and text comes through its door.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from hashlib import sha256
from typing import Final, TypeAlias

from structiot._kit.json_text import number_of, parse_object, text_of
from structiot._kit.text import printable
from structiot.errors import ProtocolViolation
from structiot.gateway.entities.members import on_off
from structiot.model import (
    BinarySensor,
    Entity,
    Lock,
    LockState,
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
    "MISSING",
    "MemberPath",
    "entity_of",
    "members_in",
    "object_in",
    "path_of",
    "spoken",
    "state_of",
    "text_in",
    "value_at",
]

MemberPath: TypeAlias = tuple[str, ...]
"""The names on the way to a member, outermost first."""

MISSING: Final = object()
"""What stands where there is no member."""

_DEEPEST: Final = 3
_MOST_SEEN: Final = 256
_LONGEST_OBJECT: Final = 16_384
_LONGEST_TEXT: Final = 1024
# Home Assistant takes no longer state.
_LONGEST_STATE: Final = 250
_LONGEST_NAME: Final = 64
_LONGEST_MEMBER: Final = 200
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_]{1,48}", re.ASCII)
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)
_BLANK: Final = b"\0 \t\r\n"
_EXACT: Final = 2**53


def path_of(member: str) -> MemberPath:
    """Read where a member is: `wifi.rssi`, or a JSON pointer such as `/wifi/rssi`.

    Raises:
        ValueError: It is neither.
    """
    parts = member.split("/")[1:] if member.startswith("/") else member.split(".")
    if member.startswith("/"):
        parts = [part.replace("~1", "/").replace("~0", "~") for part in parts]
    if not all(parts) or len(member) > _LONGEST_MEMBER:
        message = "write a member as wifi.rssi, or as the JSON pointer /wifi/rssi"
        raise ValueError(message)
    return tuple(parts)


def value_at(data: object, path: MemberPath) -> object:
    """Give what stands at a place; `MISSING` if there is nothing."""
    found = data
    for part in path:
        if isinstance(found, Mapping):
            found = found.get(part, MISSING)
        elif isinstance(found, list) and part.isdecimal() and len(part) < 5:
            found = found[int(part)] if int(part) < len(found) else MISSING
        else:
            return MISSING
    return found


def members_in(data: Mapping[str, object]) -> Iterator[tuple[MemberPath, object]]:
    """Give what is a state and not a table or an array, some levels down; at most 256."""
    left: list[tuple[MemberPath, object]] = [
        ((key,), value) for key, value in list(data.items())[:_MOST_SEEN]
    ]
    for _ in range(_MOST_SEEN):
        if not left:
            return
        path, value = left.pop(0)
        if isinstance(value, bool | int | float | str):
            yield path, value
        elif isinstance(value, Mapping) and len(path) < _DEEPEST:
            inner = list(value.items())[: _MOST_SEEN - len(left)]
            left[:0] = [((*path, key), one) for key, one in inner]


def object_in(message: bytes) -> dict[str, object] | None:
    """Read a message that is a JSON object; None if it is none, or too long for one."""
    if len(message) > _LONGEST_OBJECT or message.lstrip(_BLANK)[:1] != b"{":
        return None
    try:
        return parse_object(message, "the message")
    except ProtocolViolation:
        return None


def text_in(message: bytes) -> str:
    """Give a message as a text that can be shown, of some 1,000 characters at most."""
    text = message[: 4 * _LONGEST_TEXT].strip(_BLANK).decode(errors="replace")
    return printable(text, most=_LONGEST_TEXT)


def state_of(entity: Entity, value: object) -> State | None:
    """Give a member's value as a state of an entity; None if it can be none."""
    match entity:
        case Switch() | BinarySensor():
            return _is_on(value)
        case Siren():
            is_on = _is_on(value)
            return None if is_on is None else SirenState(is_on=is_on)
        case Lock():
            return _lock_state(value)
        case Update():
            return _update_state(value)
        case Sensor() if _is_figure(entity):
            return _figure(value)
    return _whatever(entity, value)


def _whatever(entity: Entity, value: object) -> State | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and not isinstance(entity, Text):
        return _figure(value)
    text = text_of(value)
    return None if text is None else printable(text, most=_LONGEST_STATE)


def _is_on(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    text = text_of(value)
    return None if text is None else on_off(text)


def _lock_state(value: object) -> LockState | None:
    if isinstance(value, bool):
        return LockState.LOCKED if value else LockState.UNLOCKED
    text = (text_of(value) or "").lower()
    return LockState(text) if text in set(LockState) else None


def _update_state(value: object) -> UpdateState | None:
    if not isinstance(value, Mapping):
        return None
    installed, latest = (text_of(value.get(one)) for one in ("installed", "latest"))
    return UpdateState(
        installed=None
        if installed is None
        else printable(installed, most=_LONGEST_NAME),
        latest=None if latest is None else printable(latest, most=_LONGEST_NAME),
    )


def _is_figure(sensor: Sensor) -> bool:
    kinds = (sensor.unit, sensor.state_class, sensor.decimals)
    return any(one is not None for one in kinds)


def _figure(value: object) -> float | None:
    figure = number_of(value)
    is_exact = isinstance(value, int) and figure is not None and abs(figure) < _EXACT
    return value if is_exact and isinstance(value, int) else figure


def spoken(path: MemberPath) -> str:
    """Say a member's name as people do: `wifi_rssi` is `Wifi rssi`."""
    words = printable(" ".join(path).replace("_", " ").strip(), most=_LONGEST_NAME)
    return f"{words[:1].upper()}{words[1:]}" or "Unnamed"


def key_of(path: MemberPath, taken: Container[str]) -> str | None:
    """Give the key of a member's entity, at each start the same; None if it is taken.

    What cannot be a level of a topic has a digest of its name behind what can.
    """
    plain = "_".join(path)
    if _PLAIN_KEY.fullmatch(plain) and plain not in taken:
        return plain
    digest = sha256(repr(path).encode(errors="surrogatepass")).hexdigest()[:8]
    key = f"{_NOT_PLAIN.sub('_', plain)[:40].strip('_') or 'member'}_{digest}"
    return None if key in taken else key


def entity_of(
    path: MemberPath, value: object, taken: Container[str]
) -> BinarySensor | Sensor | None:
    """Make the entity of a member that nobody has described; None if there is none.

    What it is at first decides of which kind it is.
    """
    is_short = sum(map(len, path)) <= _LONGEST_MEMBER
    key = key_of(path, taken) if is_short else None
    if key is None:
        return None
    name = spoken(path)
    if isinstance(value, bool):
        return BinarySensor(key=key, name=name)
    is_figure = isinstance(value, int | float)
    return Sensor(key=key, name=name, state_class="measurement" if is_figure else None)
