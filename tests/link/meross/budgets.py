"""A budget in virtual time, and who spends it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from structiot import Environment
from structiot.meross.account_state import open_account_state
from structiot.meross.budget import Budget
from structiot.meross.errors import CallDropped
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.stats import Call, Stats
from structiot.testing.clock import virtual_clock

HOUR_S = 3600.0

ENVIRONMENT = Environment(clock=virtual_clock)
Spend: TypeAlias = Callable[..., Awaitable[float]]


def call_of(device: str = "plug") -> Call:
    return Call(device, "Appliance.System.All", "GET", "cloud")


@asynccontextmanager
async def opened(
    path: Path | None = None,
    stats: Stats | None = None,
    limiter: RateLimitChecker | None = None,
    environment: Environment = ENVIRONMENT,
) -> AsyncGenerator[Budget]:
    async with open_account_state(path, environment=environment) as state:
        budget = Budget(state, limiter or RateLimitChecker(), stats, environment)
        await budget.begin()
        yield budget


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


class Programs:
    """Programs, one after the other or beside it, that share a file and talk a lot."""

    def __init__(self, file: Path) -> None:
        self.sent: dict[str, list[float]] = {"a": [], "b": []}
        self._file = file
        # Of those that were killed, or run beside the others.
        self._left = AsyncExitStack()
        self._opened = AsyncExitStack()
        self._budgets: list[Budget] = []

    async def begin(self) -> None:
        limiter = RateLimitChecker(
            device_messages_per_hour=8, device_messages_per_minute=5
        )
        budget = await self._opened.enter_async_context(
            opened(self._file, limiter=limiter)
        )
        self._budgets.insert(0, budget)

    async def run(self, steps: list[tuple[int, tuple[Any, Any, Any]]]) -> None:
        async with self._left:
            await self.begin()
            for times, (what, which, is_command) in steps:
                if what == "wait":
                    await anyio.sleep(which)
                elif what == "call":
                    await self.call(which, command if is_command else poll, times)
                else:
                    if which:
                        await self._opened.aclose()
                        self._budgets.clear()
                    else:
                        self._left.push_async_exit(self._opened.pop_all())
                    await self.begin()
            await self._opened.aclose()

    async def call(self, device: str, spend: Spend, times: int) -> None:
        """Have the latest program talk, and the one before it, as if both ran."""
        for budget in self._budgets[:2]:
            with suppress(CallDropped):
                for _ in range(times):
                    self.sent[device].append(await spend(budget, device, 20.0))
