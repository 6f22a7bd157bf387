"""A gateway that is cancelled anywhere leaves nothing behind."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from structiot import Environment
from structiot.gateway import (
    BrokerConnected,
    GatewayConfig,
    load_config,
    open_gateway,
)
from structiot.sim import sim_maxsmart
from structiot.testing import MemoryNetwork, cancel_sweep

pytestmark = pytest.mark.virtual_time

STRIPS = {"devices": [{"host": "10.0.0.7", "name": "Desk"}, {"host": "10.0.0.8"}]}
EMBEDDED = load_config({"maxsmart": STRIPS})
NO_BROKER = load_config({"mqtt": {"uri": "mqtt://10.0.0.9/"}, "maxsmart": STRIPS})
brokers = pytest.mark.parametrize("config", [EMBEDDED, NO_BROKER], ids=["own", "none"])


async def flow(config: GatewayConfig) -> None:
    """Serve two strips, one of them away, on a broker of its own or without one."""
    network = MemoryNetwork()
    async with (
        sim_maxsmart("10.0.0.7", environment=Environment(network=network)),
        open_gateway(config, environment=Environment(network=network)) as gateway,
        gateway.events() as events,
    ):
        async for _ in events:
            if "desk" in gateway.devices and gateway.devices["desk"].states:
                break
        gateway.devices["desk"].request(
            "port_1", topic="structiot/desk/port_1/set", payload=b"OFF"
        )
        await anyio.sleep(2)


@brokers
async def test_a_gateway_cancelled_anywhere_leaves_nothing(config: GatewayConfig):
    assert await cancel_sweep(partial(flow, config)) > 5


@pytest.mark.timeout(60)
async def test_a_gateway_cancelled_in_the_middle_of_its_tasks_leaves_nothing(
    stride: int,
):
    assert (
        await cancel_sweep(partial(flow, NO_BROKER), steps_of="all", stride=stride) > 50
    )


async def embedded_alone() -> None:
    async with (
        open_gateway(
            load_config({}), environment=Environment(network=MemoryNetwork())
        ) as gateway,
        gateway.events() as events,
    ):
        async for event in events:
            if isinstance(event, BrokerConnected):
                return


@pytest.mark.timeout(60)
async def test_an_embedded_broker_cancelled_in_the_middle_of_its_tasks_leaves_nothing(
    stride: int,
):
    assert await cancel_sweep(embedded_alone, steps_of="all", stride=stride) > 20
