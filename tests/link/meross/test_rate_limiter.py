"""Tokens come in their time, a device's and everybody's, and are not lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from structiot.errors import ConfigError
from structiot.meross.rate_limiter import Limited, RateLimitChecker


def test_a_device_has_a_token_a_second_from_the_first_check_on():
    checker = RateLimitChecker()
    assert checker.check("plug", 100.25) is None
    assert checker.check("plug", 100.25) == Limited("device", 1.0)
    assert checker.check("plug", 101.0) == Limited("device", 0.25)
    assert checker.check("plug", 101.25) is None


def test_intervals_do_not_drift_when_the_checks_come_late():
    checker = RateLimitChecker(device_time_window=10)
    assert checker.check("plug", 0.0) is None
    assert checker.check("plug", 19.0) is None
    assert checker.check("plug", 20.0) is None


def test_the_first_check_brings_no_more_than_one_interval():
    checker = RateLimitChecker(global_burst_rate=6, global_tokens_per_interval=2)
    given_at_once = [checker.check(f"plug {n}", 5.0) for n in range(6)]
    assert given_at_once[:2] == [None, None]
    assert given_at_once[2:] == [Limited("global", 1.0)] * 4


def test_tokens_are_saved_up_to_the_burst_rate():
    checker = RateLimitChecker(global_burst_rate=6)
    assert checker.check("first", 0.0) is None
    at_once = [checker.check(f"plug {n}", 60.0) for n in range(8)]
    assert at_once.count(None) == 6


def test_the_device_keeps_its_token_when_the_others_have_used_all():
    checker = RateLimitChecker(device_time_window=timedelta(hours=1))
    checker.check("first", 0.0)
    checker.check("second", 0.0)
    assert checker.check("plug", 0.0) == Limited("global", 1.0)
    assert checker.check("plug", 1.0) is None


def test_a_limited_device_costs_the_others_nothing():
    checker = RateLimitChecker(global_tokens_per_interval=2)
    checker.check("plug", 0.0)
    for _ in range(100):
        assert checker.check("plug", 0.0) == Limited("device", 1.0)
    assert checker.check("other", 0.0) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"global_burst_rate": 0},
        {"device_tokens_per_interval": 1.5},
        {"device_messages_per_hour": 0},
        {"device_messages_per_hour": 100_000},
        {"device_time_window": 0},
        {"global_time_window": timedelta(days=2)},
        {"device_max_command_queue": -1},
    ],
)
def test_numbers_that_cannot_work_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        RateLimitChecker(**settings)
