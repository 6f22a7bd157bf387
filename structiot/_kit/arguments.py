"""What callers give to what they open: looked at before anything is, refused in words."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Iterable
from functools import partial
from typing import Any

from structiot.errors import UsageError

__all__ = [
    "check_argument",
    "check_context",
    "check_handler",
    "check_items",
    "check_port_argument",
]

_HIGHEST_PORT = 65_535


def check_argument(
    name: str, value: object, *kinds: type | None, write: str = ""
) -> None:
    """Look whether an argument is of a kind that it may be of.

    Args:
        name: The argument's.
        value: Its value; errors do not show it, for it may be a secret.
        kinds: Classes, or None for None. A bool is no int, an int is a float.
        write: What to write instead, if the kinds do not say it.

    Raises:
        UsageError: It is of none of them.
    """
    if any(_is_of(value, kind) for kind in kinds):
        return
    names = [kind.__name__ if kind else "None" for kind in kinds]
    head, last = ", ".join(names[:-1]), names[-1]
    wanted = f"{head} or {last}" if head else last
    hint = f"; write {write}" if write else ""
    raise UsageError(f"{name} is {wanted}, not {_shown(value)}{hint}")


def check_items(name: str, values: object, *kinds: type, write: str = "") -> None:
    """Look whether an argument is a list of values of a kind.

    Args:
        name: The argument's.
        values: Its value: any iterable but a text, as a text is one of texts.
        kinds: Classes that each of them may be of.
        write: What to write instead.

    Raises:
        UsageError: It is no list, or one of them is of another class.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        hint = f"; write {write}" if write else ""
        raise UsageError(f"{name} is a list, not {_shown(values)}{hint}")
    for value in values:
        check_argument(f"each of {name}", value, *kinds, write=write)


def check_context(name: str, value: object, *, is_server: bool) -> None:
    """Look whether an argument is a context by which this side can speak TLS, or None.

    Args:
        name: The argument's.
        value: Its value.
        is_server: Which side we are.

    Raises:
        UsageError: It is none, or of the other side: every handshake would fail.
    """
    check_argument(name, value, ssl.SSLContext, None)
    wrong = ssl.PROTOCOL_TLS_CLIENT if is_server else ssl.PROTOCOL_TLS_SERVER
    if isinstance(value, ssl.SSLContext) and value.protocol == wrong:
        is_of, other = ("server", "client") if is_server else ("client", "server")
        made = "ssl.Purpose.CLIENT_AUTH" if is_server else ""
        hint = f"make it by ssl.create_default_context({made})"
        raise UsageError(
            f"{name} is for the TLS of a {is_of}, not of a {other}; {hint}"
        )


def check_handler(name: str, value: object) -> None:
    """Look whether an argument is a function that can be awaited, before it is called.

    What a lambda or an object gives shows when it is called.

    Args:
        name: The argument's.
        value: Its value: an async function, also a bound, partial or wrapped one.

    Raises:
        UsageError: It is no function, or one that was defined without `async`.
    """
    if not callable(value):
        raise UsageError(f"{name} is an async function, not {value!r:.80}")
    function: Any = value
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    called = getattr(function, "__name__", "")
    is_written = inspect.isfunction(function) or inspect.ismethod(function)
    is_known = is_written and called != "<lambda>"
    if is_known and not inspect.iscoroutinefunction(function):
        raise UsageError(f"{name} is an async function: write async def {called}(...)")


def check_port_argument(name: str, value: object) -> None:
    """Look whether an argument is a port that somebody may be reached at.

    Args:
        name: The argument's.
        value: Its value.

    Raises:
        UsageError: It is none; 0 is one only for whoever listens.
    """
    check_argument(name, value, int)
    if isinstance(value, int) and not 1 <= value <= _HIGHEST_PORT:
        raise UsageError(f"{name} is from 1 to {_HIGHEST_PORT}, not {value}")


def _is_of(value: object, kind: type | None) -> bool:
    if kind is None or value is None:
        return kind is value
    if isinstance(value, bool) and kind in {int, float}:
        return False
    return isinstance(value, int | float if kind is float else kind)


def _shown(value: object) -> str:
    return "None" if value is None else type(value).__name__
