"""When a device is polled; all of it without a clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from structiot.devices import PollSchedule
from structiot.errors import UsageError


def ticks(schedule: PollSchedule, count: int) -> list[float]:
    """Poll on time so often, and give when."""
    found = []
    for _ in range(count):
        found.append(schedule.next_at)
        schedule.tick(schedule.next_at)
    return found


def test_polls_come_at_once_and_then_on_a_grid():
    schedule = PollSchedule()
    schedule.begin(100.0)
    assert ticks(schedule, 4) == [100, 105, 110, 115]


def test_nothing_is_due_before_anybody_watches_and_after():
    schedule = PollSchedule()
    assert schedule.next_at == math.inf
    schedule.commanded(1.0)
    schedule.retry(1.0, 1.0)
    schedule.hurry(1.0)
    assert schedule.next_at == math.inf
    schedule.begin(0.0)
    schedule.stop()
    assert schedule.next_at == math.inf


def test_a_command_brings_four_quick_polls_and_moves_the_grid():
    schedule = PollSchedule()
    schedule.begin(0.0)
    ticks(schedule, 2)
    schedule.commanded(6.0)
    assert schedule.is_burst
    assert ticks(schedule, 6) == [8, 10, 12, 14, 19, 24]
    assert not schedule.is_burst


def test_a_command_within_a_burst_begins_it_anew():
    schedule = PollSchedule()
    schedule.begin(0.0)
    ticks(schedule, 1)
    schedule.commanded(1.0)
    assert ticks(schedule, 2) == [3, 5]
    schedule.commanded(6.0)
    assert ticks(schedule, 5) == [8, 10, 12, 14, 19]


def test_a_burst_is_never_slower_than_the_steady_pace():
    schedule = PollSchedule(poll_s=1.0, burst_s=2.0)
    schedule.begin(0.0)
    ticks(schedule, 1)
    schedule.commanded(0.5)
    assert ticks(schedule, 6) == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]


def test_without_burst_polls_a_command_changes_nothing():
    schedule = PollSchedule(burst_polls=0)
    schedule.begin(0.0)
    ticks(schedule, 1)
    schedule.commanded(1.0)
    assert ticks(schedule, 2) == [5, 10]


def test_a_slow_poll_does_not_move_the_grid():
    schedule = PollSchedule()
    schedule.begin(0.0)
    for late_s in (0.0, 1.5, 4.9):
        schedule.tick(schedule.next_at + late_s)
    assert schedule.next_at == 15


@given(poll_s=st.floats(0.1, 100), asleep_s=st.floats(0, 1e6))
@example(poll_s=0.10000000000000002, asleep_s=1.0)
def test_after_a_long_sleep_missed_polls_are_left_out(poll_s, asleep_s):
    schedule = PollSchedule(poll_s=poll_s)
    schedule.begin(0.0)
    schedule.tick(0.0)
    now = poll_s + asleep_s
    schedule.tick(now)
    assert now < schedule.next_at <= now + poll_s * 1.001


def test_a_failed_poll_is_repeated_after_its_own_delay_and_ends_the_burst():
    schedule = PollSchedule()
    schedule.begin(0.0)
    ticks(schedule, 1)
    schedule.commanded(1.0)
    schedule.tick(3.0)
    schedule.retry(3.5, 1.5)
    assert ticks(schedule, 2) == [5.0, 10.0]


def test_hurrying_brings_the_next_poll_forward_but_never_back():
    schedule = PollSchedule()
    schedule.begin(0.0)
    ticks(schedule, 1)
    schedule.hurry(2.0)
    assert schedule.next_at == 2.0
    schedule.hurry(3.0)
    assert schedule.next_at == 2.0


def test_what_the_device_told_by_itself_need_not_be_polled():
    schedule = PollSchedule()
    schedule.begin(0.0)
    ticks(schedule, 1)
    schedule.commanded(1.0)
    schedule.pushed(2.5)
    assert ticks(schedule, 2) == [7.5, 12.5]
    schedule.stop()
    schedule.pushed(20.0)
    assert schedule.next_at == math.inf


def test_a_device_that_tells_by_itself_is_polled_at_first_and_after_commands_alone():
    schedule = PollSchedule(poll_s=math.inf, burst_polls=2)
    schedule.begin(0.0)
    assert ticks(schedule, 1) == [0.0]
    assert schedule.next_at == math.inf
    schedule.commanded(100.0)
    assert ticks(schedule, 2) == [102.0, 104.0]
    assert schedule.next_at == math.inf
    schedule.retry(200.0, 1.5)
    assert ticks(schedule, 1) == [201.5]
    assert schedule.next_at == math.inf


def test_another_pace_begins_with_the_next_tick():
    schedule = PollSchedule()
    schedule.begin(0.0)
    ticks(schedule, 1)
    schedule.poll_s = 60.0
    assert ticks(schedule, 3) == [5.0, 65.0, 125.0]


@pytest.mark.parametrize(
    "pace",
    [
        {"poll_s": 0},
        {"poll_s": math.nan},
        {"burst_s": -1},
        {"burst_polls": -1},
    ],
)
def test_a_pace_that_cannot_be_kept_is_refused(pace):
    with pytest.raises(UsageError, match="above 0 s"):
        PollSchedule(**pace)
