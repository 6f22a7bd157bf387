"""What the nodes of one manager tell each other by MQTT: a line of JSON, then data.

The line is an object of `kind`, the name of a class below in lower case, and of its fields
but `data`; the reference has the topics. A node's id is its name, a dot, and what is new in
each process. The id of a message is 16 hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, TypeAlias

from structiot._kit.json_text import clean_text, compact, parse_object
from structiot.errors import ProtocolViolation, UsageError
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import (
    MAX_INFO_BYTES,
    Info,
    canonical_uuid,
    read_info,
)

__all__ = [
    "PORTION",
    "Ask",
    "Came",
    "Envelope",
    "Errand",
    "Gone",
    "Here",
    "Listed",
    "Member",
    "Message",
    "Outcome",
    "Report",
    "Send",
    "Went",
    "decode",
    "encode",
    "node_name",
]

PORTION: Final = 32
"""How many devices one envelope tells of."""

# A portion of the longest infos; with as many bytes of JSON nobody is held up for long.
_MAX_HEAD_BYTES: Final = 1_048_576
# An info as long as there is, with escapes beyond ASCII and numbers written out.
_MAX_INFO_CHARS: Final = 4 * MAX_INFO_BYTES
_MAX_NUMBER: Final = 2**53
# The year 9000: no clock is trusted, but it has to be a time.
_MAX_TURN: Final = 221_845_392_000_000
_MAX_REASON_CHARS: Final = 200
_NODE: Final = re.compile(r"([0-9A-Za-z_-]{1,64})\.[0-9a-f]{16}", re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_FAULTS: Final = (KeyError, TypeError, ValueError, ProtocolViolation, UsageError)


class Outcome(StrEnum):
    """What became of what another node wanted to have sent."""

    DELIVERED = "delivered"
    ABSENT = "absent"
    """Nothing was sent: the device is not there."""
    FULL = "full"
    """Nothing was sent: too much is under way to the device already."""
    UNKNOWN = "unknown"
    """It was on its way when the connection ended."""


class Errand(StrEnum):
    """What may be wanted of a device but sending."""

    ALIVE = "alive"
    END = "end"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A device by one of its connections.

    Attributes:
        info: What it says of itself.
        dialect: What it speaks.
        address: From where it has dialled in.
        turn: Milliseconds since 1970, but more than that of the connection it replaces:
            of two nodes that claim a device the newer is right.
    """

    info: Info
    dialect: Dialect
    address: tuple[str, int]
    turn: int


@dataclass(frozen=True, slots=True)
class Here:
    """A node is there, has so many devices, and may ask all to list theirs."""

    node: str
    count: int
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A portion of all that a node has."""

    node: str
    devices: tuple[Member, ...]
    is_first: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class Came:
    """Devices that are connected to a node now, or tell of themselves anew."""

    node: str
    devices: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Went:
    """A device is not connected to a node any more."""

    node: str
    uuid: str
    turn: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """A node is not there any more."""

    node: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What a device has sent; `is_own` if it is of our own dialect, and the id its own."""

    node: str
    uuid: str
    type: str
    message_id: int
    is_own: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """What another node has to send to a device; `is_own` as with `Message`."""

    node: str
    to: str
    uuid: str
    message_id: int
    is_own: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """What became of that."""

    node: str
    to: str
    uuid: str
    message_id: int
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """What another node wants of a device but sending; a report follows as well."""

    node: str
    to: str
    uuid: str
    message_id: int
    what: Errand
    reason: str = ""


Envelope: TypeAlias = Here | Listed | Came | Went | Gone | Message | Send | Report | Ask

_KINDS: Final[Mapping[str, type[Envelope]]] = {
    kind.__name__.lower(): kind
    for kind in (Here, Listed, Came, Went, Gone, Message, Send, Report, Ask)
}


def node_name(node: str) -> str | None:
    """Give the name in a node's id, under which it is reached; None for no id."""
    found = _NODE.fullmatch(node)
    return found[1] if found else None


# ------------------------------------------------------------------- writing


def encode(envelope: Envelope) -> bytes:
    """Write an envelope."""
    head: dict[str, object] = {"kind": type(envelope).__name__.lower()}
    data = b""
    for field in fields(envelope):
        value = getattr(envelope, field.name)
        if field.name == "data":
            data = value
        elif field.name == "devices":
            head["devices"] = [_told(one) for one in value]
        else:
            is_id = field.name == "message_id"
            head[field.name] = f"{value:016x}" if is_id else value
    return compact(head, is_ascii=True).encode() + b"\n" + data


def _told(member: Member) -> dict[str, object]:
    info = member.info
    try:
        data = compact(info.data, is_ascii=True)
    except (TypeError, ValueError, RecursionError):
        data = "{}"
    return {
        "info": f"{info.uuid}##{info.type}##{data}",
        "dialect": member.dialect,
        "address": list(member.address),
        "turn": member.turn,
    }


# ------------------------------------------------------------------- reading


def decode(payload: bytes) -> Envelope | None:
    """Read an envelope; None for anything else, whatever it is."""
    end = payload.find(b"\n", 0, _MAX_HEAD_BYTES)
    try:
        head = parse_object(payload[: max(end, 0)], "an envelope")
        kind = _KINDS[_text(head["kind"])]
        told = {**head, "data": payload[end + 1 :]}
        names = [field.name for field in fields(kind)]
        return kind(**{name: _READERS[name](told[name]) for name in names})
    except _FAULTS:
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _node(value: object) -> str:
    if node_name(_text(value)) is None:
        raise ValueError
    return _text(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < _MAX_NUMBER:
        raise ValueError
    return value


def _turn(value: object) -> int:
    if _number(value) > _MAX_TURN:
        raise ValueError
    return _number(value)


def _id(value: object) -> int:
    if not _ID.fullmatch(_text(value)):
        raise ValueError
    return int(_text(value), 16)


def _type(value: object) -> str:
    # As that in an info.
    return read_info(f"{'0' * 32}##{_text(value)}##{{}}".encode()).type


def _devices(value: object) -> tuple[Member, ...]:
    if not isinstance(value, list):
        raise TypeError
    found = []
    for told in value[:PORTION]:
        try:
            found.append(_member(told))
        except _FAULTS:
            # The others are read none the less.
            continue
    return tuple(found)


def _member(told: Mapping[str, object]) -> Member:
    address = told["address"]
    if not isinstance(address, list) or len(address) != 2:
        raise TypeError
    host, port = address
    if type(port) is not int or port not in range(65_536):
        raise ValueError
    info = _text(told["info"])
    if len(info) > _MAX_INFO_CHARS:
        raise ValueError
    return Member(
        info=read_info(info.encode()),
        dialect=Dialect(_text(told["dialect"])),
        address=(clean_text(_text(host)[:64]), port),
        turn=_turn(told["turn"]),
    )


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "node": _node,
    "to": _node,
    "uuid": lambda value: canonical_uuid(_text(value)),
    "type": _type,
    "message_id": _id,
    "is_own": _flag,
    "is_first": _flag,
    "is_last": _flag,
    "asks": _flag,
    "count": _number,
    "turn": _number,
    "devices": _devices,
    "outcome": Outcome,
    "what": Errand,
    "reason": lambda value: clean_text(_text(value)[:_MAX_REASON_CHARS]),
    "data": bytes,
}
