"""The conformance tables of the docs: each point once; every test that docs name exists.

A row is `| C1 | the point | ... | tests |`, with as many columns between as a page wants; the
tests stand in backticks as `tests/path/file.py::test_name`, several of them separated by
`<br>`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests._support.examples import ROOT

# The page, and the numbers of its points.
PAGES = {
    "mqtt_conformance.md": [f"C{number}" for number in range(1, 118)],
    "broker_conformance.md": [
        *(f"B{number}" for number in range(1, 38)),
        *(f"L{number}" for number in range(1, 5)),
    ],
    "maxsmart_coverage.md": [
        *(f"M{number}" for number in range(1, 24)),
        *(f"D{number}" for number in range(1, 29)),
    ],
    "meross_conformance.md": [
        *(f"C{number}" for number in range(1, 7)),
        *(f"D{number}" for number in range(1, 7)),
        *(f"A{number}" for number in range(1, 11)),
        *(f"V{number}" for number in range(1, 12)),
    ],
    "manager_conformance.md": [
        *(f"F{number}" for number in range(1, 23)),
        *(f"H{number}" for number in range(1, 18)),
    ],
    "connector_conformance.md": [
        *(f"R{number}" for number in range(1, 66)),
        *(f"B{number}" for number in range(1, 15)),
    ],
    "meross_abilities.md": [f"A{number}" for number in range(1, 141)],
}
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
FIRST, LAST = "#", "Shown by"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PATH = re.compile(r"`(tests/[\w/.]+)`")


@dataclass(frozen=True)
class Row:
    number: str
    point: str
    shown_by: str

    @property
    def tests(self) -> list[tuple[str, str]]:
        return TEST.findall(self.shown_by)


def cells(line: str) -> list[str]:
    # A bar in a cell is written with a backslash.
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows(page: Path) -> Iterator[Row]:
    """All rows of the tables whose first and last columns are those above."""
    columns = 0
    for line in page.read_text("utf-8").splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        found = cells(line)
        if (found[0], found[-1]) == (FIRST, LAST):
            columns = len(found)
        elif columns and set(line) - set("|-: "):
            assert len(found) == columns, line
            yield Row(found[0], found[1], found[-1])


@cache
def functions(path: Path) -> frozenset[str]:
    """The test functions of a file."""
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("name", PAGES)
def test_every_point_has_one_row(name: str):
    assert [row.number for row in rows(REFERENCE / name)] == PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_every_row_says_what_the_point_is_and_which_test_shows_it(name: str):
    for row in rows(REFERENCE / name):
        assert row.point, row.number
        assert row.tests, row.number
        # Whatever stands there beside the tests would be a name that nobody checks.
        assert not TEST.sub("", row.shown_by).replace("<br>", "").strip(), row.number


@pytest.mark.parametrize(
    "page", [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md"))]
)
def test_every_test_that_is_named_exists(page: str):
    text = (DOCS / page).read_text("utf-8")
    missing = [
        f"{file}::{test}"
        for file, test in TEST.findall(text)
        if not (ROOT / file).exists() or test not in functions(ROOT / file)
    ]
    missing += [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_in_the_index(name: str):
    index = (REFERENCE / "index.md").read_text("utf-8")
    assert name.removesuffix(".md") in index.splitlines()
