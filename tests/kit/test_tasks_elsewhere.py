"""A block that is entered in one task and left in another says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from structiot import Environment, UsageError, maxsmart_device, open_mqttclient
from structiot._kit.flow.tasks import service_group
from structiot.mqtt import open_broker
from structiot.sim import sim_maxsmart
from structiot.testing import MemoryNetwork

Open = Callable[..., AbstractAsyncContextManager[Any]]

OPENED: dict[str, Open] = {
    "service_group": lambda environment: service_group(),
    "client": lambda environment: open_mqttclient(
        "mqtt://127.0.0.1", environment=environment
    ),
    "device": lambda environment: maxsmart_device("127.0.0.2", environment=environment),
    "broker": lambda environment: open_broker(
        "mqtt://127.0.0.1:1884", environment=environment
    ),
    "simulator": lambda environment: sim_maxsmart("127.0.0.3", environment=environment),
}


@pytest.mark.parametrize("opened", OPENED.values(), ids=OPENED)
def test_start_and_stop_in_two_tasks_is_a_usage_error_and_ends_the_block(opened: Open):
    async def serve(environment: Environment, stop: asyncio.Event) -> None:
        async with (
            open_broker("mqtt://127.0.0.1", environment=environment),
            sim_maxsmart("127.0.0.2", environment=environment),
        ):
            await stop.wait()

    async def program() -> None:
        environment = Environment(network=MemoryNetwork())
        stop = asyncio.Event()
        peers = asyncio.create_task(serve(environment, stop))
        await anyio.wait_all_tasks_blocked()
        block = opened(environment=environment)
        # As a framework does that calls start() here and stop() there.
        await asyncio.create_task(block.__aenter__())
        with pytest.raises(UsageError, match="entered in one task and left in another"):
            await asyncio.create_task(block.__aexit__(None, None, None))
        stop.set()
        await peers
        await anyio.wait_all_tasks_blocked()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(program())


async def test_who_leaves_is_told_where_the_other_task_is_still_there():
    block, left = service_group(), anyio.Event()

    async def enter() -> None:
        await block.__aenter__()
        await left.wait()

    # The task that entered is cancelled in the middle of it; so the backends complain.
    with pytest.raises(BaseExceptionGroup):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UsageError, match="let one task hold the whole block"):
                await block.__aexit__(None, None, None)
            left.set()
