"""What goes wrong in the house of all troubles: once a day, one after the other."""

from __future__ import annotations

import resource
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from structiot.sim.shared.faults import Fault, FaultKind

if TYPE_CHECKING:
    from tests.gateway.endurance_house import EnduranceHouse

__all__ = ["TROUBLES"]

Trouble: TypeAlias = Callable[["EnduranceHouse", float], Awaitable[None]]

# A hundred messages a second, of each device.
FLOOD_S: Final = 20.0


async def devices_away(house: EnduranceHouse, for_s: float) -> None:
    # The meters lose what they have counted, and go on from 0.
    for counter in house.counters.values():
        counter.reset()
    house.meter.misbehave("half_sent")
    house.lamp.misbehave("silent")
    async with house.unheard(), anyio.create_task_group() as tasks:
        for sim in (house.strip, house.local, house.plug):
            tasks.start_soon(sim.reboot, for_s)
    house.meter.misbehave()
    house.lamp.misbehave()


async def broker_away(house: EnduranceHouse, for_s: float) -> None:
    await house.close_broker()
    await anyio.sleep(for_s)
    await house.open_broker()


async def cloud_away(house: EnduranceHouse, for_s: float) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(house.cloud.reboot, for_s)
        tasks.start_soon(house.cloud.restart_brokers, for_s)


async def platform_away(house: EnduranceHouse, for_s: float) -> None:
    house.platform.forget_hashes()
    await house.platform.reboot(for_s)


async def refused(house: EnduranceHouse, for_s: float) -> None:
    sims = (house.strip, house.local, house.cloud)
    for sim in sims:
        sim.faults.always(Fault(kind=FaultKind.REFUSE))
    async with house.unheard():
        await anyio.sleep(for_s)
        for sim in sims:
            sim.faults.clear()


async def slow(house: EnduranceHouse, for_s: float) -> None:
    house.lamp.misbehave("slow")
    for sim in (house.strip, house.local, house.cloud):
        sim.faults.delay_s = 1.2
    await anyio.sleep(for_s)
    for sim in (house.strip, house.local, house.cloud):
        sim.faults.clear()
    house.lamp.misbehave()


async def flooded(house: EnduranceHouse, for_s: float) -> None:
    for sim in (house.lamp, house.meter):
        sim.misbehave("babbling")
    await anyio.sleep(min(FLOOD_S, for_s / 20))
    for sim in (house.lamp, house.meter):
        sim.misbehave()


async def clock_jumps(house: EnduranceHouse, for_s: float) -> None:
    house.clock.by += timedelta(days=-1 if house.clock.by else 1)
    await anyio.sleep(for_s)


async def disk_full(_house: EnduranceHouse, for_s: float) -> None:
    # No file may grow any more; for this, nobody has to be root.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        await anyio.sleep(for_s)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


TROUBLES: Final[tuple[Trouble, ...]] = (
    devices_away,
    broker_away,
    cloud_away,
    platform_away,
    refused,
    slow,
    flooded,
    clock_jumps,
    disk_full,
)
