"""Of many cases each runs on one backend in the default session, of few on both."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from tests._support.turns import left_to_the_other_backend

Ran = set[tuple[str, ...]]

FEW_AND_MANY = """
import pytest

@pytest.mark.parametrize("case", ["one", "two", "three"])
def test_few(anyio_backend, case): ...

@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_many(anyio_backend, version, qos): ...

@pytest.mark.each_backend
@pytest.mark.parametrize("number", range(9))
def test_each(anyio_backend, number): ...
"""
# As the tests here get it, by their `pytest_generate_tests`.
BOTH_BACKENDS = """
import pytest

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
"""


@pytest.fixture
def sampled(pytester: pytest.Pytester) -> Callable[..., dict[str, Ran]]:
    """Collect the tests above, and give what is left of each, a set of parameters."""
    pytester.makeini("[pytest]\nmarkers = each_backend")
    pytester.makeconftest(BOTH_BACKENDS)
    path = pytester.makepyfile(FEW_AND_MANY)

    def collect(*names: str) -> dict[str, Ran]:
        chosen = [f"{path}::{name}" for name in names] or [str(path)]
        items, _ = pytester.inline_genitems(*chosen)
        left = left_to_the_other_backend(items)
        ran: dict[str, Ran] = {"few": set(), "many": set(), "each": set()}
        for item in items:
            name, _, case = item.name.rstrip("]").partition("[")
            if item not in left:
                ran[name.removeprefix("test_")].add(tuple(case.split("-")))
        return ran

    return collect


def test_of_few_cases_each_runs_on_both_backends(sampled):
    few = sampled()["few"]
    assert few == set(product(["asyncio", "trio"], ["one", "two", "three"]))


def test_of_many_cases_each_runs_on_one_and_each_value_on_both(sampled):
    many = sampled()["many"]
    cases = {(qos, version) for _, qos, version in many}
    assert cases == set(product("012", "45"))
    assert len(many) == len(cases)
    for place in (1, 2):
        met = {(one[0], one[place]) for one in many}
        values = {one[place] for one in many}
        assert met == set(product(["asyncio", "trio"], values))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_case_that_is_asked_for_by_its_name_runs(sampled, backend: str):
    assert sampled(f"test_many[{backend}-0-4]")["many"] == {(backend, "0", "4")}


def test_cases_that_are_made_for_one_backend_run_on_both(sampled):
    assert len(sampled()["each"]) == 18
