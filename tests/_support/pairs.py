"""Every case of one kind with every case of another: a sample of that, and all of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

__all__ = ["pairs"]


def pairs(names: str, first: Collection[Any], second: Collection[Any]) -> Any:
    """Parametrize with all pairs, most of them for `nox -s thorough` alone.

    The default session has each of `first`, the longer one, with one of `second`, and
    these by turns.
    """
    found = [
        pytest.param(
            one,
            other,
            marks=() if number % len(second) == turn else pytest.mark.thorough,
        )
        for number, one in enumerate(first)
        for turn, other in enumerate(second)
    ]
    return pytest.mark.parametrize(names, found)
