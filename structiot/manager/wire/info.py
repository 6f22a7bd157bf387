"""Who a device is: `<uuid>##<type>##<json>`. Facts: reference 1, 2, 7.2."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from structiot._kit.arguments import check_argument
from structiot._kit.json_text import compact, parse_object, violation
from structiot.errors import UsageError

__all__ = [
    "MAX_INFO_BYTES",
    "Info",
    "InfoReader",
    "canonical_uuid",
    "held_bytes",
    "read_info",
]

MAX_INFO_BYTES: Final = 8192
MAX_TYPE_CHARS: Final = 64
# Empty ones cost two bytes to say and sixty to hold.
MAX_CONTAINERS: Final = 256
_SEPARATOR: Final = b"##"
_UUID: Final = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII
)
_WHOLE: Final = (32, 36)
_OUTSIDE: Final = re.compile(rb'["{}]')
_IN_TEXT: Final = re.compile(rb'["\\\\]')
_BLANK: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a device says of itself.

    Attributes:
        uuid: In its canonical form of 36 characters, lower case.
        type: What it is, of at most 64 printable characters.
        data: What else it says.
    """

    uuid: str
    type: str
    data: Mapping[str, object] = field(default_factory=dict, hash=False)

    def get(self) -> dict[str, object]:
        """Give it as a plain dict of `uuid`, `type` and `data`."""
        return {"uuid": self.uuid, "type": self.type, "data": dict(self.data)}

    def encode(self) -> bytes:
        """Write it as a device does.

        Raises:
            UsageError: Longer than servers read, or a type that cannot be.
        """
        check_argument("type", self.type, str)
        check_argument("data", self.data, Mapping)
        if fault_of_type(self.type):
            raise UsageError(f"the type {self.type!r} {fault_of_type(self.type)}")
        text = f"{canonical_uuid(self.uuid)}##{self.type}##"
        try:
            encoded = (text + compact(self.data, is_ascii=False)).encode()
        except (TypeError, ValueError, RecursionError) as exc:
            raise UsageError(f"the data cannot be written as JSON: {exc}") from None
        if len(encoded) > MAX_INFO_BYTES:
            raise UsageError(f"{len(encoded)} bytes of info, {MAX_INFO_BYTES} at most")
        if fault := _fault_of_data(encoded.split(_SEPARATOR, 2)[2]):
            raise UsageError(f"the data have {fault}")
        return encoded


def canonical_uuid(text: str) -> str:
    """Give a UUID of 36 characters, or of 32 hexadecimal digits, in its one form.

    Raises:
        UsageError: It is none.
    """
    check_argument("uuid", text, str)
    lower = text.lower()
    if len(lower) not in _WHOLE or not _UUID.fullmatch(lower):
        raise UsageError(f"{text[:40]!r} is no UUID of 36 characters")
    digits = lower.replace("-", "")
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def read_info(data: bytes) -> Info:
    """Read the whole of an info; blanks behind it do no harm.

    Raises:
        ProtocolViolation: It is none; nothing of it is believed.
    """
    parts = data.split(_SEPARATOR, 2)
    if len(parts) != 3:
        raise violation("the info is not <uuid>##<type>##<json>", data[:128])
    uuid, kind, rest = parts
    try:
        found, name = canonical_uuid(uuid.decode("ascii")), kind.decode("utf-8")
    except UnicodeDecodeError:
        raise violation("UUID and type of the info are no text", data[:128]) from None
    except UsageError as exc:
        raise violation(f"the info: {exc}", data[:128]) from None
    fault = fault_of_type(name)
    if fault:
        raise violation(f"the type of the info {fault}", data[:128])
    try:
        rest.decode("utf-8")
    except UnicodeDecodeError:
        raise violation("the data of the info are no UTF-8", data[:128]) from None
    told = parse_object(rest, "the info's data")
    if fault := _fault_of_data(rest):
        raise violation(f"the data of the info have {fault}", data[:128])
    return Info(uuid=found, type=name, data=told)


def _fault_of_data(data: bytes) -> str:
    brackets = data.count(b"{") + data.count(b"[")
    if brackets > MAX_CONTAINERS:
        return f"{brackets} brackets, {MAX_CONTAINERS} at most"
    return ""


def held_bytes(data: Mapping[str, object]) -> int:
    """Give what the data of an info hold in memory: up to ten times what was sent."""
    held = 0
    parts: list[object] = [data]
    while parts:
        part = parts.pop()
        held += sys.getsizeof(part)
        if isinstance(part, dict):
            parts += part.keys()
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return held


class InfoReader:
    """Finds where an info ends, whatever pieces it comes in: with its object.

    Each byte is looked at once, so that who sends byte by byte costs nothing more.
    """

    def __init__(self) -> None:
        self._whole = bytearray()
        self._at = 0
        self._separators = 0
        self._depth = 0
        self._is_text = False

    @property
    def held_bytes(self) -> int:
        """How much has come of what is not whole yet."""
        return len(self._whole)

    def feed(self, data: bytes) -> tuple[Info, bytes] | None:
        """Take what has come; give the info and what stands behind it, if it is whole.

        Raises:
            ProtocolViolation: It is none, or longer than `MAX_INFO_BYTES`.
        """
        whole = self._whole
        whole += data
        end = self._end_of_data() if self._is_at_data() else None
        if (end or len(whole)) > MAX_INFO_BYTES:
            message = f"more than {MAX_INFO_BYTES} bytes of info"
            raise violation(message, bytes(whole[:128]))
        if end is None:
            return None
        return read_info(bytes(whole[:end])), bytes(whole[end:])

    def _is_at_data(self) -> bool:
        whole = self._whole
        while self._separators < 2:
            found = whole.find(_SEPARATOR, self._at)
            if found < 0:
                # Half of one may have come.
                self._at = max(self._at, len(whole) - 1)
                return False
            self._at, self._separators = found + 2, self._separators + 1
        return True

    def _end_of_data(self) -> int | None:
        whole = self._whole
        if not self._depth:
            begun = bytes(whole[self._at :]).lstrip(_BLANK)
            if not begun:
                return None
            if begun[:1] != b"{":
                raise violation("the info's data are no object", bytes(whole[:128]))
        while True:
            found = (_IN_TEXT if self._is_text else _OUTSIDE).search(whole, self._at)
            if found is None:
                self._at = max(self._at, len(whole))
                return None
            self._at = found.end()
            match found.group():
                case b"{":
                    self._depth += 1
                case b"}":
                    self._depth -= 1
                    if not self._depth:
                        return self._at
                case b'"':
                    self._is_text = not self._is_text
                case _:
                    # What a backslash stands before, even if that is still to come.
                    self._at += 1


def fault_of_type(name: str) -> str:
    """Say why no device can be of a type; nothing if one can."""
    if not name or len(name) > MAX_TYPE_CHARS:
        return f"has {len(name)} characters, not 1 to {MAX_TYPE_CHARS}"
    # One at its end and the separator behind it would be taken for another.
    if "##" in name or name.endswith("#") or not name.isprintable():
        return "has what no type may have: ##, # at its end, or what cannot be printed"
    return ""
