"""No device is sent more than it may be in any minute and hour, restarts or not."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structiot import Environment
from structiot.meross.budget import Budget, open_budget
from structiot.meross.errors import CallDropped
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.stats import Call, Stats
from structiot.testing import cancel_sweep
from structiot.testing.clock import virtual_backend, virtual_clock

HOUR_S = 3600.0
# Meross blocks who sends a device 200 an hour.
BANNED_AT = 200

ENVIRONMENT = Environment(clock=virtual_clock)
Spend: TypeAlias = Callable[..., Awaitable[float]]


def call_of(device: str = "plug") -> Call:
    return Call(device, "Appliance.System.All", "GET", "cloud")


def opened(
    path: Path | None = None,
    stats: Stats | None = None,
    limiter: RateLimitChecker | None = None,
) -> AbstractAsyncContextManager[Budget]:
    return open_budget(
        path,
        rate_limiter=limiter or RateLimitChecker(),
        stats=stats,
        environment=ENVIRONMENT,
    )


async def command(budget: Budget, device: str = "plug", wait_s: float = 10.0) -> float:
    await budget.spend(call_of(device), is_command=True, longest_wait_s=wait_s)
    return anyio.current_time()


async def poll(budget: Budget, device: str = "plug", wait_s: float = 10.0) -> float:
    await budget.spend(call_of(device), is_command=False, longest_wait_s=wait_s)
    return anyio.current_time()


def most_in(times: list[float], window_s: float) -> int:
    return max(
        (sum(at <= other < at + window_s for other in times) for at in times), default=0
    )


# ---------------------------------------------------------------- waiting and dropping

virtual = pytest.mark.virtual_time


@virtual
async def test_commands_wait_for_tokens_and_for_the_minute():
    stats = Stats()
    async with opened(stats=stats) as budget:
        times = [await command(budget, wait_s=60) for _ in range(7)]
    assert most_in(times, 60.0) == 6
    assert times[6] == pytest.approx(60.0, abs=3.0)
    assert stats().delayed.total == 6


@virtual
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


@virtual
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


@virtual
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


@virtual
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


@virtual
async def test_without_a_queue_whoever_comes_too_soon_is_dropped():
    limiter = RateLimitChecker(device_max_command_queue=0)
    async with opened(limiter=limiter) as budget:
        await command(budget)
        with pytest.raises(CallDropped) as caught:
            await command(budget)
        assert caught.value.retry_after_s == 1.0
        await anyio.sleep(1)
        await command(budget)


@virtual
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


@virtual
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


@virtual
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
        await anyio.wait_all_tasks_blocked()
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


@virtual
async def test_cancelling_whoever_waits_costs_nothing_and_lets_the_next_one_go():
    async with opened() as budget:
        await command(budget)
        with anyio.move_on_after(0.1):
            await command(budget)
        assert budget.of("plug").used == 1
        await command(budget)


# ---------------------------------------------------------------- beyond the process


@virtual
async def test_what_was_sent_outlasts_a_restart(tmp_path):
    file = tmp_path / "budget.json"
    for used in range(1, 6):
        async with opened(file) as budget:
            await command(budget)
            assert budget.of("plug").used == used
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@virtual
async def test_a_killed_process_may_have_sent_all_that_it_had_announced(tmp_path):
    file = tmp_path / "budget.json"
    budget = Budget(file, RateLimitChecker(), Stats(), ENVIRONMENT)
    await command(budget)
    await command(budget)
    async with opened(file) as again:
        assert 2 <= again.of("plug").used <= 11
        assert again.of("lamp").used == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 2}', b"[1]", b"\0"])
@virtual
async def test_a_damaged_file_leaves_little_also_after_another_restart(
    tmp_path, content, caplog
):
    file = tmp_path / "budget.json"
    file.write_bytes(content)
    async with opened(file) as budget:
        assert budget.of("plug").left == 15
        await command(budget, wait_s=60)
    assert caplog.messages[0].startswith(f"{file} cannot be read")
    async with opened(file) as budget:
        assert budget.of("plug").left == 14
        assert budget.of("never seen before").left == 15
        await anyio.sleep(HOUR_S + 1)
        assert budget.of("plug").left == 180
        assert budget.of("another").left == 180


@virtual
async def test_a_clock_that_was_set_back_makes_nothing_forgotten(tmp_path):
    file = tmp_path / "budget.json"
    async with opened(file) as budget:
        for _ in range(5):
            await command(budget)
    earlier = Environment(clock=lambda: virtual_clock() - timedelta(days=300))
    async with open_budget(
        file, rate_limiter=RateLimitChecker(), environment=earlier
    ) as budget:
        assert budget.of("plug").used == 5
        await anyio.sleep(HOUR_S - 1)
        assert budget.of("plug").used == 5
        await anyio.sleep(1)
        assert budget.of("plug").used == 0


@virtual
async def test_a_file_that_cannot_be_written_stops_nobody(tmp_path, caplog):
    async with opened(tmp_path / "no folder" / "budget.json") as budget:
        for device in ("plug", "lamp"):
            await command(budget, device)
    assert len(caplog.messages) == 1
    assert "cannot be kept" in caplog.messages[0]


@virtual
async def test_wherever_it_is_cancelled_the_file_is_whole_and_nothing_is_forgotten(
    tmp_path,
):
    file = tmp_path / "budget.json"
    sent = 0

    async def flow() -> None:
        nonlocal sent
        async with opened(file) as budget:
            await command(budget, wait_s=100)
            sent += 1

    assert await cancel_sweep(flow) > 3
    async with opened(file) as budget:
        assert budget.of("plug").used >= sent


STEPS = st.one_of(
    st.tuples(st.just("call"), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("wait"), st.floats(0, 2_000), st.none()),
    st.tuples(st.just("restart"), st.booleans(), st.none()),
)


class Programs:
    """One program after the other, that share a file and talk as much as they may."""

    def __init__(self, file: Path) -> None:
        self.sent: dict[str, list[float]] = {"a": [], "b": []}
        self._file = file

    async def begin(self) -> None:
        limiter = RateLimitChecker(
            device_messages_per_hour=8, device_messages_per_minute=5
        )
        self._budget = Budget(self._file, limiter, Stats(), ENVIRONMENT)
        await self._budget.read()

    async def run(self, steps: list[tuple[int, tuple[Any, Any, Any]]]) -> None:
        await self.begin()
        for times, (what, which, is_command) in steps:
            if what == "wait":
                await anyio.sleep(which)
            elif what == "call":
                await self.call(which, command if is_command else poll, times)
            else:
                if which:
                    await self._budget.leave()
                await self.begin()

    async def call(self, device: str, spend: Spend, times: int) -> None:
        with suppress(CallDropped):
            for _ in range(times):
                self.sent[device].append(await spend(self._budget, device, 20.0))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_sequence_of_calls_and_restarts_exceeds_the_limit_in_any_window(backend):
    """Every window of an hour, and of a minute, whatever was done in between."""

    @settings(max_examples=100)
    @given(st.lists(st.tuples(st.integers(1, 20), STEPS), max_size=30))
    def check(steps: list[tuple[int, tuple[Any, Any, Any]]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            programs = Programs(Path(folder) / "budget.json")
            with virtual_backend(backend) as (name, options):
                anyio.run(programs.run, steps, backend=name, backend_options=options)
        for times in programs.sent.values():
            assert most_in(times, HOUR_S) <= 8
            assert most_in(times, 60.0) <= 5

    check()


@virtual
async def test_a_day_of_greed_with_a_restart_each_hour_is_under_the_limit(tmp_path):
    sent: list[float] = []
    for _ in range(24):
        async with opened(tmp_path / "budget.json") as budget:
            with anyio.move_on_after(HOUR_S):
                while True:
                    try:
                        sent.append(await command(budget, wait_s=10.0))
                    except CallDropped as exc:
                        await anyio.sleep(exc.retry_after_s or 1.0)
    assert most_in(sent, HOUR_S) < BANNED_AT
    assert len(sent) > 24 * 170
