"""What somebody has meant who wrote something that is no TOML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["hint_at"]

_WORD = re.compile(r"[^\s,\]}#]*")
_FLAGS = {"true", "false", "yes", "no", "on", "off"}
_QUOTES = "“”„‟‘’‚«»`´"  # noqa: RUF001 - what word processors make of them
_LEADING_ZERO = re.compile(r"[-+]?0$")


def hint_at(text: str, offset: int, message: str) -> str | None:
    """Say what would be right; None if that is not known.

    It never repeats a value, which may be a secret without its quotes.

    Args:
        text: What `tomllib` has refused.
        offset: Where.
        message: What it has said.
    """
    known = _HINTS.get(message)
    return None if known is None else known(text, offset)


def _of_value(text: str, offset: int) -> str | None:
    match = _WORD.match(text, offset)
    word = match[0] if match else ""
    if not word:
        # Whose key is known, that is said by it.
        return None
    if word[0] == "=":
        return "there is one = too many"
    if word[0] in _QUOTES:
        return f"quotes are \" or ', not {word[0]}"
    if word.lower() in _FLAGS:
        return "write true or false, in small letters"
    return 'a text stands in quotes, such as "text"'


def _of_key(text: str, offset: int) -> str:
    char = text[offset : offset + 1]
    if char == ":":
        return "behind a key stands =, not :"
    if char.isspace() and char not in " \t\r\n":
        return "what looks like a space here is none: type it anew"
    if char.isalpha():
        return "behind a key stands =; one of several words or with accents is quoted"
    return "behind a key stands ="


def _of_end(text: str, offset: int) -> str:
    char, before = text[offset : offset + 1], text[:offset].rsplit(maxsplit=1)[-1:]
    if char == ";":
        return "a line ends without ;"
    if char == "\r":
        return "a line ends with a line feed, not with a carriage return alone"
    if char == "," and before[0][-1:].isdigit():
        return "a fraction has a point, not a comma"
    if char.isdigit() and _LEADING_ZERO.search(before[0]):
        return "a number does not begin with 0"
    return "the line has to end here: each setting has its own"


def _of_statement(text: str, offset: int) -> str:
    char = text[offset : offset + 1]
    if text.startswith("//", offset):
        return "a comment begins with #"
    if char == "{":
        return 'this looks like JSON; TOML is written [section] and name = "value"'
    if not char.isprintable():
        return f"here is a character that cannot be shown (U+{ord(char):04X})"
    return 'a line is [section], name = "value" or # comment'


def _of_escape(_text: str, _offset: int) -> str:
    return r"in double quotes \ begins an escape; write the text in single quotes"


def _of_inline_table(_text: str, _offset: int) -> str:
    return "here has to be , or }: what is in { } stands in one line"


_HINTS: Mapping[str, Callable[[str, int], str | None]] = {
    "Invalid value": _of_value,
    "Expected '=' after a key in a key/value pair": _of_key,
    "Expected newline or end of document after a statement": _of_end,
    "Invalid statement": _of_statement,
    "Invalid hex value": _of_escape,
    "Unescaped '\\' in a string": _of_escape,
    "Unclosed inline table": _of_inline_table,
}
