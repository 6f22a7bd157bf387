"""`manager.fleet_told`: a node that comes anew knows when the others have told all."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.manager import open_backplane, open_manager
from structiot.mqtt.broker import open_broker
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import UUID, known_device, the_client

pytestmark = pytest.mark.virtual_time

URI = "mqtt://127.0.0.1:1883"


async def test_it_waits_for_the_lists_of_the_nodes_that_are_there():
    environment = Environment(network=MemoryNetwork())
    async with (
        open_broker(URI, environment=environment),
        open_backplane(URI, node="first", environment=environment) as first,
        open_manager(backplane=first, environment=environment) as manager,
        known_device(environment),
    ):
        await the_client(manager)
        for _ in range(3):
            async with (
                open_backplane(URI, environment=environment) as guest,
                open_manager(
                    port=None, backplane=guest, environment=environment
                ) as other,
            ):
                begun = anyio.current_time()
                await other.fleet_told()
                assert list(other.fleet) == [UUID]
                # One device is listed as often as somebody comes.
                assert anyio.current_time() - begun <= 0.7


async def test_where_nobody_is_the_deadline_is_the_callers():
    environment = Environment(network=MemoryNetwork())
    async with (
        open_broker(URI, environment=environment),
        open_backplane(URI, environment=environment) as guest,
        open_manager(port=None, backplane=guest, environment=environment) as manager,
    ):
        with anyio.move_on_after(10) as patience:
            await manager.fleet_told()
        assert patience.cancelled_caught


async def test_without_a_backplane_there_is_nothing_to_wait_for():
    environment = Environment(network=MemoryNetwork())
    async with open_manager(environment=environment) as manager:
        await manager.fleet_told()
