"""What the original does wrong (reference 6, by its numbers), and ours right."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import uuid

import anyio
import pytest
import trustme

from structiot import Environment
from structiot.errors import AuthRefused
from structiot.manager.device_client import open_manager_client
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    MessageReceived,
)
from structiot.manager.limits import ManagerLimits
from structiot.manager.opening import open_manager
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import (
    OTHER,
    UUID,
    Device,
    data_of,
    dialled_in,
    info,
    known_device,
)

in_virtual_time = pytest.mark.virtual_time


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Environment:
    is_virtual = request.node.get_closest_marker("virtual_time") is not None
    return Environment(network=MemoryNetwork()) if is_virtual else Environment()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


async def joins(manager, contexts, uuid: str = UUID, within_s: float = 5) -> None:
    """A good device dials in, by TLS, and is there within so long."""
    async with open_manager_client(
        "127.0.0.1", manager.port, uuid=uuid, type="light", ssl_context=contexts[1]
    ) as device:
        with anyio.fail_after(within_s):
            await device.wait_connected()
            while uuid not in manager.clients:  # noqa: ASYNC110 - real sockets
                await anyio.sleep(0.01)


async def test_1_who_is_silent_in_the_tls_handshake_holds_up_nobody(contexts):
    async with open_manager(port=0, ssl_context=contexts[0]) as manager:
        with socket.create_connection(("127.0.0.1", manager.port)):
            await joins(manager, contexts)


async def test_2_who_resets_in_the_tls_handshake_harms_nobody(contexts):
    async with open_manager(port=0, ssl_context=contexts[0]) as manager:
        for begin in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"):
            sock = socket.create_connection(("127.0.0.1", manager.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(begin)
            await anyio.sleep(0.05)
            sock.close()
        await joins(manager, contexts)


@in_virtual_time
async def test_3_the_unidentified_yield_to_newcomers(environment):
    limits = ManagerLimits(connections=50, unidentified=20)
    async with (
        open_manager(limits=limits, environment=environment) as manager,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(200):
            await stack.enter_async_context(dialled_in(environment))
        begun = anyio.current_time()
        async with known_device(environment):
            assert UUID in manager.clients
        assert anyio.current_time() - begun < 1


@in_virtual_time
async def test_5_a_device_that_has_hung_up_is_gone(environment):
    async with (
        open_manager(environment=environment) as manager,
        manager.events() as events,
    ):
        async with known_device(environment):
            pass
        await anyio.sleep(0.01)
        assert not manager.clients
        kinds = [type(await anext(events)) for _ in range(2)]
        assert kinds == [ClientConnected, ClientDisconnected]
        assert len(events) == 0


@in_virtual_time
@pytest.mark.parametrize("dialect", ["D1", "D4"])
async def test_6_and_7_data_while_a_heartbeat_is_under_way_are_data(
    environment, dialect
):
    is_framed = dialect == "D4"

    def framed(data: bytes) -> bytes:
        return len(data).to_bytes(2) + data if is_framed else data

    async with (
        open_manager(
            dialect=dialect, heartbeat_s=10, environment=environment
        ) as manager,
        manager.events() as events,
        known_device(
            environment, framed(info()), framed(b"\x01") if is_framed else b"\x01\xff"
        ) as device,
    ):
        for _ in range(5):
            await device.read(framed(b"\x02") if is_framed else b"\x02\xff")
            await device.send(framed(b"21.5"))
            await anyio.sleep(1)
            await device.send(framed(b"\x02" if is_framed else b"beat"))
        await anyio.sleep(1)
        await anext(events)
        assert [data_of(await anext(events)) for _ in range(5)] == [b"21.5"] * 5
        assert UUID in manager.clients


@in_virtual_time
async def test_8_a_failure_in_the_handling_of_one_ends_only_that(environment):
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment) as bad,
        known_device(environment, info(OTHER)) as good,
        anyio.create_task_group() as tg,
    ):
        await anyio.sleep(0.1)

        async def handle(uuid: str) -> None:
            client = manager.clients[uuid]
            try:
                async with client.messages() as messages:
                    async for data in messages:
                        await client.send(data.decode())
            except UnicodeDecodeError:
                await client.end("its messages make no sense")

        tg.start_soon(handle, UUID)
        tg.start_soon(handle, OTHER)
        await anyio.sleep(0.1)
        await bad.send(b"\xff")
        await good.send(b"fine")
        await good.read(b"fine")
        assert await bad.read_to_the_end() == b"end\n"
        assert list(manager.clients) == [OTHER]
        tg.cancel_scope.cancel()


@in_virtual_time
async def test_9_a_mute_device_delays_no_other(environment):
    async with (
        open_manager(heartbeat_s=10, environment=environment) as manager,
        manager.events() as events,
        known_device(environment),
        known_device(environment, info(OTHER)) as good,
    ):
        await anyio.sleep(12)
        begun = anyio.current_time()
        with anyio.move_on_after(9):
            await manager.clients[UUID].heartbeat()
        await good.send(b"hello")
        while not isinstance(event := await anext(events), MessageReceived):
            pass
        assert event.client.uuid == OTHER
        assert event.at_utc is not None
        assert anyio.current_time() - begun <= 9.1


@in_virtual_time
async def test_12_and_13_what_is_refused_reaches_nobody(environment, caplog):
    caplog.set_level("DEBUG")
    evil = f"{UUID[:-4]}\n\x1b[2J##light##{{}}".encode()
    async with (
        open_manager(["light"], environment=environment) as manager,
        manager.events() as events,
    ):
        for told in (evil, info(kind="nosuch"), info(uuid="../" * 12)):
            async with dialled_in(environment) as device:
                await device.send(told)
                await device.read_to_the_end()
            refused = await anext(events)
            assert isinstance(refused, ClientRefused)
            assert refused.reason.isprintable()
        assert not manager.clients
    assert all(record.getMessage().isprintable() for record in caplog.records)


@in_virtual_time
async def test_15_the_mute_one_is_ended_and_no_other_while_others_come_and_go(
    environment,
):
    async with (
        open_manager(heartbeat_s=10, environment=environment) as manager,
        known_device(environment) as mute,
        anyio.create_task_group() as tg,
    ):

        async def answer(uuid: str) -> None:
            async with known_device(environment, info(uuid)) as device:
                while True:
                    await device.read(b"\x02")
                    await device.send(b"beat")

        async def come_and_go() -> None:
            for number in range(100, 130):
                async with known_device(environment, info(f"{number:032x}")):
                    await anyio.sleep(0.5)

        good = [f"00000000-0000-0000-0000-{number:012x}" for number in range(20)]
        for uuid in good:
            tg.start_soon(answer, uuid)
        await mute.read(b"\x02")
        tg.start_soon(come_and_go)
        assert await mute.read_to_the_end() == b"end\n"
        await anyio.sleep(60)
        assert sorted(manager.clients) == good
        tg.cancel_scope.cancel()


@in_virtual_time
async def test_16_refused_connections_are_closed_at_once(environment):
    async with open_manager(environment=environment):
        async with dialled_in(environment) as device:
            begun = anyio.current_time()
            await device.send(b"nonsense##x##[]")
            await device.read_to_the_end()
            assert anyio.current_time() - begun < 1


async def test_18_nothing_is_done_while_nothing_happens():
    async with open_manager(port=0) as manager:
        async with open_manager_client(
            "127.0.0.1", manager.port, uuid=UUID, type="light"
        ) as device:
            await device.wait_connected()
            begun = time.process_time()
            await anyio.sleep(0.5)
            assert time.process_time() - begun < 0.1


@in_virtual_time
async def test_19_leaving_ends_everything_in_bounded_time(environment):
    async with contextlib.AsyncExitStack() as stack:
        manager = await stack.enter_async_context(open_manager(environment=environment))
        devices = [
            await stack.enter_async_context(dialled_in(environment)) for _ in range(3)
        ]
        await devices[0].send(info())
        await anyio.sleep(0.1)
        assert UUID in manager.clients
        begun = anyio.current_time()
        await stack.pop_all().aclose()
        assert anyio.current_time() - begun < 3


@in_virtual_time
@pytest.mark.thorough
async def test_leaving_a_manager_of_many_holds_nobody_up(environment, watched_loop):
    devices = []
    async with contextlib.AsyncExitStack() as stack:
        async with watched_loop(0.05):
            async with open_manager(dialect="D4", environment=environment) as manager:
                for number in range(3000):
                    told = info(str(uuid.UUID(int=number)))
                    framed = len(told).to_bytes(2) + told
                    dialled = known_device(environment, framed, b"\0\1\1")
                    devices.append(await stack.enter_async_context(dialled))
                assert len(manager.clients) == 3000
            assert not manager.clients
        for device in devices:
            await device.read_to_the_end()


async def test_20_all_of_a_large_message_is_sent():
    data = bytes(range(256)) * 8000
    async with (
        open_manager(port=0) as manager,
        await anyio.connect_tcp("127.0.0.1", manager.port) as stream,
        anyio.create_task_group() as tg,
    ):
        device = Device(stream)
        await device.read(b"\x01")
        await device.send(info())
        with anyio.fail_after(5):
            while not manager.clients:  # noqa: ASYNC110 - real sockets
                await anyio.sleep(0.01)
        tg.start_soon(manager.clients[UUID].send, data)
        await device.read(data)


async def test_devices_with_certificates_of_their_own(contexts):
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    serving.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(serving)
    bare = ssl.create_default_context()
    authority.configure_trust(bare)
    own = ssl.create_default_context()
    authority.configure_trust(own)
    authority.issue_cert("device-7").configure_cert(own)
    async with open_manager(port=0, ssl_context=serving) as manager:
        await joins(manager, (serving, own))
        async with manager.events() as events:
            with pytest.raises(AuthRefused, match="refuses our TLS certificate"):
                await joins(manager, (serving, bare))
            with anyio.fail_after(5):
                refused = await anext(events)
                while not isinstance(refused, ClientRefused):
                    refused = await anext(events)
            assert "did not return a certificate" in refused.reason
        await joins(manager, (serving, own))
