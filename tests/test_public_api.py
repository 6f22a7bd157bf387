"""The public names, pinned: a change here is a change for users."""

from __future__ import annotations

import subprocess
import sys

import pytest

import structiot
import structiot.errors


def test_what_can_be_had_is_what_is_listed():
    assert dir(structiot) == sorted(structiot.__all__)
    assert set(structiot.errors.__all__) <= set(structiot.__all__)


@pytest.mark.parametrize("name", structiot.__all__)
def test_each_public_name_can_be_had(name: str):
    assert getattr(structiot, name).__name__ == name


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
