"""Tables for people, and what is shown live; the JSON is in `output`."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from structiot._kit.text import printable
from structiot.cli._common.output import on_off, show_json

__all__ = [
    "PlainTable",
    "has_blocks",
    "logging_above",
    "show_pairs",
    "show_rows",
    "show_table",
    "state_of",
    "table_of",
]

_WIDE = 200
_LONGEST = 4000
_NOTHING = "-"
_STYLES = {"on": "green", "off": "dim"}


class PlainTable(Table):
    """A table without lines, and without blanks at the ends of its rows."""

    def __init__(self, *, show_header: bool = True, style: str = "") -> None:
        super().__init__(
            box=None,
            pad_edge=False,
            header_style="bold",
            show_header=show_header,
            style=style,
        )

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Draw it."""
        drawn = super().__rich_console__(console, options)
        segments = [one for one in drawn if isinstance(one, Segment)]
        for line in Segment.split_lines(segments):
            while line and not line[-1].text.rstrip():
                line.pop()
            if line:
                last = line.pop()
                line.append(Segment(last.text.rstrip(), last.style, last.control))
            yield from line
            yield Segment.line()


def show_rows(rows: Sequence[Mapping[str, object]], *, wants_json: bool) -> None:
    """Print rows of named values as JSON or as a table of all the names."""
    if wants_json:
        show_json(rows)
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    titles = [name.replace("_", " ") for name in columns]
    show_table(titles, [[row.get(name) for name in columns] for row in rows])


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; figures stand at the right."""
    _print(table_of(columns, rows))


def show_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and what they stand for, a line each."""
    table = PlainTable(show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in pairs.items():
        table.add_row(Text(name), _cell(value))
    _print(table)


def table_of(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> PlainTable:
    """Make a table; figures stand at the right, None is a dash, True is `yes`."""
    table = PlainTable()
    body = [[_cell(value) for value in row] for row in rows]
    for index, column in enumerate(columns):
        told = [row[index].plain for row in body if row[index].plain != _NOTHING]
        is_figures = bool(told) and all(map(_is_figure, told))
        table.add_column(column, justify="right" if is_figures else "left")
    for row in body:
        table.add_row(*row)
    return table


def _print(table: PlainTable) -> None:
    console = Console()
    if not console.is_terminal:
        # A pipe has no width, and a program that reads it wants whole lines.
        console = Console(width=_WIDE)
    console.print(table)


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return value
    if isinstance(value, bool):
        value = "yes" if value else "no"
    # Names come from devices: brackets in them are no markup.
    return Text(_NOTHING if value is None else printable(str(value), most=_LONGEST))


def _is_figure(text: str) -> bool:
    # One dot, no more: addresses are no figures.
    digits = text.partition(" ")[0].replace(".", "", 1).lstrip("-")
    return digits.isdecimal()


def state_of(state: object) -> Text | None:
    """Name the state of a switch, in a colour where there are colours."""
    word = on_off(state)
    return None if word is None else Text(word, style=_STYLES[word])


def has_blocks(console: Console) -> bool:
    """Whether bars can be drawn: a terminal or a file may be in an old encoding."""
    return console.encoding.lower().startswith("utf")


@contextmanager
def logging_above(console: Console) -> Generator[None]:
    """Write messages of the log above what a console shows live, not through it."""
    changed: list[tuple[logging.StreamHandler[Any], Any]] = [
        (handler, handler.setStream(_Above(console)))
        for handler in logging.getLogger("structiot").handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    try:
        yield
    finally:
        for handler, stream in changed:
            handler.setStream(stream)


class _Above:
    """A stream that writes above what a console shows live."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, highlight=False)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""
