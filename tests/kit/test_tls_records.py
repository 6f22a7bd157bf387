"""What goes through TLS in one piece, and what comes out of it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme
from anyio.abc import ByteStream

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.handshakes import Handshakes
from structiot._kit.net.memory import memory_pipe
from structiot._kit.net.network import LOST
from structiot._kit.net.pieces import send_pieces
from structiot._kit.net.record_stream import RecordStream, prompt
from structiot._kit.net.sockets import SocketStream
from structiot._kit.net.tls import client_context, server_context, start_tls


def sockets() -> tuple[ByteStream, ByteStream]:
    near, far = socket.socketpair()
    return SocketStream(near, ("near", 1)), SocketStream(far, ("far", 1))


def tcp() -> tuple[ByteStream, ByteStream]:
    near = socket.socket()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        near.connect(listening.getsockname())
        far, _ = listening.accept()
    return SocketStream(near, ("near", 1)), SocketStream(far, ("far", 1))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def both_ends(
    authority: trustme.CA,
    tmp_path,
    pipe: Callable[[], tuple[ByteStream, ByteStream]] = memory_pipe,
) -> AsyncGenerator[tuple[RecordStream, RecordStream]]:
    file = tmp_path / "both.pem"
    authority.issue_cert("broker").private_key_and_cert_chain_pem.write_to_path(file)
    near, far = pipe()
    servers: list[RecordStream] = []
    is_there = anyio.Event()

    async def shake_hands() -> None:
        context = server_context(certfile=file)
        made = await Handshakes().wrap(far, context, "somewhere")
        assert isinstance(made, RecordStream)
        servers.append(made)
        is_there.set()

    trusting = client_context(cadata=authority.cert_pem.bytes().decode())
    async with service_group() as tg:
        tg.start_soon(shake_hands)
        client = await start_tls(near, trusting, host="broker", port=1)
        assert isinstance(client, RecordStream)
        await is_there.wait()
        yield client, servers[0]
        for end in (client, servers[0]):
            await anyio.aclose_forcefully(end)


@pytest.mark.virtual_time
async def test_many_short_records_are_received_at_once(authority, tmp_path):
    async with both_ends(authority, tmp_path) as (client, server):
        for n in range(100):
            await server.send(b"%02d" % n)
        assert await client.receive() == b"".join(b"%02d" % n for n in range(100))


@pytest.mark.virtual_time
async def test_no_more_is_received_than_was_asked_for(authority, tmp_path):
    async with both_ends(authority, tmp_path) as (client, server):
        for n in range(10):
            await server.send(b"%02d" % n)
        assert await client.receive(3) == b"000"
        assert await client.receive(5) == b"10203"
        assert await client.receive() == b"040506070809"


@pytest.mark.virtual_time
@pytest.mark.parametrize("sizes", [[40, 600_000, 40], [40, 5_000] * 100, [1]])
async def test_pieces_arrive_in_order(authority, tmp_path, sizes: list[int]):
    pieces: list[bytes | bytearray | memoryview] = [
        bytes((n % 251,)) * size for n, size in enumerate(sizes)
    ]
    wanted, got = b"".join(pieces), bytearray()
    async with both_ends(authority, tmp_path) as (client, server):
        async with anyio.create_task_group() as tg:
            tg.start_soon(send_pieces, client, pieces)
            while len(got) < len(wanted):
                got += await server.receive()
    assert got == wanted


async def test_what_is_written_at_once_arrives_though_the_system_took_a_part(
    authority, tmp_path
):
    pieces: list[bytes | bytearray | memoryview] = [b"head", bytes(range(256)) * 40_000]
    size, got = sum(map(len, pieces)), bytearray()
    async with both_ends(authority, tmp_path, sockets) as (client, server):
        writer = prompt(client)
        assert writer is client
        taken = client.send_some_now(pieces)
        while client.send_some_now([b"".join(pieces)[taken : taken + 1]]):
            taken += 1
        assert 4 < taken < size
        was_behind = client.is_behind
        async with anyio.create_task_group() as tg:
            # Nothing: what has been encrypted goes, and no record of nothing.
            tg.start_soon(client.send, b"")
            while len(got) < taken:
                got += await server.receive()
        assert was_behind
        assert not client.is_behind
        await client.send(b"tail")
        assert await server.receive() == b"tail"
    assert got == b"".join(pieces)[:taken]


async def test_only_what_goes_to_a_socket_is_written_at_once(authority, tmp_path):
    near, _ = memory_pipe()
    assert prompt(near) is None
    async with both_ends(authority, tmp_path) as (client, _):
        assert prompt(client) is None


async def test_take_now_gives_what_is_there_and_never_waits(authority, tmp_path):
    async with both_ends(authority, tmp_path, sockets) as (client, server):
        assert client.take_now(10) == b""
        await server.send(b"0123456789ab")
        assert client.take_now(10) == b"0123456789"
        await server.send(bytes(100_000))
        assert client.take_now(200_000) == b"ab" + bytes(100_000)
        space = memoryview(bytearray(20))
        await server.send(b"to where it belongs")
        assert client.receive_now(space) == 19
        assert bytes(space[:19]) == b"to where it belongs"
        assert client.receive_now(space) == 0


async def test_what_comes_before_the_end_is_given_and_then_the_end(authority, tmp_path):
    async with both_ends(authority, tmp_path, sockets) as (client, server):
        await server.send(b"last words")
        await anyio.aclose_forcefully(server)
        assert client.take_now(100) == b"last words"
        assert client.take_now(100) == b""
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await client.receive()


@pytest.mark.parametrize("last", [b"\x17\x03\x03\x00\x05wrong", b"no record"])
async def test_what_is_no_tls_behind_something_that_can_be_read_is_told_then(
    authority, tmp_path, last: bytes
):
    async with both_ends(authority, tmp_path, sockets) as (client, server):
        await server.send(b"well")
        await server.transport_stream.send(last)
        assert client.take_now(100) == b"well"
        assert client.take_now(100) == b""
        with pytest.raises((ssl.SSLError, anyio.BrokenResourceError)):
            await client.receive()


async def test_nothing_is_taken_of_a_stream_that_would_have_to_be_awaited(
    authority, tmp_path
):
    async with both_ends(authority, tmp_path) as (client, server):
        await server.send(b"later")
        assert client.take_now(10) == b""
        assert await client.receive() == b"later"


async def test_others_have_a_turn_though_there_are_many_short_records(
    authority, tmp_path
):
    count = 8_000
    async with both_ends(authority, tmp_path, tcp) as (client, server):
        sent = sum(client.send_now(b"x") for _ in range(count))
        assert sent == count
        assert not client.is_behind
        taken = len(await server.receive(1))
        while step := len(server.take_now(count)):
            taken += step
        assert 1 < taken < count - 1_000
        with anyio.CancelScope() as scope:
            scope.cancel()
            taken += len(await server.receive(1))
        assert scope.cancelled_caught  # it let others run
        while taken < count:
            taken += len(server.take_now(count) or await server.receive())
        assert taken == count


async def test_others_have_a_turn_though_there_is_always_more(authority, tmp_path):
    size = 4_000_000
    async with both_ends(authority, tmp_path, tcp) as (client, server):
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.send, bytes(size))
            taken = len(await server.receive(1))
            for _ in range(1_000):
                # The writer runs while nothing is taken, and the buffers get full.
                await anyio.lowlevel.checkpoint()
                if not (step := len(server.take_now(size))):
                    break
                taken += step
            assert 1 < taken < size - 1_000_000
            with anyio.CancelScope() as scope:
                scope.cancel()
                taken += len(await server.receive(1))
            assert scope.cancelled_caught
            while taken < size:
                taken += len(server.take_now(size) or await server.receive())
        assert taken == size


async def test_no_view_is_left_of_where_broken_records_were_to_go(authority, tmp_path):
    async with both_ends(authority, tmp_path, sockets) as (client, server):
        buffer = bytearray(100)
        await client.send(b"0123456789")
        await client.transport_stream.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        with memoryview(buffer) as space:
            with space[:10] as first:
                assert await server.receive_into(first) == 10
            with space[10:] as rest:
                assert server.receive_now(rest) == 0
        # Impossible while a view of it is somewhere.
        buffer.clear()
        for _ in range(2):
            with pytest.raises(LOST):
                await server.receive()


async def test_what_was_said_before_a_write_failed_is_read(authority, tmp_path):
    async with both_ends(authority, tmp_path, sockets) as (client, server):
        await server.send(b"last words")
        await server.aclose()
        with pytest.raises(LOST):
            await client.send(b"nobody reads this")
        assert await client.receive() == b"last words"
        with pytest.raises(LOST):
            await client.receive()
