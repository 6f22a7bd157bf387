"""Packages that import their names when they are asked for."""

from __future__ import annotations

import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

INIT = """
from __future__ import annotations
from typing import TYPE_CHECKING
from structiot._kit.lazy import lazy_exports
if TYPE_CHECKING or not lazy_exports(globals()):
    from {package}.one import first, other
    from {package}.two import *
    from {package}.three import *
"""
MODULES = {
    "one": "first = object()\nother = object()\n",
    "two": "__all__ = ['second']\nsecond = object()\nhidden = object()\n",
    "three": "__all__ = ['third', 'second']\nthird = object()\nsecond = object()\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "parcel"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT.format(package="parcel"))
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def run(package: Path, program: str) -> str:
    """Run a program that imports the package, in a process of its own."""
    program = f"import sys\nsys.path.insert(0, {str(package.parent)!r})\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


LOADED = "print(*sorted(m[7:] for m in sys.modules if m.startswith('parcel.')))"


@pytest.mark.parametrize(
    ("asked", "loaded"),
    [
        ("", ""),
        ("parcel.first", "one"),
        ("parcel.second", "two"),
        ("parcel.third", "three two"),
        ("hasattr(parcel, '_private')", ""),
        ("hasattr(parcel, '__path__')", ""),
        ("dir(parcel)", "three two"),
        ("from parcel import other", "one"),
    ],
)
def test_a_name_loads_its_home_and_what_was_asked_before(package, asked, loaded):
    assert run(package, f"import parcel\n{asked}\n{LOADED}") == loaded


def test_a_name_is_the_object_of_its_home(package):
    program = """
import parcel, parcel.one, parcel.two, parcel.three
print(parcel.first is parcel.one.first, parcel.second is parcel.two.second,
      parcel.third is parcel.three.third, vars(parcel)["first"] is parcel.one.first)
"""
    assert run(package, program) == "True True True True"


def test_all_names_are_listed_and_a_star_imports_them(package):
    program = "from parcel import *\nimport parcel\n"
    program += (
        "print(parcel.__all__, dir(parcel) == parcel.__all__, first is parcel.first)"
    )
    names = ["first", "other", "second", "third"]
    assert run(package, program) == f"{names} True True"


@pytest.mark.parametrize("name", ["hidden", "fourth", "one_", "__wrapped__"])
def test_an_unknown_name_is_an_attribute_error(package, name):
    program = f"import parcel\ntry:\n    parcel.{name}\n"
    program += "except AttributeError as error:\n    print(error)"
    assert run(package, program) == f"module 'parcel' has no attribute {name!r}"


def test_a_package_without_its_source_imports_everything_at_once(package):
    for source in package.glob("*.py"):
        py_compile.compile(str(source), str(source.with_suffix(".pyc")), doraise=True)
        source.unlink()
    program = f"import parcel\n{LOADED}\nprint(parcel.third is parcel.three.third)"
    assert run(package, program) == "one three two\nTrue"
