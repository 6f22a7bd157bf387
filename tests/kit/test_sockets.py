"""Accepted sockets: what the system may do to them beyond what loopback does."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import SocketAttribute

from structiot._kit.net.connecting import connect, family_of
from structiot._kit.net.network import REAL_NETWORK
from structiot._kit.net.sockets import SocketStream, accept
from tests.kit.ends import connected

pytestmark = pytest.mark.e2e

PEER = ("198.51.100.7", 4711)


class Hesitant(socket.socket):
    """Says that it would block although it was said to be ready."""

    refusals = 2

    def recv(self, *args) -> bytes:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError(errno.EAGAIN, "not yet")
        return super().recv(*args)

    def accept(self):
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError(errno.EAGAIN, "gone again")
        return super().accept()


@contextlib.asynccontextmanager
async def listening(kind: type[socket.socket]) -> AsyncIterator[socket.socket]:
    with kind(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        one.settimeout(0)
        yield one


async def test_a_receiver_that_was_woken_for_nothing_waits_on():
    near, far = socket.socketpair()
    with near, Hesitant(fileno=far.detach()) as hesitant:
        stream = SocketStream(hesitant, PEER)
        near.send(b"at last")
        with anyio.fail_after(5):
            assert await stream.receive() == b"at last"
        assert hesitant.refusals == 0


async def test_a_listener_that_was_woken_for_nothing_waits_on():
    async with listening(Hesitant) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            with anyio.fail_after(5):
                stream = await accept(listener)
            assert stream.extra(SocketAttribute.remote_address) == client.getsockname()
            await stream.aclose()


class Strange(socket.socket):
    """Hands out connections that take no option, as of peers that have gone."""

    accepted: socket.socket

    def accept(self):
        accepted, peer = super().accept()
        Strange.accepted = Deaf(fileno=accepted.detach())
        return Strange.accepted, peer


class Deaf(socket.socket):
    def setsockopt(self, *args) -> None:
        raise OSError(errno.EINVAL, "no more")


async def test_a_connection_that_takes_no_options_is_closed():
    async with listening(Strange) as listener:
        with socket.create_connection(listener.getsockname()):
            with pytest.raises(OSError, match="no more"), anyio.fail_after(5):
                await accept(listener)
        assert Strange.accepted.fileno() == -1


async def test_a_reset_wakes_the_one_who_waits():
    async with connected(REAL_NETWORK, is_swapped=True) as (accepted, client):

        async def wait() -> None:
            with pytest.raises(anyio.BrokenResourceError):
                await accepted.receive()

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tg:
                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                raw = client.extra(SocketAttribute.raw_socket)
                linger = struct.pack("ii", 1, 0)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await anyio.aclose_forcefully(client)


async def test_send_now_gives_what_the_system_took_at_once():
    near, far = socket.socketpair()
    with near:
        stream = SocketStream(far, PEER)
        taken = 0
        while step := stream.send_now(bytes(100_000)):
            taken += step
        assert taken > 0
        assert stream.send_now(b"x") == 0, "it never waits"
        near.settimeout(5)
        received = 0
        while received < taken:
            received += len(near.recv(1_000_000))
        assert stream.send_now(b"x") == 1
        await stream.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            stream.send_now(b"x")


async def test_a_vanished_peer_is_probed_for():
    async with connected(REAL_NETWORK) as (_, accepted):
        raw = accepted.extra(SocketAttribute.raw_socket)
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


async def test_a_system_without_an_option_does_without(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    async with connected(REAL_NETWORK) as (client, accepted):
        await client.send(b"all the same")
        assert await accepted.receive() == b"all the same"


async def test_the_address_of_a_peer_that_has_gone_is_still_known():
    async with connected(REAL_NETWORK) as (client, accepted):
        address = client.extra(SocketAttribute.local_address)
        await client.aclose()
        with pytest.raises(anyio.EndOfStream):
            await accepted.receive()
        assert accepted.extra(SocketAttribute.remote_address) == address
        assert accepted.extra(SocketAttribute.remote_port) == address[1]
        assert accepted.extra(SocketAttribute.local_port) > 0
        assert accepted.extra(SocketAttribute.family) == socket.AF_INET


async def test_nobody_is_accepted_by_a_socket_that_was_closed_before():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
    with pytest.raises(anyio.ClosedResourceError):
        await accept(listener)


def test_the_family_of_an_address_is_known_and_that_of_a_name_is_not():
    assert family_of("127.0.0.1") is socket.AF_INET
    assert family_of("::1") is socket.AF_INET6
    assert [family_of(host) for host in ("localhost", "", "fe80::1%eth0", "1")] == (
        [None] * 4
    )


async def test_a_connection_that_is_made_in_no_time_can_be_given_up():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        host, port = full.getsockname()
        streams = []
        with anyio.move_on_after(0.5) as patience:
            while True:
                streams.append(await connect((host, port), socket.AF_INET))
        assert patience.cancelled_caught
        assert 0 < len(streams) < 5
        for stream in streams:
            await stream.aclose()


async def test_a_refusal_says_what_the_system_says():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        host, port = bound.getsockname()
        with pytest.raises(ConnectionRefusedError) as caught:
            await connect((host, port), socket.AF_INET)
    assert caught.value.errno == errno.ECONNREFUSED


async def test_take_now_gives_what_is_there_and_never_waits():
    near, far = socket.socketpair()
    stream = SocketStream(far, PEER)
    with near:
        assert stream.take_now(10) == b""
        near.sendall(b"0123456789ab")
        assert stream.take_now(10) == b"0123456789"
        assert await stream.receive() == b"ab"
        # What came for a wait that was cancelled comes first.
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tg:
                tg.start_soon(stream.receive)
                await anyio.wait_all_tasks_blocked()
                near.sendall(b"first")
                scope.cancel()
        near.sendall(b"second")
        taken = b""
        while step := stream.take_now(3):
            taken += step
        assert taken == b"firstsecond"
    with pytest.raises(anyio.EndOfStream):
        stream.take_now(10)
    await stream.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        stream.take_now(10)
