"""Broadcasts in a network in memory."""

from __future__ import annotations

import contextlib

import anyio
import pytest

from structiot._kit.net.memory import BROADCAST, MemoryNetwork
from structiot._kit.net.network import UdpSocket
from structiot.errors import TransportError

pytestmark = pytest.mark.virtual_time


async def test_a_broadcast_reaches_every_socket_on_that_port_and_no_other():
    network = MemoryNetwork()
    async with contextlib.AsyncExitStack() as stack:

        async def opened(host: str, port: int) -> UdpSocket:
            return await stack.enter_async_context(network.open_udp(host, port))

        strips = [await opened(f"127.0.0.{n}", 8888) for n in (2, 3)]
        other = await opened("127.0.0.2", 9999)
        asker = await stack.enter_async_context(
            network.open_udp("127.0.0.1", 8888, may_broadcast=True)
        )
        await asker.send(b"anyone?", BROADCAST, 8888)
        for udp in (*strips, asker):
            assert await udp.receive() == (b"anyone?", asker.address)
        with anyio.move_on_after(1) as scope:
            await other.receive()
        assert scope.cancelled_caught


async def test_a_subnets_broadcast_reaches_the_sockets_in_it_and_needs_leave():
    network = MemoryNetwork(subnets=["10.7.0.0/16"])
    async with (
        network.open_udp("10.7.3.1", 8888) as inside,
        network.open_udp("10.8.0.1", 8888) as outside,
        network.open_udp("printer", 8888) as named,
        network.open_udp("10.7.0.1", may_broadcast=True) as asker,
    ):
        await asker.send(b"anyone?", "10.7.255.255", 8888)
        assert await inside.receive() == (b"anyone?", asker.address)
        assert not outside.box
        assert not named.box
        with pytest.raises(TransportError, match="permission denied"):
            await inside.send(b"anyone?", "10.7.255.255", 8888)
