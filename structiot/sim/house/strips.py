"""The power strips of the house, of three firmware families."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from structiot._kit.environment import Environment
from structiot.sim.house.appliances import APPLIANCES
from structiot.sim.house.day import DAY_S, Diary, house_clock, living
from structiot.sim.house.residents import Resident, named_on
from structiot.sim.maxsmart.families import FAMILIES
from structiot.sim.maxsmart.simulator import MaxSmartSim, sim_maxsmart

__all__ = ["STRIPS", "house_strips", "strip_residents"]

_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A strip: what it is, and what is plugged in, by its name in `APPLIANCES`."""

    name: str
    room: str
    family: str
    plugged: tuple[str, ...]
    confirmed: tuple[int, ...] = ()


_COUNTER: Final = (
    "Fridge", "Freezer", "Kettle", "Toaster", "Dishwasher", "Microwave",
)  # fmt: skip
_MEDIA: Final = (
    "Television", "Hi-fi", "Console", "Router", "Floor lamp", "Phone charger",
)  # fmt: skip
_BENCH: Final = (
    "Workbench light", "Drill press", "Compressor", "Battery chargers", "Extractor",
    "Radio",
)  # fmt: skip

STRIPS: Final = (
    _Plan(
        name="Kitchen counter",
        room="Kitchen",
        family="mh_strip_130",
        plugged=_COUNTER,
        confirmed=(1, 2),
    ),
    _Plan(name="Workbench", room="Workshop", family="mh_strip_211", plugged=_BENCH),
    _Plan(name="Media corner", room="Living room", family="revogi_511", plugged=_MEDIA),
)
"""The strips: a family each."""


def strip_residents(count: int) -> list[Resident]:
    """Say what the first `count` strips are, and where."""
    found = []
    for number in range(count):
        plan, more = named_on(STRIPS, number)
        name = plan.name + more
        ports = tuple(f"port_{port}" for port in plan.confirmed)
        found.append(
            Resident(known_as=name, name=name, room=plan.room, confirmed=ports)
        )
    return found


@asynccontextmanager
async def house_strips(
    environment: Environment, *, count: int, day_s: float = DAY_S
) -> AsyncGenerator[list[MaxSmartSim]]:
    """Simulate the strips of the house on free ports of this machine.

    The main switch of the workshop is off over lunch and at night: its strip is away.

    Args:
        environment: Where they are, and chance.
        count: How many; from the fourth on they repeat.
        day_s: How long a day of the house takes, in seconds.

    Yields:
        The strips.

    Raises:
        ConnectFailed: No port is free.
    """
    clock = house_clock(environment, day_s)
    diary = Diary(clock, Random(environment.random.getrandbits(64)))  # noqa: S311
    async with AsyncExitStack() as stack:
        sims = []
        for number in range(count):
            plan, more = named_on(STRIPS, number)
            sim = await stack.enter_async_context(
                sim_maxsmart(
                    _HOST,
                    family=FAMILIES[plan.family],
                    name=plan.name + more,
                    http_port=0,
                    udp_port=0,
                    loads=[APPLIANCES[one] for one in plan.plugged],
                    seed=number,
                    clock=clock,
                    utc_offset_h=0,
                    environment=environment,
                )
            )
            for port, name in enumerate(plan.plugged, start=1):
                sim.rename(port, name)
            if plan.room == "Workshop":
                _lock_up(sim, diary)
            sims.append(sim)
        await stack.enter_async_context(living(diary))
        yield sims


def _lock_up(sim: MaxSmartSim, diary: Diary) -> None:
    for hour, hours in ((12.6, 1.3), (20.5, 9.0)):
        down_s = hours * 3600 / diary.clock.speed
        cut = partial(sim.power_cut, down_s, loses_clock=False)
        diary.daily(hour, cut)
