"""UDP: what the sockets and the network in memory both promise."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.net.datagrams import ask_by_udp
from structiot._kit.net.network import Network, UdpSocket, place
from structiot.errors import ConnectFailed, LinkLost, TransportError
from tests.kit.ends import udp_pair

pytestmark = pytest.mark.e2e

BROADCAST = "255.255.255.255"


async def test_a_datagram_arrives_with_its_sender(any_network: Network):
    async with udp_pair(any_network) as (one, other):
        await one.send(b"hello", *other.address)
        data, sender = await other.receive()
        assert (data, sender) == (b"hello", one.address)
        await other.send(b"", *sender)
        assert await one.receive() == (b"", other.address)


async def test_a_receiver_waits_for_its_datagram(any_network: Network):
    got: list[bytes] = []
    async with udp_pair(any_network) as (one, other):

        async def wait() -> None:
            got.append((await other.receive())[0])

        async with anyio.create_task_group() as tg:
            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await one.send(b"late", *other.address)
    assert got == [b"late"]


async def test_a_name_is_looked_up(any_network: Network):
    async with udp_pair(any_network) as (one, other):
        await one.send(b"hello", "localhost", other.address[1])
        assert (await other.receive())[0] == b"hello"


async def test_an_udp_socket_of_no_host_receives(any_network: Network):
    async with (
        any_network.open_udp() as any_host,
        any_network.open_udp("127.0.0.1") as one,
    ):
        await one.send(b"hello", "127.0.0.1", any_host.address[1])
        assert await any_host.receive() == (b"hello", one.address)


async def test_a_datagram_to_nobody_vanishes(any_network: Network):
    async with udp_pair(any_network) as (one, other):
        async with any_network.open_udp("127.0.0.1") as gone:
            nobody = gone.address
        await one.send(b"hello?", *nobody)
        await one.send(b"hello!", *other.address)
        assert (await other.receive())[0] == b"hello!"


async def test_a_udp_port_in_use_cannot_be_bound_twice(any_network: Network):
    async with any_network.open_udp("127.0.0.1") as udp:
        port = udp.address[1]
        with pytest.raises(ConnectFailed) as caught:
            async with any_network.open_udp("127.0.0.1", port):
                pytest.fail("bound twice")
    message = f"cannot bind UDP 127.0.0.1:{port}: address already in use"
    assert str(caught.value) == message
    async with any_network.open_udp("127.0.0.1", port) as again:
        assert again.address == ("127.0.0.1", port)


async def test_a_broadcast_needs_leave(any_network: Network):
    async with any_network.open_udp("127.0.0.1") as udp:
        with pytest.raises(TransportError) as caught:
            await udp.send(b"anyone?", BROADCAST, 8888)
    assert str(caught.value) == "cannot send to 255.255.255.255:8888: permission denied"


async def test_a_datagram_that_is_too_long_is_refused(any_network: Network):
    async with udp_pair(any_network) as (one, other):
        with pytest.raises(TransportError, match="message too long"):
            await one.send(bytes(65508), *other.address)
        await one.send(bytes(65507), *other.address)
        assert len((await other.receive())[0]) == 65507


async def test_leaving_the_block_wakes_the_one_who_waits(any_network: Network):
    errors: list[LinkLost] = []

    async def wait(udp: UdpSocket) -> None:
        with pytest.raises(LinkLost) as caught:
            await udp.receive()
        errors.append(caught.value)

    async with anyio.create_task_group() as tg:
        async with any_network.open_udp("127.0.0.1") as udp:
            tg.start_soon(wait, udp)
            await anyio.wait_all_tasks_blocked()
    assert str(errors[0]) == f"UDP socket {place(*udp.address)} was closed"
    assert errors[0].reason == "closed on this side"


async def test_a_closed_udp_socket_neither_sends_nor_receives(any_network: Network):
    async with any_network.open_udp("127.0.0.1") as udp:
        address = udp.address
    with pytest.raises(TransportError, match="closed on this side"):
        await udp.send(b"x", *address)
    with pytest.raises(LinkLost, match="was closed"):
        await udp.receive()


async def test_a_cancelled_receive_loses_no_datagram(any_network: Network):
    async with udp_pair(any_network) as (one, other):
        with anyio.move_on_after(0.01):
            await other.receive()
        await one.send(b"kept", *other.address)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await other.receive()
        assert (await other.receive())[0] == b"kept"


# ------------------------------------------------------------------------- questions


async def ask(network: Network, host: str, port: int) -> tuple[bytes | None, int]:
    """Ask until there is a good answer; give it, and how many were read."""
    read: list[bytes] = []

    def is_good(data: bytes) -> bytes | None:
        read.append(data)
        return data if data == b"good" else None

    found = await ask_by_udp(
        b"?", is_good, host, port, network, wait_s=0.5, again_s=0.2
    )
    return found, len(read)


async def test_whoever_answers_only_nonsense_is_not_listened_to_for_long(
    any_network: Network,
):
    async with any_network.open_udp("127.0.0.1") as udp:

        async def flood() -> None:
            _, peer = await udp.receive()
            while True:
                await udp.send(b"nonsense", *peer)

        async with anyio.create_task_group() as tg:
            tg.start_soon(flood)
            with anyio.fail_after(10):
                assert await ask(any_network, *udp.address) == (None, 64)
            tg.cancel_scope.cancel()


async def test_an_answer_from_another_port_than_was_asked_does_not_count(
    any_network: Network,
):
    async with udp_pair(any_network) as (asked, other):

        async def answer() -> None:
            _, peer = await asked.receive()
            for _ in range(100):
                await other.send(b"good", *peer)
            await asked.send(b"nonsense", *peer)
            await asked.send(b"good", *peer)

        async with anyio.create_task_group() as tg:
            tg.start_soon(answer)
            assert await ask(any_network, *asked.address) == (b"good", 2)
