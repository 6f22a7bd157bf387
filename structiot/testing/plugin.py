"""The pytest plugin `structiot`: every module in `fixtures` is a part of it.

A system brings its fixtures in a module of its own there, and is named nowhere else.
Their modules import pytest and nothing of ours: a fixture loads what it needs.
"""

from __future__ import annotations

import pkgutil

import pytest

from structiot.testing import fixtures

__all__ = ["pytest_plugins"]

# What the tests that we lend assert is shown as in anybody's own file.
pytest.register_assert_rewrite("structiot.testing.drivers")

pytest_plugins: list[str] = [
    f"{fixtures.__name__}.{module.name}"
    for module in pkgutil.iter_modules(fixtures.__path__)
]
