"""Places in a TOML text, against what tomllib reads from the same text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.gateway.config.positions import (
    Path,
    Position,
    Positions,
    find_positions,
    position_at,
)

TEXT = '''\
# a comment with [brackets] and "quotes"
title = "x # not a comment"   # a comment
[mqtt]
uri = 'mqtt://broker/'
"quoted key" = 1
'literal.key' = 2
a . b."c.d" = 1979-05-27 07:32:00
text = """
one = 1
say ""\\"two\\"" and end with two""\"""
long = \'\'\'[not]
a = table\'\'\'\'\'
[maxsmart]
hosts = [ "a", # first
  "b",
  [ 1, 2 ], ]
point = { x = 1, "y z" = [ { deep.er = true } ] }
[[maxsmart.devices]]
host = "one"
[maxsmart.devices.sub]
k = 1
[[maxsmart.devices]]
host = "two"
[[maxsmart.devices.ports]]
n = 1
[[maxsmart.devices.ports]]
n = 2
[ spaced . out ]
last = inf'''

PLACES: dict[Path, tuple[int, int]] = {
    ("title",): (2, 9),
    ("mqtt",): (3, 1),
    ("mqtt", "uri"): (4, 7),
    ("mqtt", "quoted key"): (5, 16),
    ("mqtt", "literal.key"): (6, 17),
    ("mqtt", "a", "b", "c.d"): (7, 15),
    ("mqtt", "text"): (8, 8),
    ("mqtt", "long"): (11, 8),
    ("maxsmart", "hosts"): (14, 9),
    ("maxsmart", "hosts", 0): (14, 11),
    ("maxsmart", "hosts", 1): (15, 3),
    ("maxsmart", "hosts", 2, 1): (16, 8),
    ("maxsmart", "point", "x"): (17, 15),
    ("maxsmart", "point", "y z", 0, "deep", "er"): (17, 40),
    ("maxsmart", "devices", 0): (18, 1),
    ("maxsmart", "devices", 0, "host"): (19, 8),
    ("maxsmart", "devices", 0, "sub", "k"): (21, 5),
    ("maxsmart", "devices", 1): (22, 1),
    ("maxsmart", "devices", 1, "ports", 1): (26, 1),
    ("maxsmart", "devices", 1, "ports", 1, "n"): (27, 5),
    ("spaced", "out", "last"): (29, 8),
}


def paths_of(value: Any, path: Path = ()) -> set[Path]:
    paths = {path} if path else set()
    if isinstance(value, dict):
        for key, item in value.items():
            paths |= paths_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            paths |= paths_of(item, (*path, index))
    return paths


def at(positions: Positions, path: Path) -> tuple[int, int]:
    place = positions.values[path]
    return place.line, place.column


@pytest.mark.parametrize(("path", "place"), PLACES.items(), ids=str)
def test_a_value_is_found_where_it_begins(path, place):
    assert at(find_positions(TEXT), path) == place


def test_exactly_what_tomllib_reads_has_a_place():
    positions = find_positions(TEXT)
    assert set(positions.values) == paths_of(tomllib.loads(TEXT))
    assert set(positions.keys) == set(positions.values)


def test_a_key_is_found_where_it_is_first_named():
    positions = find_positions(TEXT)
    assert positions.keys["mqtt", "quoted key"] == Position(5, 1)
    assert positions.keys["mqtt", "a", "b"] == Position(7, 5)
    assert positions.keys["maxsmart", "devices"] == Position(18, 12)
    assert positions.keys["spaced", "out"] == Position(28, 12)


def test_what_is_not_there_is_looked_for_above():
    positions = find_positions(TEXT)
    assert positions.value(("maxsmart", "devices", 1, "name")) == Position(22, 1)
    assert positions.key(("mqtt", "port")) == Position(3, 2)
    assert positions.key(("nothing",)) is None
    assert positions.value(()) is None


def test_windows_line_ends_count_as_one():
    windows = TEXT.replace("\n", "\r\n")
    assert find_positions(windows) == find_positions(TEXT)


def test_an_offset_becomes_line_and_column():
    assert position_at("ab\ncd", 0) == Position(1, 1)
    assert position_at("ab\ncd", 2) == Position(1, 3)
    assert position_at("ab\ncd", 3) == Position(2, 1)
    assert position_at("ab\ncd", 5) == Position(2, 3)


# ------------------------------------------------------------------ any document

NAMES = st.one_of(
    st.from_regex(r"[a-z0-9_-]{1,4}", fullmatch=True),
    st.text("ab .\"'#[]=\\é", min_size=1, max_size=4),
)
STRINGS = st.text("ab \"'#[]{},=\\\n\té", max_size=8)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'


def key_text(draw: Any, name: str) -> str:
    if name.isascii() and name.replace("_", "").replace("-", "").isalnum():
        return name
    if "'" not in name and draw(st.booleans()):
        return f"'{name}'"
    return quoted(name)


def string_text(draw: Any, text: str) -> str:
    styles = [quoted(text)]
    if "'" not in text and "\n" not in text:
        styles.append(f"'{text}'")
    if "'''" not in text and not text.startswith("\n") and not text.endswith("'"):
        styles.append(f"'''\n{text}'''")
    styles.append('"""\n' + text.replace("\\", "\\\\").replace('"""', '""\\"') + '"""')
    chosen: str = draw(st.sampled_from(styles))
    return chosen


def blank(draw: Any) -> str:
    chosen: str = draw(st.sampled_from(["", " ", "\t", "  "]))
    return chosen


def break_(draw: Any) -> str:
    chosen: str = draw(st.sampled_from(["", " ", "\n", " # [no] = 1\n", "\n\n  "]))
    return chosen


def value_text(draw: Any, depth: int) -> str:
    kinds = ["number", "string", "date", "true"] + ["array", "inline"] * (depth > 0)
    kind: str = draw(st.sampled_from(kinds))
    if kind == "string":
        text: str = draw(STRINGS)
        return string_text(draw, text)
    if kind == "array":
        items = [value_text(draw, depth - 1) for _ in range(draw(st.integers(0, 3)))]
        inner = "".join(f"{break_(draw)}{item}{break_(draw)}," for item in items)
        return f"[{inner}{break_(draw)}]"
    if kind == "inline":
        names = draw(st.lists(NAMES, unique=True, max_size=3))
        pairs = [
            f"{blank(draw)}{key_text(draw, name)}{blank(draw)}={blank(draw)}"
            f"{value_text(draw, depth - 1)}{blank(draw)}"
            for name in names
        ]
        return "{" + ",".join(pairs) + "}"
    samples = {"number": "-1_0.5e3", "date": "1979-05-27 07:32:00Z", "true": "true"}
    return samples[kind]


@st.composite
def documents(draw: Any) -> str:
    lines: list[str] = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["pair", "pair", "pair", "table", "array", "note"]))
        names = draw(st.lists(NAMES, min_size=1, max_size=3))
        dot = f"{blank(draw)}.{blank(draw)}"
        key = dot.join(key_text(draw, name) for name in names)
        if kind == "pair":
            line = f"{key}{blank(draw)}={blank(draw)}{value_text(draw, 2)}"
        elif kind == "note":
            line = "# [a] = 'b'"
        else:
            left, right = ("[", "]") if kind == "table" else ("[[", "]]")
            line = f"{left}{blank(draw)}{key}{blank(draw)}{right}"
        lines.append(blank(draw) + line + draw(st.sampled_from(["", " ", " # x"])))
    end: str = draw(st.sampled_from(["", "\n"]))
    return "\n".join(lines) + end


@given(documents())
def test_any_text_that_tomllib_takes_has_places_for_just_what_it_holds(text: str):
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a key twice, a table reopened
    positions = find_positions(text)
    assert set(positions.values) == paths_of(data)
    lines = text.split("\n")
    for path, place in positions.values.items():
        rest = lines[place.line - 1][place.column - 1 :]
        found: Any = data
        for part in path:
            found = found[part]
        assert rest, path
        if isinstance(found, bool):
            assert rest.startswith("true")
        elif isinstance(found, float):
            assert rest.startswith("-1_0.5e3")
        elif isinstance(found, str):
            assert rest[0] in "\"'"
