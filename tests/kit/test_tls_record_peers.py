"""What a stream through TLS makes of a peer that says much of TLS itself."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme

from structiot._kit.net.handshakes import Handshakes
from structiot._kit.net.network import LOST
from structiot._kit.net.record_stream import RecordStream
from structiot._kit.net.sockets import SocketStream
from tests._support.tls_peer import TlsPeer

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def server_and_peer(
    authority: trustme.CA,
) -> AsyncGenerator[tuple[RecordStream, TlsPeer, SocketStream]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    near, far = socket.socketpair()
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    peer, below = TlsPeer(trusting, HOST), SocketStream(near, ("near", 1))
    servers: list[RecordStream] = []

    async def shake_hands() -> None:
        accepted = SocketStream(far, ("far", 1))
        made = await Handshakes().wrap(accepted, context, "somewhere")
        assert isinstance(made, RecordStream)
        servers.append(made)

    async with anyio.create_task_group() as tg:
        tg.start_soon(shake_hands)
        await peer.shake_hands(below)
    try:
        yield servers[0], peer, below
    finally:
        for stream in (servers[0], below):
            await anyio.aclose_forcefully(stream)


async def test_a_cancelled_wait_loses_nothing_though_there_is_something_to_answer(
    authority: trustme.CA,
):
    async with server_and_peer(authority) as (server, peer, _):
        got = b""
        for _ in range(2):
            # OpenSSL answers the first of them when it sees the second.
            data = peer.records_of(b"before") + peer.new_keys(2)
            await peer.send(data + peer.records_of(b"behind"))
            got += await server.receive(1)
            while len(got) % 12:
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    got += await server.receive(5)
                if scope.cancelled_caught:
                    got += await server.receive(1)
        assert got == b"beforebehind" * 2
        # Nor is anything wrong with what is sent.
        await server.send(b"answer")
        assert await peer.receive() == b"answer"


async def test_the_last_words_of_who_takes_no_answer_any_more_are_read(
    authority: trustme.CA,
):
    async with server_and_peer(authority) as (server, peer, below):
        await peer.send(peer.new_keys(2) + peer.records_of(b"last words"))
        await below.aclose()
        assert await server.receive() == b"last words"
        with pytest.raises(LOST):
            await server.receive()
        with pytest.raises(LOST):
            await server.send(b"nobody reads this")


async def test_others_have_a_turn_though_there_is_as_much_data_as_new_keys(
    authority: trustme.CA,
):
    async with server_and_peer(authority) as (server, peer, _):
        part = bytes(2_700)
        flood = b"".join(peer.new_keys(100) + peer.records_of(part) for _ in range(50))
        async with anyio.create_task_group() as tg:
            tg.start_soon(peer.send, flood)
            taken, size = len(await server.receive(1)), 50 * len(part)
            while step := len(server.take_now(size)):
                taken += step
            assert 1 < taken < size // 2
            with anyio.CancelScope() as scope:
                scope.cancel()
                taken += len(await server.receive(1))
            assert scope.cancelled_caught  # it let others run
            while taken < size:
                taken += len(server.take_now(size) or await server.receive())
        assert taken == size
