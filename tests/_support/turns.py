"""Tests of many cases: a sample that has each case on one backend, each test on both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest

__all__ = ["left_to_the_other_backend"]

# Of fewer cases every one runs on every backend.
_MANY = 4


def left_to_the_other_backend(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Give what is for `nox -s thorough` alone: the same cases on the other backend.

    The turns are those of Thue and Morse, which have no period: of cases that are made of
    others (each version with each QoS), each of these meets both backends. A test marked
    `each_backend` knows of no turns.
    """
    tests: dict[object, dict[object, list[pytest.Item]]] = defaultdict(dict)
    for item in items:
        if item.get_closest_marker("each_backend") is not None:
            continue
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            backend = item.callspec.params.get("anyio_backend")
            if backend is not None:
                on_each = tests[item.parent, item.originalname]
                on_each.setdefault(backend, []).append(item)
    left: set[pytest.Item] = set()
    for first, second in (on.values() for on in tests.values() if len(on) == 2):
        # Of cases that are asked for by their names there may be one of each.
        if len(first) == len(second) >= _MANY:
            for number, on_both in enumerate(zip(first, second, strict=True)):
                left.add(on_both[1 - number.bit_count() % 2])
    return left
