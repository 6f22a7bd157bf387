"""What callers give to what they open: looked at before anything is, refused in words."""

from __future__ import annotations

from collections.abc import Iterable

from structiot.errors import UsageError

__all__ = ["check_argument", "check_items", "check_port_argument"]

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
