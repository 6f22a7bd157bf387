"""The door for text from outside: checked, cut and made printable before it is shown.

What a peer, a device or somebody else's code says becomes a name, a topic, a log line or
the reason on a topic only through here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from structiot._kit.redact import HIDDEN, SECRET_NAMES
from structiot.errors import StructiotError

__all__ = [
    "counted",
    "did_you_mean",
    "error_text",
    "fault_text",
    "path_fault",
    "printable",
    "table_cell",
    "told_apart",
    "with_names",
    "without_credentials",
    "without_named_secrets",
]

_LONGEST: Final = 300
# What names may take to be compared: some 20 ms.
_COMPARED: Final = 300_000
_OF_A_NAME: Final = 20
# Up to the last @: a password may hold others.
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s]+(?=@)")
_names = "|".join(sorted(SECRET_NAMES, key=len, reverse=True))
# In our own words a name may end a clause: there only what adjoins it is a value.
_ADJOINING_SECRET: Final = re.compile(rf"(\b(?:{_names})[=:])[^\s&,;]+", re.IGNORECASE)
# What ends a path, as in `POST /token: refused`, names nothing either.
_NAMED_SECRET: Final = re.compile(
    rf"((?:\b(?:{_names})(?:\s*=\s*|:(?=\S))|\b(?<!/)(?:{_names})\s*:\s*))[^\s&,;]+",
    re.IGNORECASE,
)
_ARGUMENT: Final = re.compile(r"\b([a-z][a-z_]*)=(?![^\s,.:;)])")
_REMARK: Final = re.compile(r" \([^()]*\)")


def printable(text: str, *, most: int = _LONGEST) -> str:
    """Give a text on one line, without anything that cannot be shown, and not too long.

    Args:
        text: Anything; what a screen would take for an order becomes `?`.
        most: Most characters.
    """
    if len(text) > most:
        text = f"{text[: most - 3]}..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def table_cell(value: object) -> object:
    """Give a value for a file of a table; a text is no formula where somebody opens it."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value


def without_credentials(text: str) -> str:
    """Give a text without the user names and passwords of the addresses in it."""
    return _CREDENTIALS.sub(HIDDEN, text)


def without_named_secrets(text: str) -> str:
    """Give somebody else's text without what stands behind `password:` and the like."""
    return _NAMED_SECRET.sub(rf"\g<1>{HIDDEN}", text)


def with_names(text: str, names: Mapping[str, str]) -> str:
    """Say what to give as it is called where the user gives it: an option, a key of a file.

    Args:
        text: A message of the library, which writes its arguments as `email=`.
        names: What arguments are called there; a remark in brackets about one that there
            is not is left out.
    """

    def remark(found: re.Match[str]) -> str:
        arguments = set(_ARGUMENT.findall(found[0]))
        return found[0] if arguments <= names.keys() else ""

    text = _REMARK.sub(remark, text)
    return _ARGUMENT.sub(lambda found: names.get(found[1], found[0]), text)


def _is_ours(error: BaseException) -> bool:
    """Whether nobody else's words are in it."""
    cause = error.__cause__
    return isinstance(error, StructiotError) and (cause is None or _is_ours(cause))


def error_text(error: BaseException) -> str:
    """Say what an error says, fit to be shown, without the secrets in an address."""
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    # Somebody else's class; what it cannot say is not worth the gateway.
    except BaseException:  # noqa: BLE001, ASYNC103
        text = "it cannot say why"
    text = without_credentials(text[: 4 * _LONGEST])
    if _is_ours(error):
        text = _ADJOINING_SECRET.sub(rf"\g<1>{HIDDEN}", text)
    else:
        text = without_named_secrets(text)
    return printable(text) or printable(type(error).__name__)


def fault_text(error: BaseException) -> str:
    """Name an error and say what it says, where its class may be anybody's."""
    return f"{printable(type(error).__name__)}: {error_text(error)}"


def path_fault(error: OSError | ValueError) -> str:
    """Say in words why a file cannot be opened; a path with a NUL is none at all."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def counted(number: int, noun: str, several: str = "") -> str:
    """Say how many there are: `1 device`, `2 devices`, `2 boxes` if that is given."""
    return f"{number} {noun}" if number == 1 else f"{number} {several or f'{noun}s'}"


def told_apart(names: Sequence[str]) -> list[str]:
    """Give equal names a number from the second on: `desk`, `desk (2)`; in their order."""
    taken, counts, found = set(names), dict.fromkeys(names, 0), []
    for name in names:
        counts[name] += 1
        unlike = name if counts[name] == 1 else f"{name} ({counts[name]})"
        while counts[name] > 1 and unlike in taken:
            counts[name] += 1
            unlike = f"{name} ({counts[name]})"
        taken.add(unlike)
        found.append(unlike)
    return found


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give the end of a sentence with the nearest known name; nothing if none is near.

    Of very many or very long names only the first are compared: it takes long.
    """
    left, compared = _COMPARED, []
    for one in known:
        left -= (len(name) + _OF_A_NAME) * (len(one) + _OF_A_NAME)
        if left < 0:
            break
        compared.append(one)
    near = difflib.get_close_matches(name, compared, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
