"""Events that nobody reads: who says most loses, and nobody else."""

from __future__ import annotations

import json
import uuid

import anyio
import pytest

from structiot import Environment
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    MessageReceived,
    open_manager,
)
from structiot.manager.wire.info import held_bytes
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID, dialled_in, info, known_device

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


async def test_who_babbles_costs_no_other_its_messages(environment):
    async with (
        open_manager(environment=environment) as manager,
        manager.events(max_items=100) as events,
        known_device(environment) as babbler,
    ):
        async with known_device(environment, info(OTHER)) as quiet:
            await quiet.send(b"said once")
            for number in range(500):
                await babbler.send(b"%d" % number)
                await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        assert len(events) <= 100
        assert events.dropped >= 400
        found = [events.receive_nowait() for _ in range(len(events))]
        of_other = [
            type(event)
            for event in found
            if not isinstance(event, ClientRefused) and event.client.uuid == OTHER
        ]
        assert of_other == [ClientConnected, MessageReceived, ClientDisconnected]
        told = [one.data for one in found if isinstance(one, MessageReceived)]
        # The newest of who says most stay, in their order.
        assert told[-1] == b"499"
        newest = [int(data) for data in told if data != b"said once"]
        assert newest == list(range(500 - len(newest), 500))


async def test_long_messages_are_bounded_by_their_bytes(environment):
    async with (
        open_manager(environment=environment) as manager,
        manager.events() as events,
        known_device(environment) as device,
    ):
        for _ in range(600):
            await device.send(bytes(65_536))
            await anyio.wait_all_tasks_blocked()
        waiting = [events.receive_nowait() for _ in range(len(events))]
        held = sum(len(one.data) for one in waiting if isinstance(one, MessageReceived))
        assert held <= 16_777_216
        assert isinstance(waiting[0], ClientConnected)
        assert waiting[0].client.uuid == UUID


async def test_who_is_refused_again_and_again_costs_no_device_anything(environment):
    async with (
        open_manager(environment=environment) as manager,
        manager.events(max_items=20) as events,
        known_device(environment) as device,
    ):
        await device.send(b"said once")
        for _ in range(50):
            async with dialled_in(environment) as nobody:
                await nobody.send(b"nobody##light##[]")
                await nobody.read_to_the_end()
        found = [events.receive_nowait() for _ in range(len(events))]
        assert [type(event) for event in found[:2]] == [
            ClientConnected,
            MessageReceived,
        ]
        assert {type(event) for event in found[2:]} == {ClientRefused}


async def test_who_comes_and_goes_costs_no_time_where_nobody_reads(
    environment, watched_loop
):
    """There is a little to lose in much that may not be lost."""
    async with (
        open_manager(dialect="D4", environment=environment) as manager,
        manager.events(max_items=2000) as events,
    ):
        for number in range(1001):
            told = info(str(uuid.UUID(int=number)))
            framed = len(told).to_bytes(2) + told
            async with known_device(environment, framed, b"\0\1\1"):
                pass
        framed = len(info()).to_bytes(2) + info()
        async with known_device(environment, framed, b"\0\1\1") as device:
            async with watched_loop(0.05):
                await device.send(b"\0\1x" * 5000)
                await anyio.sleep(1)
            assert manager.clients
        await anyio.sleep(1)
        assert len(events) <= 2000
        found = [events.receive_nowait() for _ in range(len(events))]
        assert isinstance(found[-1], ClientDisconnected)


async def test_what_those_who_are_gone_have_said_is_bounded_by_its_bytes(environment):
    """A key of three characters takes eight bytes to send, and eighty to hold."""
    data = json.dumps({f"{number:03x}": 1 for number in range(800)})
    async with (
        open_manager(environment=environment) as manager,
        manager.events() as events,
    ):
        for number in range(300):
            told = info(str(uuid.UUID(int=number)), data=data)
            async with known_device(environment, told):
                assert manager.clients
        await anyio.sleep(1)
        assert events.dropped > 0
        found = [events.receive_nowait() for _ in range(len(events))]
        gone = [one for one in found if isinstance(one, ClientDisconnected)]
        assert found[-1] is gone[-1]
        assert sum(held_bytes(one.client.data.data) for one in gone) < 20_000_000
        assert len(gone) > 100
