"""What stands in SEPL's frames: devices, events, commands, and their protocol parts.

Facts: reference 4 and 5 (read in the platform's source). The protocol
`standard-connector` has two parts, `metadata` and `data`, whose values are texts or
null. A command names its device and service `device_url` and `service_url`, an event
`device_uri` and `service_uri`. What else a command says is the platform's, and goes back
as it came: by that, not by its token, the platform finds the task that waits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from structiot._kit.json_text import compact, violation
from structiot.errors import ProtocolViolation, UsageError

__all__ = [
    "DATA",
    "METADATA",
    "CommandPayload",
    "Parts",
    "check_cost",
    "event_payload",
    "held_bytes",
    "part_text",
    "put_payload",
    "read_command",
    "read_parts",
    "response_payload",
    "write_parts",
]

METADATA: Final = "metadata"
DATA: Final = "data"
_PARTS: Final = "protocol_parts"
_MAX_PARTS: Final = 64
# It takes ten times as long to read them, and to write them in the answer, as a text.
_MAX_COMMAS: Final = 32_768
# Numbers with a fraction or an exponent are the slowest of all.
_MAX_SLOW_NUMBERS: Final = 8_192
# Searches that begin with one byte take a tenth of what those take that begin with any of
# several: so the bytes of a kind become one, which takes a millisecond a megabyte.
_DIGITS: Final = b"0123456789"
_BREAKS: Final = b"[,: \t\n\r\v\f"
_POINTS: Final = b".eE"
_KINDS: Final = bytes.maketrans(
    _DIGITS + _BREAKS + _POINTS,
    b"0" * len(_DIGITS) + b"," * len(_BREAKS) + b"." * len(_POINTS),
)
_SLOW_NUMBER: Final = re.compile(rb",-?0+\.")
_LONG_NUMBERS: Final = (b"," + b"0" * 1000, b"-" + b"0" * 1000)
# What a list, an object or a member takes in memory, about.
_VALUE_BYTES: Final = 100
_WIDEST_CHARACTER_BYTES: Final = 4

Parts: TypeAlias = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class CommandPayload:
    """A command taken apart.

    Attributes:
        device_id: Whom it is for.
        service: What of it.
        parts: The values by the names of the protocol parts.
        payload: All that came, which the response gives back.
    """

    device_id: str
    service: str
    parts: Parts
    payload: Mapping[str, object]


def check_cost(data: bytes) -> None:
    """Look whether JSON from a platform is read in a short time.

    Raises:
        ProtocolViolation: It is of very many values, or of very long numbers.
    """
    is_slow = data.count(b",") > _MAX_COMMAS
    if not is_slow:
        kinds = data.translate(_KINDS)
        is_slow = any(long in kinds for long in _LONG_NUMBERS)
        is_slow = is_slow or len(_SLOW_NUMBER.findall(kinds)) > _MAX_SLOW_NUMBERS
    if is_slow:
        raise violation("a message of very many values, or of very long numbers", data)


def held_bytes(data: bytes) -> int:
    """Give what a command takes in memory, about, which is more than on the wire."""
    is_wide = not data.isascii() or b"\\u" in data
    values = sum(map(data.count, (b"{", b"[", b",")))
    width = _WIDEST_CHARACTER_BYTES if is_wide else 1
    return len(data) * width + values * _VALUE_BYTES


def part_text(value: object, what: str = "data") -> str | None:
    """Give the value of a part: a text as it is, None as null, all else as JSON.

    Raises:
        UsageError: It is no JSON, such as bytes or NaN.
    """
    if value is None or isinstance(value, str):
        return value
    try:
        return compact(value, is_ascii=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise UsageError(f"{what} cannot be written as JSON: {exc}") from None


def write_parts(parts: Parts) -> list[dict[str, str | None]]:
    """Write protocol parts, in the order in which they are given."""
    return [{"name": name, "value": value} for name, value in parts.items()]


def read_parts(told: object) -> dict[str, str | None]:
    """Read protocol parts, in whatever order they come; null is none at all.

    A value that is no text, which the platform does not send, is read as JSON in one.

    Raises:
        ProtocolViolation: They are none.
    """
    if told is None:
        return {}
    if not isinstance(told, list):
        raise ProtocolViolation("protocol parts that are no list")
    if len(told) > _MAX_PARTS:
        raise ProtocolViolation(f"{len(told)} protocol parts, {_MAX_PARTS} at most")
    parts: dict[str, str | None] = {}
    for part in told:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            raise ProtocolViolation("a protocol part without a name")
        try:
            parts[name] = part_text(part.get("value"))
        except UsageError as exc:
            raise ProtocolViolation(f"a protocol part: {exc}") from None
    return parts


def put_payload(
    device_id: str, device_type: str, name: str, tags: Sequence[str]
) -> dict[str, object]:
    """Write what puts a device on the platform; tags are `id:text`."""
    return {"uri": device_id, "name": name, "iot_type": device_type, "tags": [*tags]}


def event_payload(
    device_id: str, service: str, data: str | None, metadata: str | None = None
) -> dict[str, object]:
    """Write an event."""
    return {
        "device_uri": device_id,
        "service_uri": service,
        "value": write_parts({METADATA: metadata, DATA: data}),
    }


def read_command(payload: object) -> CommandPayload:
    """Take a command apart.

    Raises:
        ProtocolViolation: It names no device or no service, its parts are none, or it
            has what could not be given back.
    """
    if not isinstance(payload, dict):
        raise ProtocolViolation("a command that is no object")
    device_id, service = payload.get("device_url"), payload.get("service_url")
    if not isinstance(device_id, str) or not isinstance(service, str):
        raise ProtocolViolation("a command without a device or a service")
    try:
        # A number such as 1e999 is read, and cannot be written.
        compact(payload, is_ascii=True)
    except ValueError as exc:
        raise ProtocolViolation(f"a command that is no JSON: {exc}") from None
    return CommandPayload(device_id, service, read_parts(payload.get(_PARTS)), payload)


def response_payload(
    command: Mapping[str, object], data: str | None, metadata: str | None = None
) -> dict[str, object]:
    """Write the response to a command: what came, with other parts."""
    parts = write_parts({METADATA: metadata, DATA: data})
    return {**command, _PARTS: parts}
