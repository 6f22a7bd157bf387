"""What commands print for programs: JSON; for people there are `tables`."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

import asyncclick as click

from structiot._kit.text import printable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "as_json",
    "figure",
    "members",
    "on_off",
    "say_at_terminal",
    "show_json",
]


def say_at_terminal(text: str) -> None:
    """Say what happens on standard error, where somebody sits and sees it."""
    if sys.stderr.isatty():
        click.echo(printable(text), err=True)


def as_json(value: object) -> object:
    """Make plain JSON data of values, dataclasses included; NaN and infinity are null."""
    plain: object = str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = members(value)
    elif isinstance(value, Mapping):
        plain = {str(key): as_json(item) for key, item in value.items()}
    elif isinstance(value, Enum):
        plain = as_json(value.value)
    elif isinstance(value, datetime):
        plain = value.isoformat()
    elif isinstance(value, set | frozenset):
        plain = sorted(map(as_json, value), key=str)
    elif isinstance(value, list | tuple):
        plain = [as_json(item) for item in value]
    elif isinstance(value, float) and not math.isfinite(value):
        plain = None
    elif value is None or isinstance(value, bool | int | float | str):
        plain = value
    return plain


def members(value: DataclassInstance) -> dict[str, object]:
    """Make plain JSON data of the members of a dataclass."""
    names = [item.name for item in dataclasses.fields(value)]
    return {name: as_json(getattr(value, name)) for name in names}


def show_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON, with escapes for what a screen would obey.

    Args:
        value: Any value.
        indent: Makes many lines of it, for people.
    """
    text = json.dumps(as_json(value), ensure_ascii=False, indent=indent)
    click.echo("\n".join(_escaped(line) for line in text.split("\n")))


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c).strip('"') for c in line)


def on_off(state: object) -> str | None:
    """Name the state of a switch."""
    if state is None:
        return None
    return "on" if state else "off"


def figure(value: float | None, unit: str, *, decimals: int = 1) -> str | None:
    """Write a figure with its unit."""
    return None if value is None else f"{value:.{decimals}f} {unit}"
