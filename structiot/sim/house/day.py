"""The days of a simulated house: its clock, and what happens at which hour."""

from __future__ import annotations

import heapq
import inspect
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot.errors import StructiotError
from structiot.sim.shared.clock import SimClock

__all__ = ["DAY_S", "Diary", "hour_of", "house_clock", "living"]

DAY_S: Final = 86_400.0
_HOUR_S: Final = 3600.0
_FIRST_HOUR: Final = 6.5

_log = logging.getLogger(__name__)


def house_clock(environment: Environment, day_s: float) -> SimClock:
    """Make the clock of a house, on which it is half past six of this day.

    Args:
        environment: Which day it is.
        day_s: How long one of its days takes, in seconds.
    """
    today = environment.now_utc().replace(hour=0, minute=0, second=0, microsecond=0)
    return SimClock(today + timedelta(hours=_FIRST_HOUR), speed=DAY_S / day_s)


def hour_of(at_s: float) -> float:
    """Give the hour of the day, from 0 to below 24, of seconds since 1970."""
    return at_s % DAY_S / _HOUR_S


@dataclass(slots=True, kw_only=True)
class _Entry:
    """Something that happens again and again; times are seconds since 1970.

    Attributes:
        act: What.
        next_s: When the next time is at the earliest.
        period_s: How long it is from one to the next.
        within_s: How much later it may be.
    """

    act: Callable[[], object]
    next_s: float
    period_s: float
    within_s: float = 0.0


class Diary:
    """What happens in a house each day, a little earlier or later each time.

    Args:
        clock: The clock of the house.
        random: Chance.

    Attributes:
        clock: As given.
        random: As given.
    """

    def __init__(self, clock: SimClock, random: Random) -> None:
        self.clock: SimClock = clock
        self.random: Random = random
        self._due: list[tuple[float, int, _Entry]] = []
        self._number = 0

    def daily(
        self, hour: float, act: Callable[[], object], *, within_h: float = 0.2
    ) -> None:
        """Do something each day, at an hour or up to `within_h` later."""
        now_s = self.clock.now_s()
        at_s = now_s - now_s % DAY_S + hour * _HOUR_S
        first_s = at_s if at_s >= now_s else at_s + DAY_S
        self._enter(
            _Entry(
                act=act,
                next_s=first_s,
                period_s=DAY_S,
                within_s=within_h * _HOUR_S,
            )
        )

    def every(self, minutes: float, act: Callable[[], object]) -> None:
        """Do something every so many minutes, first within as many."""
        period_s = minutes * 60
        first_s = self.clock.now_s() + period_s * self.random.random()
        self._enter(_Entry(act=act, next_s=first_s, period_s=period_s))

    def _enter(self, entry: _Entry) -> None:
        at_s = entry.next_s + entry.within_s * self.random.random()
        entry.next_s += entry.period_s
        self._number += 1
        heapq.heappush(self._due, (at_s, self._number, entry))

    async def run(self) -> None:
        """Let the days pass, until cancelled."""
        async with service_group() as tasks:
            while self._due:
                wait_s = (self._due[0][0] - self.clock.now_s()) / self.clock.speed
                if wait_s > 0:
                    await anyio.sleep(wait_s)
                else:
                    _, _, entry = heapq.heappop(self._due)
                    self._enter(entry)
                    tasks.start_soon(_do, entry.act, name="structiot.sim.house")


async def _do(act: Callable[[], object]) -> None:
    try:
        done = act()
        if inspect.isawaitable(done):
            await done
    except StructiotError as exc:
        _log.warning("something does not happen in the house: %s", exc)


@asynccontextmanager
async def living(diary: Diary) -> AsyncGenerator[None]:
    """Let what stands in a diary happen for the length of the block."""
    async with service_group() as tasks:
        tasks.start_soon(diary.run, name="structiot.sim.house diary")
        yield
