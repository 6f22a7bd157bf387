"""What the tests of whole programs share."""

from __future__ import annotations

import pytest


@pytest.fixture
def backend(anyio_backend: tuple[str, dict[str, object]]) -> str:
    """What a program is told to run on: the same as the test."""
    name, options = anyio_backend
    return "uvloop" if options.get("use_uvloop") else name
