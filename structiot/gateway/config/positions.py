"""Where each key and value stands in a TOML text: line and column, from 1.

`tomllib` gives values without places, and places are what a user needs to mend a
file. This scanner reads the same text once more and notes only where things begin;
it trusts that `tomllib` has accepted the text, and understands none of the values.

A path is the way down from the root: table and key names, and the index inside an
array, so that `[[maxsmart.devices]]` followed by `host = "a"` has the paths
`("maxsmart",)`, `("maxsmart", "devices")`, `("maxsmart", "devices", 0)` and
`("maxsmart", "devices", 0, "host")`.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Path", "Position", "Positions", "find_positions", "position_at"]

Path: TypeAlias = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
# A long string may end with up to two quotes of its own before the closing three.
_LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL)
_PLAIN = re.compile(r"[^,\]}#\n]*")
_STRINGS = (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Positions:
    """Places by path.

    Attributes:
        keys: Where a key is first named; array items count with their value.
        values: Where a value begins; a table's is its header's.
    """

    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)

    def key(self, path: Path) -> Position | None:
        """Find a key, or the nearest thing above it that has a place."""
        return _nearest(self.keys, path)

    def value(self, path: Path) -> Position | None:
        """Find a value, or the nearest thing above it that has a place."""
        return self.values.get(path) or _nearest(self.keys, path)


def _nearest(places: dict[Path, Position], path: Path) -> Position | None:
    while path:
        if path in places:
            return places[path]
        path = path[:-1]
    return None


def find_positions(text: str) -> Positions:
    """Note where everything in a valid TOML text stands."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.found


def position_at(text: str, offset: int) -> Position:
    """Give the line and column of a character."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found = Positions()
        self._line_starts = [0, *(m.end() for m in re.finditer("\n", text))]
        self._lengths: dict[Path, int] = {}  # of the arrays of tables

    def scan(self) -> None:
        table: Path = ()
        self._skip(_BLANK_LINES)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._key_and_value(table)
            self._skip(_BLANK_LINES)

    def _header(self) -> Path:
        """Read `[a.b]` or `[[a.b]]`; give the path of the table it opens."""
        place = self._here()
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        names = self._dotted_key()
        self.at += 2 if is_array else 1
        path: Path = ()
        for name, name_at in names[:-1]:
            path = self._into_last((*path, name), name_at)
        path = (*path, names[-1][0])
        self.found.keys.setdefault(path, names[-1][1])
        self.found.values.setdefault(path, place)
        if not is_array:
            return path
        index = self._lengths.get(path, 0)
        self._lengths[path] = index + 1
        item = (*path, index)
        self.found.keys[item] = self.found.values[item] = place
        return item

    def _into_last(self, path: Path, place: Position) -> Path:
        """Step into a table on the way; of an array of tables, into its last."""
        self._note_table(path, place)
        length = self._lengths.get(path)
        return path if length is None else (*path, length - 1)

    def _note_table(self, path: Path, place: Position) -> None:
        self.found.keys.setdefault(path, place)
        self.found.values.setdefault(path, place)

    def _key_and_value(self, table: Path) -> None:
        names = self._dotted_key()
        path = table
        for name, place in names[:-1]:
            path = (*path, name)
            self._note_table(path, place)
        path = (*path, names[-1][0])
        self.found.keys[path] = names[-1][1]
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _dotted_key(self) -> list[tuple[str, Position]]:
        names = []
        while True:
            self._skip(_BLANK)
            names.append(self._simple_key())
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return names
            self.at += 1

    def _simple_key(self) -> tuple[str, Position]:
        place = self._here()
        if bare := _BARE_KEY.match(self.text, self.at):
            self.at = bare.end()
            return bare.group(), place
        raw = self._string()
        return str(tomllib.loads(f"key = {raw}")["key"]), place

    def _value(self, path: Path) -> None:
        self.found.values[path] = self._here()
        if self.text.startswith("[", self.at):
            self._items("]", lambda index: self._array_item(path, index))
        elif self.text.startswith("{", self.at):
            self._items("}", lambda _: self._key_and_value(path))
        elif self.text[self.at : self.at + 1] in {'"', "'"}:
            self._string()
        else:
            self._skip(_PLAIN)

    def _array_item(self, path: Path, index: int) -> None:
        item = (*path, index)
        self.found.keys[item] = self._here()
        self._value(item)

    def _items(self, closing: str, read_one: Callable[[int], None]) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(_BLANK_LINES)
            if self.text.startswith(closing, self.at) or self.at >= len(self.text):
                self.at += 1
                return
            read_one(index)
            index += 1
            self._skip(_BLANK_LINES)
            if self.text.startswith(",", self.at):
                self.at += 1

    def _string(self) -> str:
        for pattern in _STRINGS:
            if match := pattern.match(self.text, self.at):
                self.at = match.end()
                return match.group()
        message = f"no string at character {self.at}: the text is not valid TOML"
        raise ValueError(message)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()

    def _here(self) -> Position:
        line = bisect_right(self._line_starts, self.at)
        return Position(line, self.at - self._line_starts[line - 1] + 1)
