"""What only the network in memory does; what both do is in test_network.py."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.net.memory import (
    MemoryNetwork,
    MemoryStream,
    memory_pipe,
)
from structiot._kit.net.network import StreamAttribute
from structiot.errors import ConnectFailed
from structiot.testing import cancel_sweep

pytestmark = pytest.mark.virtual_time


@contextlib.asynccontextmanager
async def waiting(function, *args) -> AsyncIterator[anyio.Event]:
    """Start a call that is expected to wait, and check that it ends with the block."""
    is_over = anyio.Event()

    async def run() -> None:
        await function(*args)
        is_over.set()

    async with anyio.create_task_group() as tg:
        tg.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        assert not is_over.is_set(), "it should wait"
        yield is_over
        with anyio.fail_after(1):
            await is_over.wait()


async def test_a_full_buffer_makes_the_sender_wait_until_the_peer_reads():
    near, far = memory_pipe(buffer_bytes=4)
    async with waiting(near.send, b"abcdefgh") as is_over:
        assert await far.receive() == b"abcd"
        await anyio.wait_all_tasks_blocked()
        assert is_over.is_set()
    assert await far.receive() == b"efgh"


async def test_a_cancelled_send_has_sent_a_part():
    near, far = memory_pipe(buffer_bytes=4)
    with anyio.move_on_after(1):
        await near.send(b"abcdefgh")
    await near.aclose()
    assert await far.receive() == b"abcd"
    with pytest.raises(anyio.EndOfStream):
        await far.receive()


async def test_a_cancelled_receive_loses_nothing():
    near, far = memory_pipe()
    with anyio.CancelScope() as scope:
        await near.send(b"kept")
        scope.cancel()
        await far.receive()
    assert scope.cancelled_caught
    assert await far.receive() == b"kept"


async def test_sending_nothing_sends_nothing():
    near, far = memory_pipe()
    await near.send(b"")
    await near.aclose()
    with pytest.raises(anyio.EndOfStream):
        await far.receive()


async def test_closing_this_side_wakes_a_sender_that_waits():
    near, _ = memory_pipe(buffer_bytes=1)

    async def send() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await near.send(b"too much")

    async with waiting(send):
        await near.aclose()


async def test_closing_the_other_side_wakes_a_sender_that_waits():
    near, far = memory_pipe(buffer_bytes=1)

    async def send() -> None:
        with pytest.raises(anyio.BrokenResourceError):
            await near.send(b"too much")

    async with waiting(send):
        await far.aclose()


async def test_a_reset_wakes_both_sides_and_loses_what_is_under_way():
    near, far = memory_pipe(buffer_bytes=4)
    await near.send(b"lost")

    async def receive() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await near.receive()

    async def send() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await near.send(b"more")

    async with waiting(receive), waiting(send):
        near.reset()
    with pytest.raises(anyio.BrokenResourceError):
        await far.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await far.send(b"x")


async def test_two_tasks_cannot_write_one_stream():
    near, far = memory_pipe(buffer_bytes=1)
    async with waiting(near.send, b"ab"):
        with pytest.raises(anyio.BusyResourceError):
            await near.send(b"c")
        with pytest.raises(anyio.BusyResourceError):
            await near.send_eof()
        await far.receive()


async def test_after_the_end_of_one_direction_nothing_more_can_be_sent():
    near, _ = memory_pipe()
    await near.send_eof()
    with pytest.raises(anyio.BrokenResourceError):
        await near.send(b"x")
    await near.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        await near.send_eof()


async def test_closing_in_a_cancelled_scope_closes_all_the_same():
    near, far = memory_pipe()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await near.aclose()
    with pytest.raises(anyio.EndOfStream):
        await far.receive()


async def test_a_stream_tells_whether_input_waits():
    near, far = memory_pipe()

    def has_input() -> bool:
        return far.extra(StreamAttribute.has_input)

    assert not has_input()
    await near.send(b"x")
    assert has_input()
    await far.receive()
    assert not has_input()
    await near.aclose()
    assert has_input(), "the end is input, too"
    assert near.extra(StreamAttribute.has_input), "so is being closed"


async def test_the_ends_of_a_pipe_have_the_addresses_they_are_given():
    near, far = memory_pipe(("a", 1), ("b", 2))
    assert near.extra(SocketAttribute.local_address) == ("a", 1)
    assert near.extra(SocketAttribute.remote_address) == ("b", 2)
    assert far.extra(SocketAttribute.local_address) == ("b", 2)
    assert far.extra(SocketAttribute.remote_port) == 1


@given(
    pieces=st.lists(st.binary(max_size=20), max_size=20),
    buffer_bytes=st.integers(1, 16),
    max_bytes=st.integers(1, 16),
)
def test_any_split_of_the_bytes_arrives_whole_and_in_order(
    pieces: list[bytes], buffer_bytes: int, max_bytes: int
):
    got = bytearray()

    async def main() -> None:
        near, far = memory_pipe(buffer_bytes=buffer_bytes)

        async def send() -> None:
            for piece in pieces:
                await near.send(piece)
            await near.aclose()

        async with anyio.create_task_group() as tg:
            tg.start_soon(send)
            with contextlib.suppress(anyio.EndOfStream):
                while True:
                    data = await far.receive(max_bytes)
                    assert 0 < len(data) <= max_bytes
                    got.extend(data)

    anyio.run(main, backend="asyncio")
    assert bytes(got) == b"".join(pieces)


async def echo_once(stream: ByteStream) -> None:
    async with stream:
        await stream.send(await stream.receive())


@contextlib.asynccontextmanager
async def echoing(network: MemoryNetwork, host: str, port: int) -> AsyncIterator[None]:
    async with network.listen_tcp(host, port) as listener:
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, echo_once)
            yield
            tg.cancel_scope.cancel()


async def echoes(network: MemoryNetwork, host: str, port: int) -> bool:
    async with await network.connect_tcp(host, port) as stream:
        await stream.send(b"x")
        return await stream.receive() == b"x"


async def test_any_host_name_may_be_bound():
    network = MemoryNetwork()
    async with (
        echoing(network, "strip.example", 80),
        echoing(network, "192.168.1.100", 80),
    ):
        assert await echoes(network, "strip.example", 80)
        assert await echoes(network, "192.168.1.100", 80)
        with pytest.raises(ConnectFailed, match=r"192\.168\.1\.101:80: connection ref"):
            await network.connect_tcp("192.168.1.101", 80)


@pytest.mark.parametrize("bound", ["", "0.0.0.0", "::", "localhost", "10.0.0.5"])
async def test_sockets_bound_to_no_particular_host_show_the_networks_own(bound: str):
    network = MemoryNetwork("10.0.0.5")
    async with echoing(network, bound, 80):
        assert await echoes(network, "10.0.0.5", 80)
        assert await echoes(network, "localhost", 80)
    async with network.listen_tcp(bound, 0) as listener:
        assert listener.address[0] == "10.0.0.5"
        near = await network.connect_tcp(*listener.address)
        assert near.extra(SocketAttribute.local_address)[0] == "10.0.0.5"


async def test_connections_wait_until_the_listener_serves():
    network = MemoryNetwork()
    async with network.listen_tcp("h", 80) as listener:
        stream = await network.connect_tcp("h", 80)
        await stream.send(b"early")
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, echo_once)
            assert await stream.receive() == b"early"
            tg.cancel_scope.cancel()


async def test_a_full_backlog_refuses(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.ERROR)
    network = MemoryNetwork()
    async with network.listen_tcp("h", 80):
        for _ in range(1024):
            await network.connect_tcp("h", 80)
        with pytest.raises(ConnectFailed, match="connection refused"):
            await network.connect_tcp("h", 80)


async def test_a_closed_listener_resets_all_that_waits():
    network = MemoryNetwork()
    async with network.listen_tcp("h", 80):
        streams = [await network.connect_tcp("h", 80) for _ in range(3)]
    for stream in streams:
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()


async def test_free_ports_come_round_and_pass_over_those_in_use():
    network = MemoryNetwork()
    async with (
        network.listen_tcp("h", 49153),
        network.open_udp("h", 49154),
        network.listen_tcp("h", 0) as first,
    ):
        assert first.address == ("h", 49152)
        for _ in range(49152, 65536):
            network._free_port()
        async with network.listen_tcp("h", 0) as later:
            assert 49152 <= later.address[1] < 65536
            assert later.address[1] not in (49152, 49153, 49154)


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_that_cannot_be_is_not_bound(port: int):
    network = MemoryNetwork()
    for opened in (network.listen_tcp("h", port), network.open_udp("h", port)):
        with pytest.raises(ConnectFailed, match="a port is from 0 to 65535"):
            async with opened:
                pytest.fail("bound")


async def test_datagrams_can_be_looked_at_also_the_lost_ones():
    network = MemoryNetwork()
    async with network.open_udp("a", 1) as one, network.open_udp("b", 2):
        await one.send(b"there", "b", 2)
        await one.send(b"lost", "c", 3)
    assert list(network.datagrams) == [
        (b"there", ("a", 1), ("b", 2)),
        (b"lost", ("a", 1), ("c", 3)),
    ]


async def test_the_latest_thousand_datagrams_are_kept():
    network = MemoryNetwork()
    async with network.open_udp("a", 1) as one:
        for number in range(1001):
            await one.send(b"%d" % number, "nobody", 9)
    assert len(network.datagrams) == 1000
    assert network.datagrams[0][0] == b"1"


async def test_a_receiver_that_is_too_slow_loses_the_newest(
    caplog: pytest.LogCaptureFixture,
):
    network = MemoryNetwork()
    async with network.open_udp("a", 1) as one, network.open_udp("b", 2) as other:
        for number in range(1025):
            await one.send(b"%d" % number, *other.address)
        assert [(await other.receive())[0] for _ in range(1024)][-1] == b"1023"
        with anyio.move_on_after(1) as scope:
            await other.receive()
        assert scope.cancelled_caught
    assert "UDP b:2 is full" in caplog.text


async def test_a_udp_socket_of_no_host_says_which_port_was_taken():
    network = MemoryNetwork()
    async with network.open_udp(port=8888):
        with pytest.raises(ConnectFailed) as caught:
            async with network.open_udp(port=8888):
                pytest.fail("bound twice")
    assert str(caught.value) == "cannot bind UDP *:8888: address already in use"


async def test_an_exchange_leaves_nothing_when_cancelled_anywhere():
    open_streams: set[MemoryStream] = set()

    async def handle(stream: ByteStream) -> None:
        assert isinstance(stream, MemoryStream)
        open_streams.add(stream)
        try:
            await echo_once(stream)
        finally:
            open_streams.discard(stream)

    async def flow() -> None:
        network = MemoryNetwork()
        async with network.listen_tcp("h", 80) as listener:
            async with anyio.create_task_group() as tg:
                tg.start_soon(listener.serve, handle)
                async with network.open_udp("u") as udp:
                    await udp.send(b"x", *udp.address)
                    await udp.receive()
                assert await echoes(network, "h", 80)
                tg.cancel_scope.cancel()

    assert await cancel_sweep(flow, steps_of="all") > 8
    assert not open_streams
