"""TCP: what the sockets and the network in memory both promise."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.net.network import LOST, Address, Network
from structiot.errors import ConnectFailed
from tests.kit.ends import Ends, served, unused_port

pytestmark = pytest.mark.e2e


async def test_bytes_arrive_in_both_directions(ends: Ends):
    async with ends() as (client, server):
        await client.send(b"ping")
        assert await server.receive() == b"ping"
        await server.send(b"pong")
        assert await client.receive() == b"pong"


async def test_receive_gives_no_more_than_asked_for(ends: Ends):
    async with ends() as (client, server):
        await client.send(b"abcdef")
        assert await server.receive(4) == b"abcd"
        assert await server.receive(4) == b"ef"


async def test_port_0_takes_a_free_one(any_network: Network):
    async with (
        any_network.listen_tcp("127.0.0.1", 0) as first,
        any_network.listen_tcp("127.0.0.1", 0) as second,
    ):
        assert first.address[0] == "127.0.0.1"
        assert 0 < first.address[1] < 65536
        assert first.address[1] != second.address[1]


async def test_the_ends_know_each_others_address(ends: Ends):
    async with ends() as (client, server):
        assert client.extra(SocketAttribute.remote_address) == server.extra(
            SocketAttribute.local_address
        )
        assert server.extra(SocketAttribute.remote_address) == client.extra(
            SocketAttribute.local_address
        )
        remote_port = client.extra(SocketAttribute.remote_port)
        assert remote_port == client.extra(SocketAttribute.remote_address)[1]


async def test_several_connections_are_served_at_once(any_network: Network):
    async with served(any_network) as server:
        clients = [await any_network.connect_tcp(*server.address) for _ in range(3)]
        for number, client in enumerate(clients):
            await client.send(b"%d" % number)
        seen = {await (await server.stream(n)).receive() for n in range(3)}
        assert seen == {b"0", b"1", b"2"}
        for client in clients:
            await client.aclose()


async def test_nobody_there_is_connect_failed_with_host_and_port(any_network: Network):
    port = await unused_port(any_network)
    with pytest.raises(ConnectFailed) as caught:
        await any_network.connect_tcp("127.0.0.1", port)
    error = caught.value
    assert str(error) == f"cannot connect to 127.0.0.1:{port}: connection refused"
    assert (error.host, error.port, error.attempts) == ("127.0.0.1", port, 1)


async def test_an_address_in_use_cannot_be_bound_twice(any_network: Network):
    async with any_network.listen_tcp("127.0.0.1", 0) as listener:
        port = listener.address[1]
        with pytest.raises(ConnectFailed) as caught:
            async with any_network.listen_tcp("127.0.0.1", port):
                pytest.fail("bound twice")
    message = f"cannot bind TCP 127.0.0.1:{port}: address already in use"
    assert str(caught.value) == message
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)


async def test_an_address_is_free_again_after_the_block(any_network: Network):
    port = await unused_port(any_network)
    async with any_network.listen_tcp("127.0.0.1", port) as listener:
        assert listener.address == ("127.0.0.1", port)


async def test_a_peer_that_closes_is_the_end_of_the_stream(ends: Ends):
    async with ends() as (client, server):
        await client.send(b"last words")
        await client.aclose()
        assert await server.receive() == b"last words"
        with pytest.raises(anyio.EndOfStream):
            await server.receive()


async def test_a_peer_that_closes_wakes_the_one_who_waits(ends: Ends):
    async with ends() as (client, server):

        async def wait() -> None:
            with pytest.raises(anyio.EndOfStream):
                await server.receive()

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tg:
                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await client.aclose()


async def test_closing_on_this_side_wakes_the_one_who_waits(ends: Ends):
    async with ends() as (client, _):

        async def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await client.receive()

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tg:
                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await client.aclose()


async def test_closing_twice_is_silent_and_use_after_close_is_not(ends: Ends):
    async with ends() as (client, _):
        await client.aclose()
        await client.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await client.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await client.send(b"x")


async def test_send_eof_ends_one_direction_only(ends: Ends):
    async with ends() as (client, server):
        await client.send(b"question")
        await client.send_eof()
        assert await server.receive() == b"question"
        with pytest.raises(anyio.EndOfStream):
            await server.receive()
        await server.send(b"answer")
        assert await client.receive() == b"answer"


async def test_two_tasks_cannot_read_one_stream(ends: Ends):
    async with ends() as (client, server):
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await client.receive()
            await server.send(b"x")


async def test_a_peer_that_does_not_read_makes_the_sender_wait(ends: Ends):
    async with ends() as (client, server):
        chunk = bytes(1_000_000)
        sent = 0
        with anyio.move_on_after(0.2) as scope:
            for _ in range(100):
                await client.send(chunk)
                sent += len(chunk)
        assert scope.cancelled_caught, "100 MB fitted into the buffers"
        received = 0
        while received < sent:
            received += len(await server.receive())


async def test_a_client_that_does_not_read_makes_the_server_wait(ends: Ends):
    async with ends() as (client, server):
        with anyio.move_on_after(0.2) as scope:
            for _ in range(100):
                await server.send(bytes(1_000_000))
        assert scope.cancelled_caught, "100 MB fitted into the buffers"
        assert await client.receive(1) == b"\x00"


async def test_a_long_message_arrives_whole(ends: Ends):
    message = bytes(range(256)) * 20_000
    async with ends() as (client, server):

        async def send() -> None:
            await client.send(message)
            await client.send_eof()

        got = bytearray()
        async with anyio.create_task_group() as tg:
            tg.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            with contextlib.suppress(anyio.EndOfStream):
                while True:
                    got += await server.receive()
        assert got == message


async def test_a_send_to_a_peer_that_has_gone_fails_and_does_not_wait(
    ends: Ends,
):
    async with ends() as (client, server):
        await server.aclose()
        with pytest.raises(LOST), anyio.fail_after(5):
            for _ in range(100):
                await client.send(bytes(1_000_000))


async def test_what_a_handler_raises_ends_the_server_and_comes_out_as_it_is(
    any_network: Network,
):
    async def fail(stream: ByteStream) -> None:
        await anyio.aclose_forcefully(stream)
        raise ZeroDivisionError("handler")

    async def connect(address: Address) -> None:
        await (await any_network.connect_tcp(*address)).aclose()

    async with any_network.listen_tcp("127.0.0.1", 0) as listener:
        with pytest.raises(ZeroDivisionError, match="handler"):
            async with served_by_own_task(connect, listener.address):
                await listener.serve(fail)


@contextlib.asynccontextmanager
async def served_by_own_task(function, *args) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        tg = await stack.enter_async_context(anyio.create_task_group())
        tg.start_soon(function, *args)
        try:
            yield
        except ZeroDivisionError as exc:
            error = exc
        else:
            return
    raise error


async def test_cancelling_the_server_cancels_its_handlers(any_network: Network):
    async with served(any_network) as server:
        client = await any_network.connect_tcp(*server.address)
        await server.stream()
    with pytest.raises(LOST), anyio.fail_after(5):
        await client.receive()
    await client.aclose()


async def test_closing_a_listener_does_not_end_its_connections(any_network: Network):
    streams: list[ByteStream] = []
    accepted = anyio.Event()

    async def handle(stream: ByteStream) -> None:
        streams.append(stream)
        accepted.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tg:
        async with any_network.listen_tcp("127.0.0.1", 0) as listener:
            tg.start_soon(listener.serve, handle)
            client = await any_network.connect_tcp(*listener.address)
            await accepted.wait()
        await client.send(b"still here")
        assert await streams[0].receive() == b"still here"
        await client.aclose()
        await streams[0].aclose()
        tg.cancel_scope.cancel()


async def test_connections_nobody_has_accepted_are_reset_with_the_listener(
    any_network: Network,
):
    async with any_network.listen_tcp("127.0.0.1", 0) as listener:
        client = await any_network.connect_tcp(*listener.address)
    with pytest.raises(anyio.BrokenResourceError), anyio.fail_after(5):
        await client.receive()
    await client.aclose()


async def test_a_cancelled_connect_leaves_nothing_behind(any_network: Network):
    with anyio.CancelScope() as scope:
        scope.cancel()
        await any_network.connect_tcp("127.0.0.1", 9)
    assert scope.cancelled_caught
