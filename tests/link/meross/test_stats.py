"""Calls are counted by what became of them, over any span of time, and bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest

from structiot.errors import UsageError
from structiot.meross.stats import Call, Stats

TOGGLE = Call("plug", "Appliance.Control.ToggleX", "SET", "lan")
ALL = Call("lamp", "Appliance.System.All", "GET", "cloud")


class Hands:
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def stats(hands: Hands) -> Stats:
    return Stats(now=hands)


def test_calls_are_counted_by_device_namespace_method_and_transport(stats):
    stats.performed(TOGGLE)
    stats.performed(TOGGLE)
    stats.performed(ALL)
    found = stats().performed
    assert found.total == 3
    assert found.by_device == {"plug": 2, "lamp": 1}
    assert found.by_namespace == {TOGGLE.namespace: 2, ALL.namespace: 1}
    assert found.by_method == {"SET": 2, "GET": 1}
    assert found.by_transport == {"lan": 2, "cloud": 1}


def test_what_became_of_calls_is_told_apart(stats):
    stats.delayed(ALL)
    stats.dropped(ALL)
    stats.dropped(TOGGLE)
    for _ in range(3):
        stats.timed_out(TOGGLE)
    found = stats()
    assert found.performed.total == 0
    assert found.delayed.total == 1
    assert found.dropped.total == 2
    assert found.timed_out.by_device == {"plug": 3}


def test_only_the_calls_of_the_window_count(stats, hands):
    stats.performed(ALL)
    hands.at_s += 59
    stats.performed(ALL)
    assert stats().performed.total == 2
    hands.at_s += 2
    assert stats().performed.total == 1
    assert stats(timedelta(minutes=2)).performed.total == 2
    assert stats(time_window=timedelta(seconds=1)).performed.total == 0


def test_a_thousand_calls_at_least_are_remembered_and_no_more_than_said(hands):
    stats = Stats(max_calls=1_000, now=hands)
    for _ in range(5_000):
        stats.performed(ALL)
    assert stats().performed.total == 1_000


@pytest.mark.parametrize("window", [timedelta(), timedelta(seconds=-1)])
def test_a_window_of_nothing_is_refused(stats, window):
    with pytest.raises(UsageError, match="more than nothing"):
        stats(window)


def test_fewer_than_a_thousand_calls_are_refused():
    with pytest.raises(UsageError, match="1000"):
        Stats(max_calls=999)
