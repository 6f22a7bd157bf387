"""The self-built devices of the house, which dial in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from uuid import UUID

from structiot._kit.environment import Environment
from structiot.sim.house.day import DAY_S, Diary, house_clock, living
from structiot.sim.house.dialled_life import live
from structiot.sim.house.residents import Resident, named_on
from structiot.sim.house.things import things
from structiot.sim.manager.device import DialInSim
from structiot.sim.manager.fleet import sim_devices

__all__ = ["DIALLED", "dialled_residents", "dialled_uuid", "house_fleet", "is_native"]

_WITH_CONFIRM: Final = {"freezer", "heater"}
_NATIVE: Final = {"climate", "weather", "lock"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A device: its type, its name, where it is, and what is otherwise with it."""

    kind: str
    name: str
    room: str
    state: tuple[tuple[str, Any], ...] = ()


def _plan(kind: str, name: str, room: str, **state: object) -> _Plan:
    return _Plan(kind=kind, name=name, room=room, state=tuple(state.items()))


DIALLED: Final = (
    _plan("lamp", "Ceiling light", "Kitchen"),
    _plan("climate", "Bedroom climate", "Bedroom", base_c=18.5),
    _plan("doorbell", "Doorbell", "Hall"),
    _plan("lock", "Front door lock", "Hall"),
    _plan("contact", "Front door", "Hall"),
    _plan("motion", "Hall motion", "Hall"),
    _plan("remote", "Bedside button", "Bedroom"),
    _plan("freezer", "Chest freezer", "Cellar"),
    _plan("heater", "Fan heater", "Workshop"),
    _plan("weather", "Weather station", "Garden"),
    _plan("siren", "Alarm siren", "Hall"),
    _plan("washer", "Washing machine", "Cellar"),
    _plan("inverter", "Balcony solar", "Garden"),
    _plan("display", "Hall display", "Hall"),
    _plan("lamp", "Desk lamp", "Office"),
    _plan("climate", "Bath climate", "Bath", base_c=23.0, base_percent=58),
    _plan("contact", "Kitchen window", "Kitchen"),
    _plan("motion", "Garden motion", "Garden"),
    _plan("remote", "Sofa button", "Living room"),
    _plan("lamp", "Bedside lamp", "Bedroom"),
    _plan("climate", "Office climate", "Office", base_c=21.5),
    _plan("contact", "Terrace door", "Living room"),
    _plan("lamp", "Mirror light", "Bath"),
    _plan("motion", "Garage motion", "Garage"),
    _plan("climate", "Wine cellar", "Cellar", base_c=12.0, base_percent=68),
    _plan("contact", "Garage side door", "Garage"),
    _plan("lamp", "Hall light", "Hall"),
    _plan("lamp", "Garden lights", "Garden"),
    _plan("climate", "Greenhouse", "Garden", base_c=19.0, base_percent=71),
    _plan("lamp", "Garage light", "Garage"),
)
"""The devices that dial in, those first of which the others are more."""


def dialled_uuid(number: int) -> str:
    """Give the identity of a device, counted from 0."""
    return str(UUID(int=((number + 1) << 96) + number + 1))


def is_native(kind: str) -> bool:
    """Tell whether devices of a type speak our own dialect, and prove who they are."""
    return kind in _NATIVE


def dialled_residents(count: int) -> list[Resident]:
    """Say what the first `count` devices are, and where."""
    found = []
    for number in range(count):
        plan, more = named_on(DIALLED, number)
        found.append(
            Resident(
                known_as=f"manager {dialled_uuid(number)}",
                name=plan.name + more,
                room=plan.room,
                confirm=plan.kind in _WITH_CONFIRM,
            )
        )
    return found


@asynccontextmanager
async def house_fleet(
    environment: Environment,
    *,
    count: int,
    ports: tuple[int, int],
    secret: str,
    host: str = "127.0.0.1",
    day_s: float = DAY_S,
) -> AsyncGenerator[list[DialInSim]]:
    """Simulate the devices of the house that dial in.

    Args:
        environment: Where they are, and chance.
        count: How many; from the 31st on they repeat.
        ports: Where the manager listens in the dialect D0, and in our own.
        secret: What those of our own dialect prove that they know.
        host: The manager's address.
        day_s: How long a day of the house takes, in seconds.

    Yields:
        The devices.
    """
    clock = house_clock(environment, day_s)
    diary = Diary(clock, Random(environment.random.getrandbits(64)))  # noqa: S311
    # What they measure goes by the hours of the house.
    inside = Environment(
        network=environment.network,
        host_network=environment.host_network,
        clock=clock.utc,
        random=environment.random,
    )
    behaviours = things(clock.speed)
    async with AsyncExitStack() as stack:
        fleet = []
        for number in range(count):
            plan, more = named_on(DIALLED, number)
            native = is_native(plan.kind)
            (sim,) = await stack.enter_async_context(
                sim_devices(
                    type=plan.kind,
                    host=host,
                    port=ports[native],
                    dialect="structiot" if native else "D0",
                    uuids=[dialled_uuid(number)],
                    secret=secret if native else None,
                    behaviour=behaviours[plan.kind],
                    environment=inside,
                )
            )
            sim.state.update(plan.state, name=plan.name + more)
            live(sim, diary)
            fleet.append(sim)
        await stack.enter_async_context(living(diary))
        yield fleet
