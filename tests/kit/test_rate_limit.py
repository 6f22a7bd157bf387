"""TokenBucket: a steady rate, room for bursts, first come first served."""

from __future__ import annotations

import math

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.flow.rate_limit import TokenBucket
from structiot.errors import ConfigError
from structiot.testing import cancel_sweep

pytestmark = pytest.mark.virtual_time


# ------------------------------------------------------------------ pure arithmetic


def test_the_bucket_begins_full():
    bucket = TokenBucket(1, 5)
    assert bucket.available(100) == 5


def test_burst_is_taken_at_once_and_the_rest_by_the_rate():
    bucket = TokenBucket(2, 3)
    assert [bucket.take(10) for _ in range(5)] == [0, 0, 0, 0.5, 1]


def test_tokens_flow_in_with_time_up_to_the_burst():
    bucket = TokenBucket(2, 3)
    bucket.take(0, 3)
    assert bucket.available(0) == 0
    assert bucket.available(1) == 2
    assert bucket.available(100) == 3


def test_available_is_negative_while_a_debt_is_paid_off():
    bucket = TokenBucket(1, 1)
    bucket.take(0, 4)
    assert [bucket.available(now) for now in (0, 1, 3, 4, 9)] == [-3, -2, 0, 1, 1]


def test_try_take_takes_tokens_only_if_they_are_there():
    bucket = TokenBucket(1, 2)
    assert bucket.try_take(0, 2)
    assert not bucket.try_take(0)
    assert bucket.available(0) == 0, "it never goes into debt"
    assert bucket.try_take(1)


def test_a_time_before_the_latest_one_counts_as_the_latest():
    bucket = TokenBucket(1, 10)
    bucket.take(100, 10)
    assert bucket.available(50) == 0
    assert bucket.available(100) == 0, "going back and forth earns nothing"
    assert bucket.available(101) == 1


@pytest.mark.parametrize(
    ("rate_per_s", "burst"),
    [(0, 1), (-1, 1), (1, 0), (1, -1), (math.nan, 1), (1, math.nan), (math.inf, 1)],
)
def test_no_rate_or_no_room_is_refused(rate_per_s: float, burst: float):
    with pytest.raises(ConfigError, match="needs a rate and room"):
        TokenBucket(rate_per_s, burst)


@given(
    rate_per_s=st.integers(1, 8),
    burst=st.integers(1, 8),
    steps=st.lists(
        st.tuples(st.integers(0, 64), st.integers(1, 4)), min_size=1, max_size=40
    ),
)
def test_no_window_of_time_gives_more_than_burst_and_rate_allow(
    rate_per_s: int, burst: int, steps: list[tuple[int, int]]
):
    bucket = TokenBucket(rate_per_s, burst)
    now = 0.0
    used: list[tuple[float, int]] = []
    for step, tokens in steps:
        now += step / 16
        used.append((now + bucket.take(now, tokens), tokens))
    assert used == sorted(used, key=lambda one: one[0]), "callers stay in turn"
    for begin, (since, _) in enumerate(used):
        for end in range(begin, len(used)):
            allowed = burst + (used[end][0] - since) * rate_per_s
            # The first may be larger than the bucket and is paid for by waiting.
            spent = sum(tokens for _, tokens in used[begin + 1 : end + 1])
            assert spent <= allowed + 1e-6


# -------------------------------------------------------------------------- waiting


class Callers:
    """Starts callers that note when they were let through."""

    def __init__(self, bucket: TokenBucket) -> None:
        self.bucket = bucket
        self.passed: list[tuple[str, float]] = []

    async def call(
        self, name: str, tokens: float = 1, scope: anyio.CancelScope | None = None
    ) -> None:
        with scope or anyio.CancelScope():
            await self.bucket.acquire(tokens)
            self.passed.append((name, anyio.current_time()))


async def test_acquire_waits_by_the_clock_of_the_event_loop():
    bucket = TokenBucket(2, 3)
    for expected_s in (0, 0, 0, 0.5, 1, 1.5):
        await bucket.acquire()
        assert anyio.current_time() == expected_s


async def test_callers_are_served_in_the_order_in_which_they_came():
    callers = Callers(TokenBucket(1, 1))
    async with anyio.create_task_group() as tg:
        for name, tokens in (("a", 1), ("b", 3), ("c", 1), ("d", 1)):
            tg.start_soon(callers.call, name, tokens)
            await anyio.wait_all_tasks_blocked()
    assert callers.passed == [("a", 0), ("b", 3), ("c", 4), ("d", 5)]


async def test_more_tokens_than_the_bucket_holds_are_waited_for():
    bucket = TokenBucket(1, 2)
    await bucket.acquire(10)
    assert anyio.current_time() == 8


async def test_a_cancelled_wait_gives_its_tokens_back():
    bucket = TokenBucket(1, 1)
    await bucket.acquire()
    with anyio.move_on_after(0.5):
        await bucket.acquire(10)
    await bucket.acquire()
    assert anyio.current_time() == 1


async def test_a_cancelled_caller_does_not_hold_up_those_behind_it():
    callers = Callers(TokenBucket(1, 1))
    await callers.bucket.acquire()
    large = anyio.CancelScope()
    async with anyio.create_task_group() as tg:
        tg.start_soon(callers.call, "large", 100, large)
        await anyio.wait_all_tasks_blocked()
        tg.start_soon(callers.call, "next")
        await anyio.sleep(0.5)
        large.cancel()
    assert callers.passed == [("next", 1)]


async def test_tokens_given_back_do_not_let_the_last_comer_overtake():
    callers = Callers(TokenBucket(1, 1))
    await callers.bucket.acquire()
    large = anyio.CancelScope()
    async with anyio.create_task_group() as tg:
        tg.start_soon(callers.call, "large", 5, large)
        await anyio.wait_all_tasks_blocked()
        tg.start_soon(callers.call, "second")
        await anyio.wait_all_tasks_blocked()
        large.cancel()
        await anyio.wait_all_tasks_blocked()
        tg.start_soon(callers.call, "last")
    assert callers.passed == [("second", 1), ("last", 2)]


async def test_a_caller_cancelled_in_the_queue_takes_nothing():
    callers = Callers(TokenBucket(1, 1))
    await callers.bucket.acquire()
    queued = anyio.CancelScope()
    async with anyio.create_task_group() as tg:
        tg.start_soon(callers.call, "first")
        await anyio.wait_all_tasks_blocked()
        tg.start_soon(callers.call, "cancelled", 5, queued)
        await anyio.wait_all_tasks_blocked()
        tg.start_soon(callers.call, "last")
        await anyio.wait_all_tasks_blocked()
        queued.cancel()
    assert callers.passed == [("first", 1), ("last", 2)]


async def test_a_call_cancelled_anywhere_costs_only_what_was_let_through():
    rounds: list[tuple[TokenBucket, list[int]]] = []

    async def flow() -> None:
        bucket, passed = TokenBucket(1e-9, 3), list[int]()
        rounds.append((bucket, passed))
        for number in range(3):
            await bucket.acquire()
            passed.append(number)

    await cancel_sweep(flow)
    assert [len(passed) for _, passed in rounds] == [0, 1, 2, 3]
    for bucket, passed in rounds:
        assert bucket.available(anyio.current_time()) == 3 - len(passed)
