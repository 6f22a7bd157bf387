"""A hundred browsers at the page of a house of 300 devices; a third of them read nothing."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from structiot.dashboard.listener import Listener
from structiot.model import Sensor
from tests.dashboard.browser import Stream
from tests.dashboard.house import House, device, house
from tests.hostile.watching import resident_bytes

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]

DEVICES = 300
BROWSERS = 100
SENSOR = (Sensor(key="power", name="Power", unit="W", decimals=1),)
# What one browser may cost that reads nothing: what it is owed is the latest, once.
MOST_BYTES = 200_000


class Reader:
    """A browser that has read what it was told."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.shown: dict[str, object] = {}

    async def read(self) -> None:
        while True:
            event = await self.stream.event()
            if event.kind == "state":
                told: dict[str, Any] = event.data
                self.shown |= {key: one["value"] for key, one in told.items()}


async def all_there(home: House) -> None:
    while sum(one.is_available for one in home.gateway.devices.values()) < DEVICES:  # noqa: ASYNC110
        await anyio.sleep(0.1)


async def test_slow_browsers_among_a_hundred_cost_neither_others_nor_memory(
    environment,
):
    plugs = [device(f"plug_{number}", SENSOR) for number in range(DEVICES)]
    async with house(environment) as home, AsyncExitStack() as stack:
        for one in plugs:
            home.add(one)
        await all_there(home)
        streams = [
            await stack.enter_async_context(home.browser.stream("/events"))
            for _ in range(BROWSERS)
        ]
        readers = [Reader(one) for number, one in enumerate(streams) if number % 3 != 0]
        tasks = await stack.enter_async_context(anyio.create_task_group())
        for reader in readers:
            tasks.start_soon(reader.read)
        await anyio.sleep(2)
        before = resident_bytes()
        for number in range(1, 6):
            for one in plugs:
                one.tell_state("power", float(number))
            await anyio.sleep(1)
        grown = resident_bytes() - before
        for reader in readers:
            assert len(reader.shown) == DEVICES
            assert set(reader.shown.values()) == {5.0}
        assert grown < MOST_BYTES * (BROWSERS - len(readers))
        assert (await home.browser.get("/")).status == 200
        # Who reads nothing is let go; the others stay.
        for number in range(16):
            plugs[0].tell_state("power", float(100 + number))
            await anyio.sleep(5)
        assert {reader.shown["plug_0/power"] for reader in readers} == {115.0}
        gc.collect()
        kept = [one for one in gc.get_objects() if type(one) is Listener]
        assert len(kept) == len(readers)
        tasks.cancel_scope.cancel()
