"""A gateway that is cancelled anywhere leaves nothing behind."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.memory_network import MemoryNetwork
from structiot.gateway import load_config, open_gateway
from structiot.sim import sim_maxsmart
from tests._support.cancel_sweep import cancel_sweep

pytestmark = pytest.mark.virtual_time

CONFIG = load_config(
    {
        "maxsmart": {
            "devices": [{"host": "10.0.0.7", "name": "Desk"}, {"host": "10.0.0.8"}],
        }
    }
)


async def flow() -> None:
    """Serve two strips, one of them away, without a broker."""
    network = MemoryNetwork()
    async with (
        sim_maxsmart("10.0.0.7", network=network),
        open_gateway(CONFIG, network=network) as gateway,
        gateway.events() as events,
    ):
        async for _ in events:
            if gateway.devices["desk"].states:
                break
        gateway.devices["desk"].request(
            "port_1", topic="structiot/desk/port_1/set", payload=b"OFF"
        )
        await anyio.sleep(2)


async def test_a_gateway_cancelled_anywhere_leaves_nothing():
    assert await cancel_sweep(flow) > 5


@pytest.mark.timeout(60)
async def test_a_gateway_cancelled_in_the_middle_of_its_tasks_leaves_nothing():
    assert await cancel_sweep(flow, steps_of="all") > 50
