"""Cancelled at each checkpoint, two nodes of one manager leave nothing behind."""

from __future__ import annotations

import pytest

from structiot import Environment
from structiot.manager import open_backplane, open_manager
from structiot.mqtt import open_broker
from structiot.testing import MemoryNetwork, cancel_sweep
from tests.link.manager.devices import UUID
from tests.link.manager.nodes import BROKER, device_at, nodes

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("dialect", ["D0", "structiot"])
async def test_sharing_forwarding_and_leaving(dialect: str, stride: int):
    async def flow() -> None:
        environment = Environment(network=MemoryNetwork())
        async with nodes(environment, 2) as (a, b), b.manager.events() as events:
            port = a.own_port if dialect == "structiot" else a.plain_port
            async with device_at(environment, port, dialect=dialect) as device:
                await anext(events)
                await device.wait_connected()
                await device.send("hello server")
                await anext(events)
                await b.manager.fleet[UUID].send("hello client")
                await anext(aiter(device))
                assert await b.manager.send_all("all")
                await b.manager.fleet[UUID].end()
                await anext(events)

    assert await cancel_sweep(flow, stride=stride) > 20


async def test_one_node_at_every_step_of_every_task(stride: int):
    async def flow() -> None:
        environment = Environment(network=MemoryNetwork())
        async with (
            open_broker(BROKER, environment=environment),
            open_backplane(
                BROKER,
                node="one",
                config={"protocol": "3.1.1"},
                environment=environment,
            ) as client,
            open_manager(
                dialect="structiot", backplane=client, environment=environment
            ) as manager,
            manager.events() as events,
            device_at(environment, manager.port, dialect="structiot") as device,
        ):
            await anext(events)
            await device.send("hello server")
            assert await manager.send(UUID, "hello client")

    assert await cancel_sweep(flow, steps_of="all", stride=stride) > 100
