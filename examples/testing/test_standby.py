"""A small program and its tests: hours pass in milliseconds, on asyncio and on trio.

Run:
    python -m pytest examples/testing
"""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment, maxsmart_device
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import MaxSmartSim
from structiot.testing import cancel_sweep

pytestmark = pytest.mark.usefixtures("virtual_time")


async def switch_off_on_standby(strip: MaxSmartStrip, port: int) -> None:
    """Switch a port off when it has drawn less than 2 W for ten minutes."""
    busy_at = anyio.current_time()
    async with strip.readings() as readings:
        async for reading in readings:
            if reading.port != port:
                continue
            if reading.power_w is None or reading.power_w >= 2:
                busy_at = anyio.current_time()
            elif anyio.current_time() - busy_at >= 600:
                await strip.turn_off(port)
                return


async def test_a_television_on_standby_is_switched_off_after_ten_minutes(
    maxsmart_sim: MaxSmartSim, environment: Environment
) -> None:
    maxsmart_sim.set_load(1, 0.8)
    async with maxsmart_device(maxsmart_sim.host, environment=environment) as strip:
        await switch_off_on_standby(strip, port=1)
    assert not maxsmart_sim.ports[1]
    assert 600 <= anyio.current_time() <= 605


async def test_a_television_that_is_watched_stays_on(
    maxsmart_sim: MaxSmartSim, environment: Environment
) -> None:
    maxsmart_sim.set_load(1, 85.0)
    async with maxsmart_device(maxsmart_sim.host, environment=environment) as strip:
        with anyio.move_on_after(3600):
            await switch_off_on_standby(strip, port=1)
    assert maxsmart_sim.ports[1]


async def test_wherever_it_is_cancelled_nothing_is_left_open(
    maxsmart_sim: MaxSmartSim, environment: Environment
) -> None:
    async def flow() -> None:
        async with maxsmart_device(maxsmart_sim.host, environment=environment) as strip:
            with anyio.move_on_after(20):
                await switch_off_on_standby(strip, port=1)

    await cancel_sweep(flow)
