"""A gateway that offers devices and is cancelled anywhere leaves nothing behind."""

from __future__ import annotations

import pytest

from structiot.testing import cancel_sweep
from tests.gateway.bridge_house import bridged, toy, until

pytestmark = pytest.mark.virtual_time


async def flow() -> None:
    """Offer a device, tell of it, and command it."""
    device = toy()
    async with bridged(device, settled_s=0.0) as house:
        await until(lambda: house.online == ["toy:P1"])
        device.tell_state("relay", True)
        await house.command("relay", "false")


async def test_it_may_be_cancelled_at_any_step():
    assert await cancel_sweep(flow, finish_within_s=10.0) > 5


@pytest.mark.timeout(300)
async def test_it_may_be_cancelled_in_the_middle_of_its_tasks(stride: int):
    assert (
        await cancel_sweep(flow, steps_of="all", finish_within_s=10.0, stride=stride)
        > 50
    )
