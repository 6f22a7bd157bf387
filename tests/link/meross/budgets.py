"""A budget in virtual time, and who spends it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import anyio

from structiot import Environment
from structiot.meross.account_state import open_account_state
from structiot.meross.budget import Budget
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
