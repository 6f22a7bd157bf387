"""A strip in a household: polled, switched, cut off and read out, over any time.

Virtual time is the world's time: the strip's clock, the client's and the calendar of the
events go by it, in the zone of Zurich with both changes of clock.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import anyio

from structiot import Environment
from structiot.energy import EnergyMeter
from structiot.errors import TransportError
from structiot.maxsmart import MaxSmartStrip, StripStatistics, maxsmart_device
from structiot.sim import CyclingLoad, MaxSmartSim, SimClock, sim_maxsmart
from structiot.testing import MemoryNetwork

ZONE = ZoneInfo("Europe/Zurich")
HOST = "127.0.0.2"
IDENTIFY_S = 3600.0
PORTS = range(1, 7)
LOADS = (
    CyclingLoad(high_w=9.4, ripple=0.004),  # a lamp
    CyclingLoad(high_w=61, low_w=0.9, period_s=86400, duty=0.4, phase_s=23_400),
    CyclingLoad(high_w=84, low_w=1.2, period_s=2872, duty=0.33, ripple=0.015),  # fridge
    CyclingLoad(high_w=97, low_w=0.5, period_s=86400, duty=0.19, phase_s=59_000),
    CyclingLoad(high_w=7.8, ripple=0.05, ripple_s=13),  # a router
    CyclingLoad(high_w=1450, period_s=9137, duty=0.21, phase_s=600),  # a boiler
)

Deed = Callable[[], Awaitable[object]]


class Calendar:
    """The time of the world, which begins at midnight of `first_day`."""

    def __init__(self, first_day: date) -> None:
        midnight = datetime.combine(first_day, datetime.min.time(), ZONE)
        self.start_utc = midnight.astimezone(UTC)
        self._began_at = anyio.current_time()

    def now(self) -> datetime:
        elapsed = timedelta(seconds=anyio.current_time() - self._began_at)
        return (self.start_utc + elapsed).astimezone(ZONE)

    async def until(self, local: datetime) -> None:
        since = local.replace(tzinfo=ZONE).astimezone(UTC) - self.start_utc
        await anyio.sleep_until(self._began_at + since.total_seconds())


@dataclass
class Ledger:
    """Daily statistics that were read again and again, added up.

    A strip knows the last 31 days only; a day whose figure has fallen was counted anew
    from nothing, by a reset.
    """

    last_wh: dict[datetime, float] = field(default_factory=dict)
    before_resets_wh: float = 0.0

    def enter(self, statistics: StripStatistics) -> None:
        for point in statistics.points:
            assert point.energy_wh is not None
            known = self.last_wh.get(point.start, 0.0)
            if point.energy_wh < known:
                self.before_resets_wh += known
            self.last_wh[point.start] = point.energy_wh

    @property
    def energy_wh(self) -> float:
        return self.before_resets_wh + sum(self.last_wh.values())


class Household:
    """A strip, its client, and the books that are kept of it.

    Attributes:
        meter: Energy from the readings.
        ledgers: Energy by the strip's own account, port by port.
    """

    def __init__(
        self, sim: MaxSmartSim, strip: MaxSmartStrip, calendar: Calendar, poll_s: float
    ) -> None:
        self.sim = sim
        self.strip = strip
        self.calendar = calendar
        self.meter = EnergyMeter(max_gap_s=2.5 * poll_s)
        self.ledgers = {port: Ledger() for port in PORTS}
        self._deeds: list[tuple[datetime, Deed]] = []

    def plan(self, at: str | datetime, deed: Deed) -> None:
        """Do something at this time of the wall clock."""
        local = datetime.fromisoformat(at) if isinstance(at, str) else at
        self._deeds.append((local, deed))

    def plan_days(self, first_day: date, days: int, random: Random) -> None:
        """Read statistics at some time of each day; a screen is off at night."""
        for number in range(days):
            day = datetime.combine(
                first_day + timedelta(days=number), datetime.min.time()
            )
            # Polls follow commands: at the same minute each day they would meet what
            # else is switched at the same moment, and err to the same side.
            early, late = random.randrange(60), random.randrange(60)
            self.plan(day + timedelta(hours=6, minutes=30 + early), self.turn_on)
            self.plan(day + timedelta(hours=22, minutes=late), self.turn_off)
            at = timedelta(hours=8 + random.randrange(12), minutes=random.randrange(60))
            self.plan(day + at, self.read)

    # While the strip is away, nobody switches it and nobody reads it out.

    async def turn_on(self) -> None:
        with suppress(TransportError):
            await self.strip.turn_on(2)

    async def turn_off(self) -> None:
        with suppress(TransportError):
            await self.strip.turn_off(2)

    async def read(self) -> None:
        with suppress(TransportError):
            for port, ledger in self.ledgers.items():
                ledger.enter(await self.strip.get_statistics(port, "daily"))

    async def live(self, until: str) -> None:
        """Let time pass and do what is planned."""
        for at, deed in sorted(self._deeds, key=lambda planned: planned[0]):
            await self.calendar.until(at)
            await deed()
        self._deeds.clear()
        await self.calendar.until(datetime.fromisoformat(until))
        await self.read()

    def measured_wh(self, port: int | None = None) -> float:
        return self.meter.energy_wh(channel=port)

    def own_wh(self, port: int | None = None) -> float:
        """Energy by the strip's own account."""
        return sum(
            ledger.energy_wh
            for its_port, ledger in self.ledgers.items()
            if port in {None, its_port}
        )


@asynccontextmanager
async def household(first_day: date, *, poll_s: float) -> AsyncGenerator[Household]:
    network = MemoryNetwork()
    calendar = Calendar(first_day)
    async with (
        sim_maxsmart(
            HOST,
            loads=LOADS,
            clock=SimClock(calendar.start_utc),
            environment=Environment(network=network),
        ) as sim,
        maxsmart_device(
            HOST,
            poll_s=poll_s,
            identify_s=IDENTIFY_S,
            environment=Environment(
                network=network, clock=calendar.now, random=Random(1)
            ),
        ) as strip,
    ):
        home = Household(sim, strip, calendar, poll_s)

        async def keep_books() -> None:
            async with strip.readings() as readings:
                async for reading in readings:
                    home.meter.add(reading)

        async with anyio.create_task_group() as tg:
            tg.start_soon(keep_books)
            yield home
            tg.cancel_scope.cancel()
