"""A page that is cancelled anywhere leaves nothing behind."""

from __future__ import annotations

import pytest

from structiot import Environment
from structiot.testing import MemoryNetwork, cancel_sweep
from tests.dashboard.house import device, house

pytestmark = pytest.mark.virtual_time


async def flow() -> None:
    environment = Environment(network=MemoryNetwork("127.0.0.1"))
    desk = device("desk")
    async with house(environment, desk) as home:
        async with home.browser.stream() as stream:
            await stream.event()
            desk.tell_state("power", 1.0)
            await stream.of_kind("state")
            await home.browser.set("desk/relay", True)
            await home.browser.get("/")


async def test_a_page_cancelled_anywhere_leaves_nothing(stride: int):
    assert await cancel_sweep(flow, stride=stride) > 2


@pytest.mark.timeout(60)
async def test_a_page_cancelled_in_the_middle_of_its_tasks_leaves_nothing(stride: int):
    assert await cancel_sweep(flow, steps_of="all", stride=8 * stride) > 5
