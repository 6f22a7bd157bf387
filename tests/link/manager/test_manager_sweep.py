"""Cancelled at each checkpoint, a manager and a device leave nothing behind."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.manager.device_client import ManagedDevice, open_manager_client
from structiot.manager.opening import open_manager
from structiot.testing import MemoryNetwork, cancel_sweep
from tests.link.manager.devices import OTHER, UUID, client_of

pytestmark = pytest.mark.virtual_time


async def answer(device: ManagedDevice) -> None:
    await anext(aiter(device))
    await device.send("that")


@pytest.mark.parametrize("dialect", ["D0", "D4", "structiot"])
async def test_serving_sending_asking_and_leaving(dialect: str):
    async def flow() -> None:
        environment = Environment(network=MemoryNetwork())
        async with (
            open_manager(dialect=dialect, environment=environment) as manager,
            manager.events() as events,
            open_manager_client(
                "127.0.0.1",
                uuid=UUID,
                type="lamp",
                dialect=dialect,
                environment=environment,
            ) as device,
        ):
            await device.wait_connected()
            client = client_of(await anext(events))
            await device.send("hello server")
            await anext(events)
            await client.send("hello client")
            await anext(aiter(device))
            async with anyio.create_task_group() as tg:
                tg.start_soon(answer, device)
                assert await client.request("what?") == b"that"
            await client.heartbeat()
            await client.refresh_info()
            await manager.send_all("all")
            await manager.send(OTHER, "nobody")
            await client.end()

    assert await cancel_sweep(flow, steps_of="all") > 20
