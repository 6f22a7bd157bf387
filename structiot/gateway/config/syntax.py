"""What is wrong with a text that is no TOML: where, and which key it is about.

`tomllib` says where it has stopped. For a key that is there twice that is the end of its
value, and for a text without its closing quote often the end of the file.
"""

from __future__ import annotations

import ast
import re

from structiot._kit.text import printable
from structiot.gateway.config.positions import Position, position_at
from structiot.gateway.config.syntax_hints import hint_at

__all__ = ["syntax_fault"]

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_NAME = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY = re.compile(rf"^[ \t]*({_NAME}(?:[ \t]*\.[ \t]*{_NAME})*)[ \t]*=", re.MULTILINE)
_TWICE = re.compile(r"Cannot declare (\(.*\)) twice")
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_NAME}(?:[ \t]*\.[ \t]*{_NAME})*)[ \t]*\]")
_UNCLOSED_ARRAY = "Unclosed array"
_NO_VALUE = "Invalid value"
_OVERWRITES = "Cannot overwrite a value"
# What is said of a text without its closing quote, and that quote.
_UNCLOSED = {
    'Expected "\'"': "'",
    "Expected \"'''\"": "'''",
    "Found invalid character '\\n'": "'",
    "Illegal character '\\n'": '"',
    "Unterminated string": '"',
}
_LONG = '"""'


def syntax_fault(text: str, message: str) -> tuple[Position, str]:
    """Give the place of a fault, and what it is.

    Args:
        text: What `tomllib` has refused.
        message: What it has said.
    """
    offset, ending = len(text), ""
    if match := _PLACE.search(message):
        message = message[: match.start()]
        ending = "" if match[1] else " at the end of the file"
        if match[1]:
            offset = _offset_of(text, int(match[1]), int(match[2]))
    found = _found(text, offset, message)
    if found is None and (hint := hint_at(text, offset, message)) is not None:
        found = offset, hint
    if found is None:
        found = offset, f"{message[:1].lower()}{message[1:]}{ending}"
    return position_at(text, found[0]), f"not valid TOML: {found[1]}"


def _found(text: str, offset: int, message: str) -> tuple[int, str] | None:
    """Give where it is and what, if `tomllib` has stopped elsewhere or knows no key."""
    if message in _UNCLOSED:
        return _unclosed(text, offset, _UNCLOSED[message])
    if message == _OVERWRITES:
        return _overwritten(text, offset)
    if message == _UNCLOSED_ARRAY:
        return _unclosed_array(text, offset)
    if message == _NO_VALUE:
        return _missing(text, offset)
    if match := _TWICE.fullmatch(message):
        name = ".".join(map(str, ast.literal_eval(match[1])))
        start = text.rfind("\n", 0, offset) + 1
        return start, f"the table {printable(name)!r} is there already"
    return None


def _offset_of(text: str, line: int, column: int) -> int:
    before = text.split("\n", line - 1)[: line - 1]
    return sum(len(one) + 1 for one in before) + column - 1


def _missing(text: str, offset: int) -> tuple[int, str] | None:
    key = _key_before(text, offset)
    is_there = text[offset : offset + 1] not in {"", "\r", "\n", "#"}
    if key is None or is_there or text[key[2] : offset].strip():
        return None
    return offset, f"{key[1]!r} has no value"


def _overwritten(text: str, offset: int) -> tuple[int, str] | None:
    start = text.rfind("\n", 0, offset) + 1
    if match := _HEADER.match(text, start):
        name = printable(match[1], most=64)
        what = "and cannot be a table and an array of tables, or a table and a value"
        return start, f"{name!r} is there already, {what}"
    key = _key_before(text, offset)
    return None if key is None else (key[0], f"{key[1]!r} is there already")


def _unclosed_array(text: str, offset: int) -> tuple[int, str] | None:
    key = _key_before(text, offset)
    begin = -1 if key is None else text.find("[", key[2])
    if key is None or begin < 0:
        return None
    start = text.rfind("\n", 0, offset) + 1
    if text[start:offset].strip() and begin < offset:
        return offset, f"here has to be , or ] in the array of {key[1]!r}"
    line = text.count("\n", 0, offset) + 1
    what = f"that begins here has no closing ], or no comma before line {line}"
    return begin, f"the array of {key[1]!r} {what}"


def _key_before(text: str, offset: int) -> tuple[int, str, int] | None:
    """Give where the key of the statement begins that an offset is in, it, and its end."""
    last = None
    for match in _KEY.finditer(text, 0, offset):
        last = match
    if last is None:
        return None
    return last.start(1), printable(last[1], most=64), last.end()


def _unclosed(text: str, offset: int, quote: str) -> tuple[int, str] | None:
    if quote == '"' and text.count(_LONG, 0, offset) % 2:
        quote = _LONG
    start = text.rfind(quote, 0, offset)
    if start < 0:
        return None
    key = _key_before(text, start)
    of = "" if key is None else f" of {key[1]!r}"
    return start, f"the text{of} that begins here has no closing {quote}"
