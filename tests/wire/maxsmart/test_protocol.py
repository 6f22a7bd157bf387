"""When to poll, who is away, what is verified, who is who; all of it without a clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from structiot.maxsmart.wire.messages import DiscoveryReply, PortData, WattStyle
from structiot.maxsmart.wire.protocol import (
    DiscoveryDeduplicator,
    Identity,
    PollSchedule,
    Reachability,
    Verdict,
    has_jumped,
    is_other_kind,
    mismatched_ports,
)


def ticks(schedule: PollSchedule, count: int) -> list[float]:
    """Poll on time so often, and give when."""
    found = []
    for _ in range(count):
        found.append(schedule.next_at)
        schedule.tick(schedule.next_at)
    return found


# ---------------------------------------------------------------- when to poll


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


# ---------------------------------------------------------------- who is away


def test_a_strip_is_away_after_three_failures_in_a_row():
    reach = Reachability()
    assert reach.failed(1.0) is Verdict.AS_BEFORE
    assert reach.failed(2.0) is Verdict.AS_BEFORE
    assert reach.failed(3.0) is Verdict.WENT_AWAY
    assert not reach.is_available
    assert reach.away_since == 3.0
    assert reach.failed(4.0) is Verdict.AS_BEFORE


def test_a_success_in_between_begins_the_count_anew():
    reach = Reachability()
    for _ in range(5):
        reach.failed(1.0)
        reach.failed(2.0)
        assert reach.succeeded() is Verdict.AS_BEFORE
    assert reach.is_available


def test_one_success_brings_it_back():
    reach = Reachability(offline_after=1)
    reach.failed(1.0)
    assert reach.succeeded() is Verdict.CAME_BACK
    assert reach.away_since is None


def test_a_certain_failure_needs_no_second():
    reach = Reachability()
    assert reach.failed(1.0, is_certain=True) is Verdict.WENT_AWAY


def test_after_any_failure_it_must_say_who_it_is():
    reach = Reachability()
    must_identify = [reach.must_identify]
    reach.failed(1.0)
    must_identify.append(reach.must_identify)
    reach.succeeded()
    must_identify.append(reach.must_identify)
    assert must_identify == [False, True, False]


# ---------------------------------------------------------------- what is verified


@pytest.mark.parametrize(
    ("switches", "port", "is_on", "astray"),
    [
        ((True, False), 1, True, ()),
        ((True, False), 2, True, (2,)),
        ((True, False), 0, True, (2,)),
        ((False, False), 0, False, ()),
        ((None, True), 0, True, (1,)),
        ((True, None), 1, True, ()),
    ],
)
def test_ports_that_do_not_show_what_was_asked_are_astray(
    switches, port, is_on, astray
):
    assert mismatched_ports(switches, port, is_on=is_on) == astray


def data(ports: int, style: WattStyle | None) -> PortData:
    blank = (None,) * ports
    return PortData(
        switches=(True,) * ports, power_mw=blank, current_ma=blank, style=style
    )


@pytest.mark.parametrize(
    ("before", "after", "is_other"),
    [
        (data(6, WattStyle.TEXT_W), data(6, WattStyle.TEXT_W), False),
        (data(6, WattStyle.TEXT_W), data(1, WattStyle.TEXT_W), True),
        (data(6, WattStyle.TEXT_W), data(6, WattStyle.INT_MW), True),
        (data(6, WattStyle.TEXT_W), data(6, None), False),
        (data(6, None), data(6, WattStyle.INT_MW), False),
    ],
)
def test_data_of_another_kind_are_noticed(before, after, is_other):
    assert is_other_kind(before, after) is is_other


@pytest.mark.parametrize(
    ("before_mw", "after_mw", "is_jump"),
    [
        (0, 4999, False),
        (0, 5001, True),
        (100_000, 124_000, False),
        (100_000, 126_000, True),
        (100_000, 0, True),
        (None, 0, True),
        (0, None, True),
        (None, None, False),
    ],
)
def test_power_that_jumps_is_noticed(before_mw, after_mw, is_jump):
    def drawing(power_mw: float | None) -> PortData:
        return PortData(
            switches=(True, True), power_mw=(0.0, power_mw), current_ma=(None, None)
        )

    assert has_jumped(drawing(before_mw), drawing(after_mw)) is is_jump


# ---------------------------------------------------------------- who is who

A, B = "SWP6000000000001", "SWP6000000000002"
M, N = "020000000001", "020000000002"


@pytest.mark.parametrize(
    ("known", "seen", "is_other"),
    [
        ((A, M), (A, M), False),
        ((A, M), (A, N), False),
        ((A, M), (B, M), True),
        ((A, M), (None, M), False),
        ((A, M), (None, N), True),
        ((A, None), (None, N), False),
        ((None, None), (A, M), False),
    ],
)
def test_the_serial_tells_devices_apart_and_else_the_mac(known, seen, is_other):
    identity = Identity(serial=known[0], mac=known[1])
    reply = DiscoveryReply(serial=seen[0], mac=seen[1])
    assert identity.is_other(reply) is is_other
    assert identity.is_known is (known != (None, None))


@pytest.mark.parametrize(
    ("answers", "new"),
    [
        ([(A, M, "h"), (A, M, "h")], [True, False]),
        ([(A, M, "h"), (A, N, "i")], [True, False]),
        ([(A, M, "h"), (B, M, "i")], [True, True]),
        ([(A, M, "h"), (None, M, "h")], [True, False]),
        ([(None, M, "h"), (A, M, "h")], [True, False]),
        ([(None, M, "h"), (None, N, "h")], [True, True]),
        ([(None, None, "h"), (A, None, "h")], [True, False]),
        ([(None, None, "h"), (None, None, "i")], [True, True]),
        ([(A, None, "h"), (B, None, "h")], [True, True]),
    ],
)
def test_each_device_answers_the_roll_once(answers, new):
    roll = DiscoveryDeduplicator()
    assert new == [
        roll.is_new(DiscoveryReply(serial=serial, mac=mac), host)
        for serial, mac, host in answers
    ]


def test_more_devices_than_anybody_has_are_not_believed():
    roll = DiscoveryDeduplicator(max_devices=2)
    replies = [DiscoveryReply(serial=f"SWP6{n:012d}") for n in range(3)]
    assert [roll.is_new(reply, "h") for reply in replies] == [True, True, False]
