"""Tests stay on this machine."""

from __future__ import annotations

import socket

import anyio
import pytest

from tests._support.network_guard import OutsideNetwork


# Not marked e2e: uvloop connects without telling Python's audit hooks.
async def test_a_connection_to_another_machine_is_refused():
    with pytest.RaisesGroup(pytest.RaisesExc(OutsideNetwork, match=r"192\.0\.2\.1")):
        await anyio.connect_tcp("192.0.2.1", 80)


def test_a_datagram_to_another_machine_is_refused():
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sender,
        pytest.raises(OutsideNetwork),
    ):
        sender.sendto(b"hello", ("192.0.2.1", 9))


def test_a_name_of_another_machine_does_not_resolve():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.org", 80)


async def test_loopback_is_reached_by_address_and_by_name():
    async def greet(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(b"hello")

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, greet)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        for host in ("127.0.0.1", "localhost"):
            async with await anyio.connect_tcp(host, port) as stream:
                assert await stream.receive() == b"hello"
        tasks.cancel_scope.cancel()
