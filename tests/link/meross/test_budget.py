"""No device is sent more than it may be in any minute and hour, restarts or not."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from structiot.meross.errors import CallDropped
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.stats import Stats
from structiot.testing.clock import virtual_clock
from tests.link.meross.budgets import HOUR_S, Spend, command, most_in, opened, poll

pytestmark = pytest.mark.virtual_time


async def test_commands_wait_for_tokens_and_for_the_minute():
    stats = Stats()
    async with opened(stats=stats) as budget:
        times = [await command(budget, wait_s=60) for _ in range(7)]
    assert most_in(times, 60.0) == 6
    assert times[6] == pytest.approx(60.0, abs=3.0)
    assert stats().delayed.total == 6


async def test_what_would_wait_for_too_long_is_dropped_at_once_and_told_when():
    stats = Stats()
    async with opened(stats=stats) as budget:
        for _ in range(6):
            await command(budget)
        begun_at = anyio.current_time()
        with pytest.raises(CallDropped, match="blocked") as caught:
            await command(budget)
        assert anyio.current_time() == begun_at
        assert caught.value.retry_after_s == pytest.approx(60 - begun_at)
    assert stats().dropped.total == 1


async def test_commands_go_before_polls_that_wait():
    order: list[str] = []
    async with opened() as budget, anyio.create_task_group() as tg:

        async def run(name: str, spend: Spend) -> None:
            await spend(budget)
            order.append(name)

        await command(budget)
        for name, spend in (("poll", poll), ("poll", poll), ("command", command)):
            tg.start_soon(run, name, spend)
            await anyio.wait_all_tasks_blocked()
    assert order == ["command", "poll", "poll"]


async def test_a_command_does_not_wait_for_the_polls_of_all_devices():
    async with opened() as budget, anyio.create_task_group() as tg:

        async def run(device: str) -> None:
            await poll(budget, device, 300.0)

        for number in range(100):
            tg.start_soon(run, f"plug {number}")
        await anyio.sleep(5)
        begun_at = anyio.current_time()
        assert await command(budget, "lamp") - begun_at <= 4
        polled = sum(one.used for one in budget.devices.values()) - 1
        assert polled < 20


async def test_past_the_queue_calls_are_dropped_polls_first_until_tokens_return():
    dropped: list[str] = []
    passed: list[str] = []
    limiter = RateLimitChecker(device_max_command_queue=2)
    async with opened(limiter=limiter) as budget, anyio.create_task_group() as tg:

        async def run(name: str, spend: Spend) -> None:
            try:
                await spend(budget)
            except CallDropped:
                dropped.append(name)
            else:
                passed.append(name)

        await command(budget)
        calls = {"poll 1": poll, "poll 2": poll, "poll 3": poll, "command": command}
        for name, spend in calls.items():
            tg.start_soon(run, name, spend)
            await anyio.wait_all_tasks_blocked()
        assert dropped == ["poll 3", "poll 2"]
    assert passed == ["command", "poll 1"]


async def test_without_a_queue_whoever_comes_too_soon_is_dropped():
    limiter = RateLimitChecker(device_max_command_queue=0)
    async with opened(limiter=limiter) as budget:
        await command(budget)
        with pytest.raises(CallDropped) as caught:
            await command(budget)
        assert caught.value.retry_after_s == 1.0
        await anyio.sleep(1)
        await command(budget)


async def test_polls_leave_a_part_of_the_hour_to_commands():
    limiter = RateLimitChecker(device_messages_per_minute=None)
    async with opened(limiter=limiter) as budget:
        polls = 0
        with pytest.raises(CallDropped):
            while True:
                await poll(budget)
                polls += 1
        assert polls == 144
        assert budget.of("plug").left == 36
        for _ in range(36):
            await command(budget)
        with pytest.raises(CallDropped):
            await command(budget)
        await command(budget, "another")


async def test_the_budget_tells_what_is_left_and_when_there_is_more():
    async with opened() as budget:
        assert budget.of("plug").left == 180
        for _ in range(6):
            await command(budget)
        found = budget.devices["plug"]
        assert (found.used, found.left) == (6, 174)
        assert found.next_at == virtual_clock() + timedelta(
            seconds=60 - anyio.current_time()
        )
        await anyio.sleep(HOUR_S)
        assert budget.devices == {}
        assert budget.of("plug").next_at is None


async def test_the_limiter_can_be_replaced_and_turned_off_while_calls_wait():
    times: list[float] = []
    async with opened() as budget, anyio.create_task_group() as tg:

        async def run() -> None:
            times.append(await command(budget, wait_s=100))

        for _ in range(6):
            await command(budget)
        tg.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        begun_at = anyio.current_time()
        budget.rate_limiter = None
        await anyio.sleep(0.01)
        assert times == [begun_at]
        begun_at = anyio.current_time()
        for _ in range(300):
            await command(budget)
        assert anyio.current_time() == begun_at
        assert budget.of("plug").left is None
        assert budget.of("plug").used == 307
        # What was sent while it was off counts.
        budget.rate_limiter = RateLimitChecker()
        with pytest.raises(CallDropped):
            await command(budget)


async def test_cancelling_whoever_waits_costs_nothing_and_lets_the_next_one_go():
    async with opened() as budget:
        await command(budget)
        with anyio.move_on_after(0.1):
            await command(budget)
        assert budget.of("plug").used == 1
        await command(budget)
