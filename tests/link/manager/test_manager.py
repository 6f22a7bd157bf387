"""`open_manager` with the documented dialect: who comes, what is said, who goes."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.manager.errors import ConnectionEnd
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    ClientReplaced,
    MessageReceived,
)
from structiot.manager.limits import ManagerLimits
from structiot.manager.opening import open_manager
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import (
    UUID,
    data_of,
    dialled_in,
    info,
    known_device,
    the_client,
)

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


async def test_a_device_comes_says_something_and_goes(environment):
    async with (
        open_manager(["light"], environment=environment) as manager,
        manager.events() as events,
    ):
        assert (manager.host, manager.port) == ("127.0.0.1", 8595)
        async with known_device(environment, info(data='{"room": "hall"}')) as device:
            connected = await anext(events)
            assert isinstance(connected, ClientConnected)
            client = connected.client
            assert (client.uuid, client.type) == (UUID, "light")
            assert client.data.data == {"room": "hall"}
            assert client.address[0] == "127.0.0.1"
            assert manager.get_client_data() == [
                {"uuid": UUID, "type": "light", "data": {"room": "hall"}}
            ]
            await device.send(b"hello server")
            message = await anext(events)
            assert isinstance(message, MessageReceived)
            assert (message.client, message.data) == (client, b"hello server")
            report = await manager.send_string(UUID, "hello client")
            assert report
            assert report.delivered == (UUID,)
            await device.read(b"hello client")
        gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        assert gone.client is client
        assert not client.is_connected
        assert not manager.clients
        with pytest.raises(ConnectionEnd):
            await client.send(b"x")


async def test_leaving_says_goodbye(environment):
    async with open_manager(environment=environment) as manager:
        async with manager.events() as events:
            async with known_device(environment) as device:
                await the_client(manager)
                list(manager.goodbyes())
                assert await device.read_to_the_end() == b"end\n"
            assert [type(event) async for event in events] == [
                ClientConnected,
                ClientDisconnected,
            ]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (info(kind="toaster"), "its type 'toaster' is not taken"),
        (info(uuid="x" * 36), "no UUID"),
        (b"hello##world", None),
        (info(data="[1]"), "no object"),
        (info(data='{"a":' * 1300 + "1" + "}" * 1300), "nested too deeply"),
        (b"\xff\xfe##light##{}", "no text"),
        (b"x" * 9000, "more than 8192"),
        (None, "did not say who it is"),
    ],
)
async def test_who_is_not_taken_is_told_so_and_closed(environment, told, why):
    async with (
        open_manager(["light"], environment=environment) as manager,
        manager.events() as events,
        dialled_in(environment) as device,
    ):
        begun = anyio.current_time()
        await device.read(b"\x01")
        if told is not None:
            await device.send(told)
        assert await device.read_to_the_end() == b"end\n"
        refused = await anext(events)
        assert isinstance(refused, ClientRefused)
        assert (why or "say who it is in time, asked in D0") in refused.reason
        assert refused.address[0] == "127.0.0.1"
        assert anyio.current_time() - begun == pytest.approx(
            15 if why in {None, "did not say who it is"} else 0, abs=0.1
        )


async def test_a_byte_now_and_then_does_not_buy_more_time(environment):
    async with (
        open_manager(environment=environment),
        dialled_in(environment) as device,
    ):
        await device.read(b"\x01")
        begun = anyio.current_time()
        with pytest.raises((anyio.BrokenResourceError, anyio.ClosedResourceError)):
            for byte in info() * 10:
                await anyio.sleep(2)
                await device.send(bytes((byte,)))
        assert anyio.current_time() - begun < 20


async def test_a_newer_connection_replaces_the_older(environment):
    async with (
        open_manager(environment=environment) as manager,
        manager.events() as events,
        known_device(environment) as older,
        known_device(environment, info(data='{"n": 2}')),
    ):
        assert await older.read_to_the_end() == b"end\n"
        kinds: list[Any] = [await anext(events) for _ in range(4)]
        assert [type(event) for event in kinds] == [
            ClientConnected,
            ClientDisconnected,
            ClientReplaced,
            ClientConnected,
        ]
        assert kinds[1].reason == "replaced by a newer connection"
        assert kinds[2].former is kinds[0].client
        assert manager.clients[UUID] is kinds[3].client is kinds[2].client


async def test_two_devices_with_one_uuid_do_not_replace_each_other_for_ever(
    environment,
):
    async with (
        open_manager(
            limits=ManagerLimits(replacements=5), environment=environment
        ) as manager,
        manager.events() as events,
    ):
        async with anyio.create_task_group() as tg:

            async def come_again() -> None:
                async with known_device(environment) as device:
                    await device.read_to_the_end()

            for _ in range(10):
                tg.start_soon(come_again)
                await anyio.sleep(1)
            tg.cancel_scope.cancel()
        kinds = [type(event) for event in [await anext(events) for _ in range(18)]]
        assert kinds.count(ClientReplaced) == 5
        assert ClientRefused in kinds
        await anyio.sleep(61)
        async with known_device(environment):
            assert UUID in manager.clients


async def test_a_silent_device_is_ended_after_two_heartbeats_worth(environment):
    async with (
        open_manager(environment=environment, heartbeat_s=60) as manager,
        manager.events() as events,
        known_device(environment) as device,
    ):
        begun = anyio.current_time()
        await device.read(b"\x02")
        assert 54 <= anyio.current_time() - begun <= 66
        await device.send(b"beat")
        await device.read(b"\x02")
        asked = anyio.current_time()
        assert await device.read_to_the_end() == b"end\n"
        assert anyio.current_time() - asked == pytest.approx(15)
        assert isinstance(await anext(events), ClientConnected)
        gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        assert gone.reason == "it did not answer a heartbeat"
        assert manager.heartbeat_s == 60


async def test_who_dribbles_one_frame_without_end_is_ended(environment):
    told = info()
    hello = len(told).to_bytes(2) + told
    async with (
        open_manager(dialect="D4", environment=environment) as manager,
        known_device(environment, hello, b"\0\1\1") as device,
    ):
        await device.send(b"\xff\xff")
        for _ in range(60):
            with contextlib.suppress(anyio.BrokenResourceError):
                await device.send(b"x")
            await anyio.sleep(5)
        assert not manager.clients


async def test_heartbeats_never_mix_with_messages(environment):
    async with (
        open_manager(environment=environment, heartbeat_s=10) as manager,
        manager.events() as events,
        known_device(environment) as device,
    ):
        await device.read(b"\x02")
        await device.send(b"21.5 C")
        await anyio.sleep(1)
        await device.send(b"beat")
        await device.read(b"\x02")
        await device.send(b"be")
        await anyio.sleep(0.1)
        await device.send(b"at")
        await anyio.sleep(0.1)
        await device.send(b"last")
        await anext(events)
        assert [data_of(await anext(events)) for _ in range(2)] == [b"21.5 C", b"last"]
        assert UUID in manager.clients


async def test_the_rate_of_heartbeats_is_changed_while_it_runs(environment):
    async with (
        open_manager(environment=environment, heartbeat_s=3600) as manager,
        known_device(environment) as device,
    ):
        await anyio.sleep(100)
        manager.heartbeat_s = 30
        begun = anyio.current_time()
        await device.read(b"\x02")
        assert 27 <= anyio.current_time() - begun <= 33
        with pytest.raises(UsageError, match="more than 0"):
            manager.heartbeat_s = 0
