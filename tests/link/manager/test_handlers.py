"""`manager.serve`: a handler for each device, whose faults cost that device alone."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.manager import ClientDisconnected, ManagerClient, open_manager
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID, info, known_device, the_client

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


async def echo(client: ManagerClient) -> None:
    await talk(client, b"> ")


async def talk(client: ManagerClient, before: bytes) -> None:
    async with client.messages() as messages:
        async for data in messages:
            if data == b"boom":
                raise LookupError("in the handler")
            await client.send(before + data)


async def test_an_error_ends_its_device_and_nobody_else(environment, caplog):
    async with (
        open_manager(environment=environment) as manager,
        anyio.create_task_group() as tasks,
        manager.events() as events,
    ):
        tasks.start_soon(manager.serve, echo)
        async with (
            known_device(environment) as bad,
            known_device(environment, info(OTHER)) as good,
        ):
            while len(manager.clients) < 2:  # noqa: ASYNC110 - virtual time
                await anyio.sleep(0.01)
            await bad.send(b"boom")
            assert await bad.read_to_the_end() == b"end\n"
            await good.send(b"x")
            await good.read(b"> x")
            gone = [one async for one in first_of(events, 4)][-1]
            assert isinstance(gone, ClientDisconnected)
            assert (gone.client.uuid, gone.reason) == (UUID, "its handler has failed")
        tasks.cancel_scope.cancel()
    assert "LookupError: in the handler" in caplog.text


async def test_a_device_that_comes_again_and_again_does_not_fill_the_log(
    environment, caplog
):
    async with (
        open_manager(environment=environment) as manager,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(manager.serve, echo)
        for _ in range(10):
            async with known_device(environment) as bad:
                while not manager.clients:  # noqa: ASYNC110 - virtual time
                    await anyio.sleep(0.01)
                await bad.send(b"boom")
                assert await bad.read_to_the_end() == b"end\n"
        tasks.cancel_scope.cancel()
    assert caplog.text.count("\nLookupError: in the handler") == 1


async def first_of(events, count):
    for _ in range(count):
        yield await anext(events)


async def test_a_handler_ends_with_its_connection_and_begins_anew(environment):
    told: list[str] = []

    async def wait(client: ManagerClient) -> None:
        told.append("begun")
        try:
            await anyio.sleep_forever()
        finally:
            told.append("ended")

    async with (
        open_manager(environment=environment) as manager,
        anyio.create_task_group() as tasks,
    ):
        async with known_device(environment):
            await the_client(manager)
            tasks.start_soon(manager.serve, wait)
            await anyio.wait_all_tasks_blocked()
            assert told == ["begun"]
            async with known_device(environment):
                await anyio.sleep(1)
                assert sorted(told) == ["begun", "begun", "ended"]
        await anyio.sleep(1)
        assert sorted(told) == ["begun"] * 2 + ["ended"] * 2
        async with known_device(environment):
            await the_client(manager)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
                assert sorted(told) == ["begun"] * 3 + ["ended"] * 3
                assert manager.clients


async def test_one_that_returns_leaves_its_device_connected(environment):
    called: list[str] = []

    async def look(client: ManagerClient) -> None:
        called.append(client.type)

    async with (
        open_manager(["light", "fan"], environment=environment) as manager,
        anyio.create_task_group() as tasks,
    ):
        with pytest.raises(UsageError, match="no type 'lamp' is taken"):
            await manager.serve(look, "lamp")
        tasks.start_soon(manager.serve, look, "fan")
        await anyio.wait_all_tasks_blocked()
        async with (
            known_device(environment, info(kind="fan")),
            known_device(environment, info(OTHER)),
        ):
            await anyio.sleep(1)
            assert called == ["fan"]
            assert len(manager.clients) == 2
        tasks.cancel_scope.cancel()


async def test_one_that_is_not_async_ends_the_call_and_no_device(environment, caplog):
    def handle(client: ManagerClient) -> None:
        """As callbacks of iot-manager are."""

    wrong: Any = handle
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment) as device,
    ):
        # At once, before it is called.
        with pytest.raises(UsageError, match="write async def handle"):
            await manager.serve(wrong)
        wrong = print
        with pytest.raises(UsageError, match="this one gives no awaitable"):
            await manager.serve(wrong)
        await anyio.sleep(1)
        assert manager.clients[UUID].is_connected
        assert caplog.text == ""
        # What gives something to await is async enough.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(manager.serve, lambda client: talk(client, b"> "))
            await anyio.sleep(1)
            await device.send(b"x")
            await device.read(b"> x")
            tasks.cancel_scope.cancel()


async def test_it_returns_when_the_manager_ends(environment):
    async with anyio.create_task_group() as tasks:
        async with (
            open_manager(environment=environment) as manager,
            known_device(environment),
        ):
            await the_client(manager)
            tasks.start_soon(manager.serve, echo)
            await anyio.wait_all_tasks_blocked()
