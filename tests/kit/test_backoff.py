"""Backoff: pure, jittered, seeded; never negative, never above the cap."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.flow.backoff import Backoff, Schedule
from structiot.errors import ConfigError

backoffs = st.builds(
    Backoff,
    first_s=st.floats(0, 1e6),
    factor=st.floats(1, 1e6),
    cap_s=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)


def delays(schedule: Schedule, count: int) -> list[float | None]:
    return [schedule.next_delay_s() for _ in range(count)]


def test_delays_grow_by_the_factor_up_to_the_cap():
    schedule = Backoff(first_s=1, factor=2, cap_s=10, jitter=0).start()
    assert delays(schedule, 6) == [1, 2, 4, 8, 10, 10]


def test_the_defaults_are_one_second_doubled_up_to_a_minute_for_ever():
    backoff = Backoff(jitter=0)
    assert delays(backoff.start(), 8) == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (backoff.retries, backoff.stable_s, Backoff().jitter) == (None, 60, 0.5)


@given(backoffs, st.integers())
def test_each_delay_is_drawn_from_the_upper_share_of_itself(
    backoff: Backoff, seed: int
):
    full_s = min(backoff.first_s, backoff.cap_s)
    for delay_s in delays(backoff.start(Random(seed)), 50):
        assert delay_s is not None
        assert full_s * (1 - backoff.jitter) <= delay_s <= full_s <= backoff.cap_s
        full_s = min(full_s * backoff.factor, backoff.cap_s)


@given(backoffs, st.integers())
def test_the_same_seed_gives_the_same_delays(backoff: Backoff, seed: int):
    first, second = (backoff.start(Random(seed)) for _ in range(2))
    assert delays(first, 20) == delays(second, 20)


def test_without_a_seed_many_clients_do_not_return_in_step():
    first = {Backoff().start().next_delay_s() for _ in range(20)}
    assert len(first) == 20


@pytest.mark.parametrize("first_s", [0, 1])
def test_a_week_of_attempts_stays_at_the_cap(first_s: float):
    schedule = Backoff(first_s=first_s, factor=10, cap_s=60, jitter=0).start()
    assert delays(schedule, 20_000)[-1] == first_s * 60


def test_the_schedule_says_when_it_is_time_to_give_up():
    schedule = Backoff(retries=2, jitter=0).start()
    assert delays(schedule, 4) == [1, 2, None, None]
    assert schedule.attempt == 2


def test_no_retries_give_up_at_once():
    assert Backoff(retries=0).start().next_delay_s() is None


def test_attempt_counts_the_delays_given_since_the_last_reset():
    schedule = Backoff().start()
    delays(schedule, 3)
    assert schedule.attempt == 3
    schedule.succeeded(60)
    assert schedule.attempt == 0


def test_a_stable_connection_begins_anew_and_a_short_one_does_not():
    schedule = Backoff(jitter=0, stable_s=60).start()
    assert delays(schedule, 3) == [1, 2, 4]
    schedule.succeeded(59.9)
    assert schedule.next_delay_s() == 8
    schedule.succeeded(60)
    assert delays(schedule, 2) == [1, 2]


def test_a_first_delay_above_the_cap_is_cut():
    schedule = Backoff(first_s=100, cap_s=10, jitter=0).start()
    assert delays(schedule, 2) == [10, 10]
    schedule.succeeded(60)
    assert schedule.next_delay_s() == 10


@pytest.mark.parametrize(
    "settings",
    [
        {"first_s": -1},
        {"cap_s": -1},
        {"factor": 0.9},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"retries": -1},
        {"first_s": math.nan},
        {"cap_s": math.inf},
        {"factor": math.inf},
        {"jitter": math.nan},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]):
    with pytest.raises(ConfigError):
        Backoff(**settings)
