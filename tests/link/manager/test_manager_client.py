"""`open_manager_client` with our own server, in each dialect."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.errors import AuthRefused, ConfigError, UsageError
from structiot.manager.device_client import ManagedDevice, open_manager_client
from structiot.manager.errors import ConnectionEnd
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    MessageReceived,
)
from structiot.manager.opening import open_manager
from structiot.manager.wire.dialects import Dialect
from structiot.sim import fault_proxy
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


def device_of(environment, **arguments):
    given = {
        "host": "127.0.0.1",
        "uuid": UUID,
        "type": "light",
        "environment": environment,
    }
    return open_manager_client(**{**given, **arguments})


async def connected(device: ManagedDevice) -> None:
    with anyio.fail_after(120):
        await device.wait_connected()
    # Without an acknowledgement the device is a moment ahead of the manager.
    await anyio.sleep(0.01)


async def next_of(events, kind, within_s: float = 600):
    with anyio.fail_after(within_s):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("is_detected", [True, False])
async def test_messages_go_both_ways(environment, dialect, is_detected):
    given = {} if is_detected or dialect == "D2" else {"dialect": dialect}
    if dialect == "D2":
        given = {"dialect": dialect}
    async with (
        open_manager(dialect=dialect, environment=environment) as manager,
        manager.events() as events,
        device_of(environment, data={"room": "hall"}, **given) as device,
    ):
        await connected(device)
        assert device.dialect == dialect
        client = (await next_of(events, ClientConnected)).client
        assert client.data.data == {"room": "hall"}
        await device.send("hello server")
        assert (await next_of(events, MessageReceived)).data == b"hello server"
        await client.send("hello client")
        assert await anext(aiter(device)) == b"hello client"
        device.describe({"room": "attic"})
        assert (await client.refresh_info()).data == {"room": "attic"}
        assert await client.heartbeat() >= 0
        await anyio.sleep(600)
        assert client.is_connected


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_a_device_comes_again_when_the_manager_does(environment, dialect):
    async with device_of(environment, dialect=dialect) as device:
        await anyio.sleep(100)
        assert not device.is_connected
        async with open_manager(dialect=dialect, environment=environment) as manager:
            await connected(device)
            assert list(manager.clients) == [UUID]
        await anyio.sleep(1)
        assert not device.is_connected
        async with open_manager(dialect=dialect, environment=environment) as manager:
            begun = anyio.current_time()
            await connected(device)
            # It was seen off; so it may not hurry.
            assert anyio.current_time() - begun >= 20
            await manager.send_all("on")
            assert await anext(aiter(device)) == b"on"


async def test_a_manager_that_falls_silent_is_left(environment):
    async with (
        open_manager(heartbeat_s=1000, environment=environment) as manager,
        manager.events() as events,
        device_of(environment, heartbeat_s=10) as device,
    ):
        await connected(device)
        begun = anyio.current_time()
        await next_of(events, ClientDisconnected)
        assert anyio.current_time() - begun == pytest.approx(35, abs=1)
        await connected(device)


async def test_secrets_are_proven_on_both_sides(environment):
    secrets = {UUID: "open sesame"}
    async with (
        open_manager(
            dialect="structiot", secrets=secrets, environment=environment
        ) as manager,
        manager.events() as events,
    ):
        async with device_of(environment, secret="open sesame") as device:
            await connected(device)
            assert list(manager.clients) == [UUID]
        for uuid, secret in ((UUID, "guessed"), (OTHER, "open sesame")):
            with pytest.raises(AuthRefused, match="it has not proven"):
                async with device_of(environment, uuid=uuid, secret=secret) as device:
                    await connected(device)
            refused = await next_of(events, ClientRefused)
            assert "has not proven" in refused.reason


async def test_a_server_without_the_secret_gets_nothing(environment):
    async with (
        open_manager(dialect="structiot", environment=environment) as manager,
        manager.events() as events,
    ):
        with pytest.raises(AuthRefused, match="has not proven that it knows"):
            async with device_of(environment, secret="open sesame") as device:
                await connected(device)
        await next_of(events, ClientDisconnected)


async def test_what_was_not_acknowledged_is_sent_again_and_taken_once(environment):
    async with (
        open_manager(dialect="structiot", environment=environment) as manager,
        manager.events() as events,
        fault_proxy("127.0.0.1", 8595, environment=environment) as proxy,
        device_of(
            environment,
            dialect="structiot",
            host=proxy.address[0],
            port=proxy.address[1],
        ) as device,
        anyio.create_task_group() as tg,
    ):
        await connected(device)
        sent = []

        async def send(number: int) -> None:
            await device.send(f"{number}")
            sent.append(number)

        for number in range(20):
            tg.start_soon(send, number)
            if number % 5 == 4:
                proxy.cut()
            await anyio.sleep(1)
        await anyio.sleep(300)
        assert sorted(sent) == list(range(20))
        messages = [await next_of(events, MessageReceived) for _ in sent]
        found = [int(message.data) for message in messages]
        assert len(events) == 0
        assert sorted(found) == list(range(20))


async def test_what_cannot_be(environment):
    with pytest.raises(ConfigError, match="no dialect 'D9'"):
        async with device_of(environment, dialect="D9"):
            pass
    with pytest.raises(UsageError, match="no UUID"):
        async with device_of(environment, uuid="7"):
            pass
    with pytest.raises(UsageError, match="no type may have"):
        async with device_of(environment, type="a##b"):
            pass
    async with device_of(environment) as device:
        pass
    with pytest.raises(UsageError, match="has ended"):
        await device.send("x")
    assert [data async for data in device] == []


async def test_a_send_that_loses_its_connection_says_so(environment):
    async with (
        open_manager(environment=environment) as manager,
        device_of(environment) as device,
    ):
        await connected(device)
        await manager.clients[UUID].end("enough")
        await anyio.sleep(1)
        with anyio.move_on_after(5) as patience:
            await device.send("x")
        assert patience.cancelled_caught
        with pytest.raises(ConnectionEnd, match="not connected"):
            raise (await manager.send(UUID, "x")).failed[UUID]
