"""The door for text from outside: checked, cut and made printable before it is shown.

What a peer, a device or somebody else's code says becomes a name, a topic, a log line or
the reason on a topic only through here.
"""

from __future__ import annotations

import re
from typing import Final

from structiot._kit.redact import HIDDEN, SECRET_NAMES

__all__ = ["error_text", "fault_text", "path_fault", "printable"]

_LONGEST: Final = 300
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_names = "|".join(sorted(SECRET_NAMES, key=len, reverse=True))
_NAMED_SECRET: Final = re.compile(
    rf"(\b(?:{_names})\s*[=:]\s*)[^\s&,;]+", re.IGNORECASE
)


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


def error_text(error: BaseException) -> str:
    """Say what an error says, fit to be shown, without the secrets in an address."""
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    # Somebody else's class; what it cannot say is not worth the gateway.
    except BaseException:  # noqa: BLE001, ASYNC103
        text = "it cannot say why"
    text = _CREDENTIALS.sub(HIDDEN, text[: 4 * _LONGEST])
    text = _NAMED_SECRET.sub(rf"\g<1>{HIDDEN}", text)
    return printable(text) or printable(type(error).__name__)


def fault_text(error: BaseException) -> str:
    """Name an error and say what it says, where its class may be anybody's."""
    return f"{printable(type(error).__name__)}: {error_text(error)}"


def path_fault(error: OSError | ValueError) -> str:
    """Say in words why a file cannot be opened; a path with a NUL is none at all."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
