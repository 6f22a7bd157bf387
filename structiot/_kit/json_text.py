"""JSON as small devices write it: lenient in the text, strict in what comes out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from structiot._kit.redact import SECRET_NAMES
from structiot.errors import ProtocolViolation

__all__ = [
    "clean_text",
    "compact",
    "integer_of",
    "number_of",
    "parse_json",
    "parse_object",
    "text_of",
    "violation",
]

_PADDING = "\ufeff\0 \t\r\n"
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_SECRETS = re.compile(
    rf'("(?:{"|".join(sorted(SECRET_NAMES))})"\s*:\s*")[^"]*'.encode(), re.IGNORECASE
)
_MAX_EXCERPT_BYTES = 1_024
_MAX_DEPTH = 50
# A cloud's list of a thousand devices has ten thousand; each takes a while.
_MAX_CONTAINERS = 65_536
_CONTAINERS = {dict, list}
_HIDDEN = re.compile(r"\0+")


def parse_object(data: bytes, what: str) -> dict[str, object]:
    """Read the JSON object at the start of `data`; what follows it is ignored.

    A byte order mark, NULs and blanks around it do no harm, invalid UTF-8 becomes
    replacement characters, and numbers that JSON does not have, or nobody else could
    read (`1e999`), become None.

    Raises:
        ProtocolViolation: No JSON, no object, or one of too many or too deep lists.
    """
    text = data.decode("utf-8", "replace").lstrip(_PADDING)
    value = _checked(data, what, lambda: _DECODER.raw_decode(text)[0])
    if not isinstance(value, dict):
        raise violation(f"{what}: a {_kind(value)} instead of an object", data)
    return value


def parse_json(data: bytes, what: str) -> object:
    """Read a JSON value, with nothing but blanks around it.

    Numbers that JSON does not have, or nobody else could read, become None.

    Raises:
        ProtocolViolation: It is none, or one of too many or too deep lists.
    """
    return _checked(
        data,
        what,
        lambda: json.loads(data, parse_constant=_no_number, parse_float=_finite),
    )


def _checked(data: bytes, what: str, read: Callable[[], object]) -> object:
    brackets = data.count(b"[") + data.count(b"{")
    if brackets > _MAX_CONTAINERS:
        raise violation(f"{what}: no JSON: more than {_MAX_CONTAINERS} lists", data)
    try:
        value = read()
    except (ValueError, RecursionError) as exc:
        position = exc.pos if isinstance(exc, json.JSONDecodeError) else None
        reason = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise violation(f"{what}: no JSON: {reason}", data, position) from None
    if brackets > _MAX_DEPTH and _is_too_deep(value):
        raise violation(f"{what}: no JSON: nested too deeply", data)
    return value


def _is_too_deep(value: object) -> bool:
    """Tell whether a value is deeper than anything that makes sense.

    How deep the decoder goes depends on Python's version and on who calls it.
    """
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    for _ in range(_MAX_DEPTH):
        # There may be very many, most of them empty.
        level = [
            x
            for one in level
            for x in (one.values() if type(one) is dict else one)
            if x and type(x) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def compact(value: object, *, is_ascii: bool) -> str:
    """Write JSON without blanks, with escapes beyond ASCII or without.

    Raises:
        ValueError: It has numbers that JSON does not have, or ends in itself.
        TypeError: It has what is no JSON value.
    """
    return json.dumps(
        value, separators=(",", ":"), ensure_ascii=is_ascii, allow_nan=False
    )


def violation(
    message: str, data: bytes, offset: int | None = None
) -> ProtocolViolation:
    """Make the error for malformed data; the secrets in its excerpt are hidden."""
    # To search a megabyte for secrets takes longer than to read it as JSON.
    head = _SECRETS.sub(rb"\1***", data[:_MAX_EXCERPT_BYTES])
    return ProtocolViolation(message, data=head, offset=offset)


def integer_of(value: object) -> int | None:
    """Read an integer, also one that is written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    # Not `int(value)`: it takes fewer characters for blanks than `strip` does.
    if isinstance(value, str) and _INTEGER.fullmatch(text := value.strip()):
        return int(text)
    return None


def number_of(value: object) -> float | None:
    """Read a finite number, also one that is written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        value = value.strip()
        if not _DECIMAL.fullmatch(value):
            return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def text_of(value: object) -> str | None:
    """Read a text, or a number as text; None for anything else and for blanks."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return (clean_text(value) or None) if isinstance(value, str) else None


def clean_text(text: str) -> str:
    """Strip blanks and whatever cannot be shown; half a character becomes a whole `?`.

    What cannot be shown are control characters, and those that have a screen write
    backwards or nothing at all.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if not whole.isprintable():
        shown = "".join(c if c.isprintable() else "\0" for c in whole)
        whole = _HIDDEN.sub(" ", shown)
    return whole.strip()


def _no_number(_: str) -> None:
    return None


def _finite(text: str) -> float | None:
    # `1e999` is JSON, and as infinity it would be none any more.
    number = float(text)
    return number if math.isfinite(number) else None


def _kind(value: object) -> str:
    names = {list: "list", str: "text", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)
