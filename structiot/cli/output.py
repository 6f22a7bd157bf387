"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum

import asyncclick as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["as_json", "figure", "on_off", "show_json", "show_table"]

_WIDE = 200


def as_json(value: object) -> object:
    """Make plain JSON data of values, dataclasses included."""
    plain: object = str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in dataclasses.fields(value)]
        plain = {name: as_json(getattr(value, name)) for name in names}
    elif isinstance(value, Mapping):
        plain = {str(key): as_json(item) for key, item in value.items()}
    elif isinstance(value, Enum):
        plain = as_json(value.value)
    elif isinstance(value, datetime):
        plain = value.isoformat()
    elif isinstance(value, list | tuple | set | frozenset):
        plain = [as_json(item) for item in value]
    elif value is None or isinstance(value, bool | int | float | str):
        plain = value
    return plain


def show_json(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(as_json(value), ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; figures stand at the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    body = [[_shown(cell) for cell in row] for row in rows]
    for index, column in enumerate(columns):
        is_figures = bool(body) and all(_is_figure(row[index]) for row in body)
        table.add_column(column, justify="right" if is_figures else "left")
    for row in body:
        # Names come from devices: brackets in them are no markup.
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        # A pipe has no width, and a program that reads it wants whole lines.
        console = Console(width=_WIDE)
    console.print(table)


def _shown(cell: object) -> str:
    return "-" if cell is None else str(cell)


def _is_figure(text: str) -> bool:
    return (
        text == "-" or text.partition(" ")[0].replace(".", "").lstrip("-").isdecimal()
    )


def on_off(state: object) -> str | None:
    """Name the state of a switch."""
    if state is None:
        return None
    return "on" if state else "off"


def figure(value: float | None, unit: str, *, decimals: int = 1) -> str | None:
    """Write a figure with its unit."""
    return None if value is None else f"{value:.{decimals}f} {unit}"
