"""The public names, pinned: a change here is a change for users."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from enum import Enum

import pydantic
import pytest

import structiot
import structiot.errors
from tests._support.sources import public_objects

# What these are called with is their fields, or is told by their own tests.
DESCRIBED_BY_FIELDS = (BaseException, Enum, pydantic.BaseModel)
CLASSES = {
    name: found
    for name, found in public_objects().items()
    if isinstance(found, type)
    and not issubclass(found, DESCRIBED_BY_FIELDS)
    and not dataclasses.is_dataclass(found)
    and not getattr(found, "_is_protocol", False)
}


def test_what_can_be_had_is_what_is_listed():
    assert dir(structiot) == sorted(structiot.__all__)
    assert set(structiot.errors.__all__) <= set(structiot.__all__)


@pytest.mark.parametrize("name", structiot.__all__)
def test_each_public_name_can_be_had(name: str):
    assert getattr(structiot, name).__name__ == name


@pytest.mark.parametrize("made", CLASSES.values(), ids=CLASSES)
def test_a_class_says_what_it_is_called_with_or_what_makes_its_objects(made: type):
    # Of the second kind, the reference hides the signature: see docs/conf.py.
    text = inspect.getdoc(made) or ""
    if "made by" not in text:
        given = [*inspect.signature(made).parameters]
        assert all(
            re.search(rf"\b{one}\b", text) or hasattr(made, one) for one in given
        )


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'open_everything'"):
        _ = structiot.open_everything  # type: ignore[attr-defined]


def test_errors_are_shown_by_the_name_that_users_import():
    shown = {getattr(structiot, name).__module__ for name in structiot.errors.__all__}
    assert shown == {"structiot"}


def test_importing_structiot_loads_no_system_and_no_third_party():
    program = "import sys; old = set(sys.modules); import structiot\n"
    program += "print(*sorted({m.split('.')[0] for m in set(sys.modules) - old}))\n"
    program += "print(*sorted(m for m in sys.modules if m.startswith('structiot.')))"
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    packages, modules = run.stdout.splitlines()
    assert not {"anyio", "httpx", "trio", "pydantic"} & set(packages.split())
    ours = {"structiot._kit", "structiot._kit.lazy", "structiot.errors"}
    assert set(modules.split()) == ours
