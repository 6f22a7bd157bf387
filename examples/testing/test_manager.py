"""A program for devices that dial in, tested with simulated ones.

Run:
    python -m pytest examples/testing
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from structiot import Environment, open_manager
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    Manager,
)
from structiot.sim import DialInFleet

pytestmark = pytest.mark.usefixtures("virtual_time")
Fleet = Callable[..., AbstractAsyncContextManager[DialInFleet]]


async def keep_lit(manager: Manager) -> None:
    """Switch each lamp on as soon as it is there."""
    async with manager.events("lamp") as events:
        async for event in events:
            if isinstance(event, ClientConnected):
                await event.client.send("on")


async def test_each_lamp_is_switched_on(
    device_fleet: Fleet, environment: Environment
) -> None:
    async with (
        open_manager(["lamp"], environment=environment) as manager,
        device_fleet(20, type="lamp") as fleet,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(keep_lit, manager)
        await anyio.sleep(1)
        assert all(lamp.state["is_on"] for lamp in fleet)
        tasks.cancel_scope.cancel()


async def test_one_that_falls_silent_is_gone_within_its_time(
    device_fleet: Fleet, environment: Environment
) -> None:
    async with (
        open_manager(["lamp"], environment=environment) as manager,
        manager.events() as events,
        device_fleet(2, type="lamp") as (_, lamp),
    ):
        for _ in range(2):
            await anext(events)
        lamp.misbehave("silent")
        gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        assert gone.client.uuid == lamp.uuid
        assert anyio.current_time() <= manager.heartbeat_s * 1.2 + 15


async def test_one_of_another_type_is_left_alone(
    device_fleet: Fleet, environment: Environment
) -> None:
    async with (
        open_manager(["lamp"], environment=environment) as manager,
        manager.events() as events,
        device_fleet(1, type="toaster") as (toaster,),
    ):
        assert isinstance(await anext(events), ClientRefused)
        assert not await manager.send_all("on")
        assert not toaster.received
