"""Rules about the sources that no linter knows; `nox -s arch` runs them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tests._support.sources import (
    PACKAGE,
    ROOT,
    TESTS,
    documented_names,
    error_names,
    has_docstring,
    imports_among_children,
    names_expected_in,
    outline,
    public_objects,
    python_files,
    reachable,
    relative,
    systems,
    text_of,
)

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
# One loop that must not call anything: each call in it would cost the decoder a
# tenth of its rate (see the module). It is held to its present length.
MAX_LINES_OF = {"structiot/mqtt/wire/codec/decoder.py _decode": 66}
SOURCE_FOLDERS = ("structiot", "tests", "examples", "benchmarks", "docs")
# Roots of families: what is raised is always more exact.
ABSTRACT_ERRORS = {"StructiotError", "TransportError", "PeerError"}


def test_no_file_is_longer_than_400_lines():
    lengths = {
        relative(path): len(path.read_text("utf-8").splitlines())
        for folder in SOURCE_FOLDERS
        for path in python_files(ROOT / folder)
    }
    assert {k: v for k, v in lengths.items() if v > MAX_FILE_LINES} == {}


PARTS: dict[str, list[Path]] = {}
for file in python_files(PACKAGE):
    PARTS.setdefault(file.relative_to(PACKAGE).parts[0], []).append(file)


@pytest.mark.parametrize("part", PARTS)
def test_no_function_is_longer_than_50_lines(part: str):
    found = [
        f"{function.where}: {function.lines} lines"
        for path in PARTS[part]
        for function in outline(path).functions
        if function.lines
        > MAX_LINES_OF.get(re.sub(r":\d+", "", function.where), MAX_FUNCTION_LINES)
    ]
    assert found == []


# The one that it is made of, and one whose only task lets no error out.
PLAIN_GROUPS = {"structiot/_kit/flow/tasks.py", "structiot/testing/sweep.py"}


def test_nobody_lets_a_group_of_exceptions_out():
    found = {
        relative(path)
        for path in python_files(PACKAGE)
        if "create_task_group(" in path.read_text("utf-8")
    }
    assert found == PLAIN_GROUPS, "service_group raises one exception"


@pytest.fixture(params=systems(), ids=lambda path: path.name)
def children(request: pytest.FixtureRequest) -> dict[str, set[str]]:
    """What the direct children of a system import of one another."""
    return imports_among_children(request.param)


def test_the_parts_of_a_system_import_one_another_in_no_circle(
    children: dict[str, set[str]],
):
    circles = {
        child: others
        for child in children
        if child in (others := reachable(children, child))
    }
    assert circles == {}


def test_wire_knows_of_its_system_only_the_errors(children: dict[str, set[str]]):
    assert children["wire"] <= {"errors"}


def test_link_imports_nothing_that_imports_link(children: dict[str, set[str]]):
    above = {child for child in children if "link" in reachable(children, child)}
    assert reachable(children, "link") & above == set()


def test_every_module_says_what_it_is_for():
    silent = [
        relative(path)
        for path in python_files(PACKAGE)
        if not re.match(r'\s*r?"""', path.read_text("utf-8"))
    ]
    assert silent == []


OWN_TESTS = {TESTS / "test_errors.py", TESTS / "test_architecture.py"}


@pytest.mark.parametrize("name", sorted(error_names() - ABSTRACT_ERRORS))
def test_every_error_is_raised_in_a_test(name: str):
    assert any(
        name in names_expected_in(path)
        for path in python_files(TESTS)
        if path not in OWN_TESTS and name in text_of(path)
    )


PUBLIC_OBJECTS = public_objects()


@pytest.mark.parametrize(
    ("name", "value"), PUBLIC_OBJECTS.items(), ids=list(PUBLIC_OBJECTS)
)
def test_every_public_name_is_described_and_has_an_entry_in_the_reference(
    name: str, value: object
):
    is_callable = inspect.isclass(value) or inspect.isroutine(value)
    assert not is_callable or has_docstring(value), f"{name} has no docstring"
    assert name.rpartition(".")[2] in documented_names(), f"{name} is in no reference"
