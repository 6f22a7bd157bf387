"""What both networks promise, then what only the one of the operating system does."""

from __future__ import annotations

import contextlib
import errno
import logging
import resource
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.memory_network import MemoryNetwork
from structiot._kit.network import (
    LOST,
    REAL_NETWORK,
    Address,
    Network,
    RealNetwork,
    TcpListener,
    UdpSocket,
    _RealUdp,
    place,
    reason_of,
)
from structiot.errors import ConnectFailed, LinkLost, TransportError

BROADCAST = "255.255.255.255"
HAS_IPV6 = socket.has_ipv6


@pytest.fixture(params=["real", "memory"])
def network(request: pytest.FixtureRequest) -> Network:
    return REAL_NETWORK if request.param == "real" else MemoryNetwork()


class Server:
    """Keeps the streams that came in, each for as long as its handler is let live."""

    def __init__(self, listener: TcpListener) -> None:
        self.address = listener.address
        self.streams: list[ByteStream] = []
        self._arrived = anyio.Event()

    async def handle(self, stream: ByteStream) -> None:
        self.streams.append(stream)
        self._arrived.set()
        try:
            await anyio.sleep_forever()
        finally:
            await anyio.aclose_forcefully(stream)

    async def stream(self, number: int = 0) -> ByteStream:
        with anyio.fail_after(5):
            while len(self.streams) <= number:
                self._arrived = anyio.Event()
                await self._arrived.wait()
        return self.streams[number]


@contextlib.asynccontextmanager
async def served(network: Network, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    async with network.listen_tcp(host, 0) as listener:
        server = Server(listener)
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, server.handle)
            yield server
            tg.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def connected(
    network: Network,
) -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    """Give the client's and the server's end of one connection."""
    async with served(network) as server:
        async with await network.connect_tcp(*server.address) as client:
            yield client, await server.stream()


async def unused_port(network: Network) -> int:
    async with network.listen_tcp("127.0.0.1", 0) as listener:
        return listener.address[1]


# ------------------------------------------------------------------ TCP, both networks


async def test_bytes_arrive_in_both_directions(network: Network):
    async with connected(network) as (client, server):
        await client.send(b"ping")
        assert await server.receive() == b"ping"
        await server.send(b"pong")
        assert await client.receive() == b"pong"


async def test_receive_gives_no_more_than_asked_for(network: Network):
    async with connected(network) as (client, server):
        await client.send(b"abcdef")
        assert await server.receive(4) == b"abcd"
        assert await server.receive(4) == b"ef"


async def test_port_0_takes_a_free_one(network: Network):
    async with (
        network.listen_tcp("127.0.0.1", 0) as first,
        network.listen_tcp("127.0.0.1", 0) as second,
    ):
        assert first.address[0] == "127.0.0.1"
        assert 0 < first.address[1] < 65536
        assert first.address[1] != second.address[1]


async def test_the_ends_know_each_others_address(network: Network):
    async with connected(network) as (client, server):
        assert client.extra(SocketAttribute.remote_address) == server.extra(
            SocketAttribute.local_address
        )
        assert server.extra(SocketAttribute.remote_address) == client.extra(
            SocketAttribute.local_address
        )
        remote_port = client.extra(SocketAttribute.remote_port)
        assert remote_port == client.extra(SocketAttribute.remote_address)[1]


async def test_several_connections_are_served_at_once(network: Network):
    async with served(network) as server:
        clients = [await network.connect_tcp(*server.address) for _ in range(3)]
        for number, client in enumerate(clients):
            await client.send(b"%d" % number)
        seen = {await (await server.stream(n)).receive() for n in range(3)}
        assert seen == {b"0", b"1", b"2"}
        for client in clients:
            await client.aclose()


async def test_nobody_there_is_connect_failed_with_host_and_port(network: Network):
    port = await unused_port(network)
    with pytest.raises(ConnectFailed) as caught:
        await network.connect_tcp("127.0.0.1", port)
    error = caught.value
    assert str(error) == f"cannot connect to 127.0.0.1:{port}: connection refused"
    assert (error.host, error.port, error.attempts) == ("127.0.0.1", port, 1)


async def test_an_address_in_use_cannot_be_bound_twice(network: Network):
    async with network.listen_tcp("127.0.0.1", 0) as listener:
        port = listener.address[1]
        with pytest.raises(ConnectFailed) as caught:
            async with network.listen_tcp("127.0.0.1", port):
                pytest.fail("bound twice")
    message = f"cannot bind TCP 127.0.0.1:{port}: address already in use"
    assert str(caught.value) == message
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)


async def test_an_address_is_free_again_after_the_block(network: Network):
    port = await unused_port(network)
    async with network.listen_tcp("127.0.0.1", port) as listener:
        assert listener.address == ("127.0.0.1", port)


async def test_a_peer_that_closes_is_the_end_of_the_stream(network: Network):
    async with connected(network) as (client, server):
        await client.send(b"last words")
        await client.aclose()
        assert await server.receive() == b"last words"
        with pytest.raises(anyio.EndOfStream):
            await server.receive()


async def test_a_peer_that_closes_wakes_the_one_who_waits(network: Network):
    async with connected(network) as (client, server):

        async def wait() -> None:
            with pytest.raises(anyio.EndOfStream):
                await server.receive()

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tg:
                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await client.aclose()


async def test_closing_on_this_side_wakes_the_one_who_waits(network: Network):
    async with connected(network) as (client, _):

        async def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await client.receive()

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tg:
                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await client.aclose()


async def test_closing_twice_is_silent_and_use_after_close_is_not(network: Network):
    async with connected(network) as (client, _):
        await client.aclose()
        await client.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await client.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await client.send(b"x")


async def test_send_eof_ends_one_direction_only(network: Network):
    async with connected(network) as (client, server):
        await client.send(b"question")
        await client.send_eof()
        assert await server.receive() == b"question"
        with pytest.raises(anyio.EndOfStream):
            await server.receive()
        await server.send(b"answer")
        assert await client.receive() == b"answer"


async def test_two_tasks_cannot_read_one_stream(network: Network):
    async with connected(network) as (client, server):
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await client.receive()
            await server.send(b"x")


async def test_a_peer_that_does_not_read_makes_the_sender_wait(network: Network):
    async with connected(network) as (client, server):
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


async def test_a_client_that_does_not_read_makes_the_server_wait(network: Network):
    async with connected(network) as (client, server):
        with anyio.move_on_after(0.2) as scope:
            for _ in range(100):
                await server.send(bytes(1_000_000))
        assert scope.cancelled_caught, "100 MB fitted into the buffers"
        assert await client.receive(1) == b"\x00"


async def test_a_send_to_a_peer_that_has_gone_fails_and_does_not_wait(
    network: Network,
):
    async with connected(network) as (client, server):
        await server.aclose()
        with pytest.raises(LOST), anyio.fail_after(5):
            for _ in range(100):
                await client.send(bytes(1_000_000))


async def test_what_a_handler_raises_ends_the_server_and_comes_out_as_it_is(
    network: Network,
):
    async def fail(stream: ByteStream) -> None:
        await anyio.aclose_forcefully(stream)
        raise ZeroDivisionError("handler")

    async def connect(address: Address) -> None:
        await (await network.connect_tcp(*address)).aclose()

    async with network.listen_tcp("127.0.0.1", 0) as listener:
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


async def test_cancelling_the_server_cancels_its_handlers(network: Network):
    async with served(network) as server:
        client = await network.connect_tcp(*server.address)
        await server.stream()
    with pytest.raises(LOST), anyio.fail_after(5):
        await client.receive()
    await client.aclose()


async def test_closing_a_listener_does_not_end_its_connections(network: Network):
    streams: list[ByteStream] = []
    accepted = anyio.Event()

    async def handle(stream: ByteStream) -> None:
        streams.append(stream)
        accepted.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tg:
        async with network.listen_tcp("127.0.0.1", 0) as listener:
            tg.start_soon(listener.serve, handle)
            client = await network.connect_tcp(*listener.address)
            await accepted.wait()
        await client.send(b"still here")
        assert await streams[0].receive() == b"still here"
        await client.aclose()
        await streams[0].aclose()
        tg.cancel_scope.cancel()


async def test_connections_nobody_has_accepted_are_reset_with_the_listener(
    network: Network,
):
    async with network.listen_tcp("127.0.0.1", 0) as listener:
        client = await network.connect_tcp(*listener.address)
    with pytest.raises(anyio.BrokenResourceError), anyio.fail_after(5):
        await client.receive()
    await client.aclose()


async def test_a_cancelled_connect_leaves_nothing_behind(network: Network):
    with anyio.CancelScope() as scope:
        scope.cancel()
        await network.connect_tcp("127.0.0.1", 9)
    assert scope.cancelled_caught


# ------------------------------------------------------------------ UDP, both networks


@contextlib.asynccontextmanager
async def udp_pair(network: Network) -> AsyncIterator[tuple[UdpSocket, UdpSocket]]:
    async with (
        network.open_udp("127.0.0.1") as one,
        network.open_udp("127.0.0.1") as other,
    ):
        yield one, other


async def test_a_datagram_arrives_with_its_sender(network: Network):
    async with udp_pair(network) as (one, other):
        await one.send(b"hello", *other.address)
        data, sender = await other.receive()
        assert (data, sender) == (b"hello", one.address)
        await other.send(b"", *sender)
        assert await one.receive() == (b"", other.address)


async def test_a_receiver_waits_for_its_datagram(network: Network):
    got: list[bytes] = []
    async with udp_pair(network) as (one, other):

        async def wait() -> None:
            got.append((await other.receive())[0])

        async with anyio.create_task_group() as tg:
            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await one.send(b"late", *other.address)
    assert got == [b"late"]


async def test_a_name_is_looked_up(network: Network):
    async with udp_pair(network) as (one, other):
        await one.send(b"hello", "localhost", other.address[1])
        assert (await other.receive())[0] == b"hello"


async def test_an_udp_socket_of_no_host_receives(network: Network):
    async with network.open_udp() as any_host, network.open_udp("127.0.0.1") as one:
        await one.send(b"hello", "127.0.0.1", any_host.address[1])
        assert await any_host.receive() == (b"hello", one.address)


async def test_a_datagram_to_nobody_vanishes(network: Network):
    async with udp_pair(network) as (one, other):
        async with network.open_udp("127.0.0.1") as gone:
            nobody = gone.address
        await one.send(b"hello?", *nobody)
        await one.send(b"hello!", *other.address)
        assert (await other.receive())[0] == b"hello!"


async def test_a_udp_port_in_use_cannot_be_bound_twice(network: Network):
    async with network.open_udp("127.0.0.1") as udp:
        port = udp.address[1]
        with pytest.raises(ConnectFailed) as caught:
            async with network.open_udp("127.0.0.1", port):
                pytest.fail("bound twice")
    message = f"cannot bind UDP 127.0.0.1:{port}: address already in use"
    assert str(caught.value) == message
    async with network.open_udp("127.0.0.1", port) as again:
        assert again.address == ("127.0.0.1", port)


async def test_a_broadcast_needs_leave(network: Network):
    async with network.open_udp("127.0.0.1") as udp:
        with pytest.raises(TransportError) as caught:
            await udp.send(b"anyone?", BROADCAST, 8888)
    assert str(caught.value) == "cannot send to 255.255.255.255:8888: permission denied"


async def test_a_datagram_that_is_too_long_is_refused(network: Network):
    async with udp_pair(network) as (one, other):
        with pytest.raises(TransportError, match="message too long"):
            await one.send(bytes(65508), *other.address)
        await one.send(bytes(65507), *other.address)
        assert len((await other.receive())[0]) == 65507


async def test_leaving_the_block_wakes_the_one_who_waits(network: Network):
    errors: list[LinkLost] = []

    async def wait(udp: UdpSocket) -> None:
        with pytest.raises(LinkLost) as caught:
            await udp.receive()
        errors.append(caught.value)

    async with anyio.create_task_group() as tg:
        async with network.open_udp("127.0.0.1") as udp:
            tg.start_soon(wait, udp)
            await anyio.wait_all_tasks_blocked()
    assert str(errors[0]) == f"UDP socket {place(*udp.address)} was closed"
    assert errors[0].reason == "closed on this side"


async def test_a_closed_udp_socket_neither_sends_nor_receives(network: Network):
    async with network.open_udp("127.0.0.1") as udp:
        address = udp.address
    with pytest.raises(TransportError, match="closed on this side"):
        await udp.send(b"x", *address)
    with pytest.raises(LinkLost, match="was closed"):
        await udp.receive()


async def test_a_cancelled_receive_loses_no_datagram(network: Network):
    async with udp_pair(network) as (one, other):
        with anyio.move_on_after(0.01):
            await other.receive()
        await one.send(b"kept", *other.address)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await other.receive()
        assert (await other.receive())[0] == b"kept"


# ------------------------------------------------------------- the real network: TCP


async def test_small_writes_go_out_without_delay():
    async with connected(REAL_NETWORK) as ends:
        for stream in ends:
            raw = stream.extra(SocketAttribute.raw_socket)
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("no-such-host.invalid", 80, "name or service not known"),
        ("127.0.0.1", 70000, "a port is from 0 to 65535, not 70000"),
        ("", 80, ""),
        ("a..b", 80, ""),
        ("x" * 64 + ".invalid", 80, ""),
        ("\N{GREEK SMALL LETTER ALPHA}\x00", 80, ""),
        ("nul\x00nul", 80, ""),
    ],
)
async def test_a_name_or_port_that_cannot_be_is_connect_failed(
    host: str, port: int, reason: str
):
    with pytest.raises(ConnectFailed) as caught:
        await REAL_NETWORK.connect_tcp(host, port)
    assert str(caught.value).startswith(f"cannot connect to {host}:{port}: ")
    assert reason in str(caught.value)
    assert (caught.value.host, caught.value.port) == (host, port)


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("203.0.113.1", 0, "cannot assign requested address"),
        ("no-such-host.invalid", 0, "name or service not known"),
        ("127.0.0.1", 70000, "a port is from 0 to 65535, not 70000"),
    ],
)
async def test_an_address_that_cannot_be_bound_is_connect_failed(
    host: str, port: int, reason: str
):
    for kind, opened in (
        ("TCP", REAL_NETWORK.listen_tcp(host, port)),
        ("UDP", REAL_NETWORK.open_udp(host, port)),
    ):
        with pytest.raises(ConnectFailed) as caught:
            async with opened:
                pytest.fail("bound")
        assert f"cannot bind {kind} {host}:{port}: " in str(caught.value)
        assert reason in str(caught.value)


async def test_a_reset_says_so_in_the_same_words_on_both_backends():
    async with connected(REAL_NETWORK) as (client, server):
        raw = server.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await anyio.aclose_forcefully(server)
        with pytest.raises(LOST) as caught, anyio.fail_after(5):
            await client.receive()
    assert reason_of(caught.value) == "connection reset by peer"


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 on this machine")
async def test_ipv6_works_and_is_written_with_brackets():
    async with served(REAL_NETWORK, "::1") as server:
        assert server.address[0] == "::1"
        async with await REAL_NETWORK.connect_tcp(*server.address) as client:
            await client.send(b"six")
            assert await (await server.stream()).receive() == b"six"
    port = server.address[1]
    with pytest.raises(ConnectFailed) as caught:
        await REAL_NETWORK.connect_tcp("::1", port)
    assert str(caught.value) == f"cannot connect to [::1]:{port}: connection refused"


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 on this machine")
async def test_a_listener_on_a_name_serves_all_its_addresses():
    async with served(REAL_NETWORK, "localhost") as server:
        port = server.address[1]
        for number, host in enumerate(["127.0.0.1", "::1"]):
            try:
                client = await REAL_NETWORK.connect_tcp(host, port)
            except ConnectFailed:
                # localhost has one address only on some machines.
                assert host == "::1"
                continue
            async with client:
                await client.send(b"here")
                stream = await server.stream(number)
                assert await stream.receive() == b"here"


async def test_a_name_with_several_addresses_says_each_reason_once():
    port = await unused_port(REAL_NETWORK)
    with pytest.raises(ConnectFailed) as caught:
        await REAL_NETWORK.connect_tcp("localhost", port)
    text = str(caught.value)
    assert text.startswith(f"cannot connect to localhost:{port}: ")
    assert text.count("connection refused") == 1


async def test_a_listener_on_no_host_listens_on_every_address():
    async with served(REAL_NETWORK, "") as server:
        async with await REAL_NETWORK.connect_tcp("127.0.0.1", server.address[1]):
            await server.stream()


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Let the process open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        free = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_server_out_of_files_says_so_and_goes_on(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.WARNING, "structiot")
    async with served(REAL_NETWORK) as server:
        with socket.socket() as waiting:
            waiting.setblocking(False)
            with no_more_files():
                with contextlib.suppress(BlockingIOError):
                    waiting.connect(server.address)
                with anyio.fail_after(5):
                    while not caplog.records:  # noqa: ASYNC110 - a log has no event
                        await anyio.sleep(0.01)
            await server.stream()
    address = place(*server.address)
    assert caplog.messages[0] == f"cannot accept on {address}: too many open files"


# ------------------------------------------------------------- the real network: UDP


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 on this machine")
async def test_datagrams_travel_over_ipv6():
    async with (
        REAL_NETWORK.open_udp("::1") as one,
        REAL_NETWORK.open_udp("::1") as other,
    ):
        await one.send(b"six", *other.address)
        assert await other.receive() == (b"six", one.address)


async def test_a_broadcast_is_sent_where_it_is_allowed():
    async with REAL_NETWORK.open_udp("127.0.0.1", may_broadcast=True) as udp:
        assert isinstance(udp, _RealUdp)
        assert udp._socket.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) != 0


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("no-such-host.invalid", 8888, "name or service not known"),
        ("127.0.0.1", 70000, "a port is from 0 to 65535, not 70000"),
    ],
)
async def test_a_datagram_to_an_address_that_cannot_be_is_refused(
    host: str, port: int, reason: str
):
    async with REAL_NETWORK.open_udp("127.0.0.1") as udp:
        with pytest.raises(TransportError, match=reason) as caught:
            await udp.send(b"x", host, port)
    assert str(caught.value).startswith(f"cannot send to {host}:{port}: ")


async def test_the_echo_of_a_datagram_to_nobody_does_not_end_the_socket():
    ip_recverr = 11  # reports such echoes on Linux as Windows always does
    async with udp_pair(REAL_NETWORK) as (one, other):
        assert isinstance(one, _RealUdp)
        one._socket.setsockopt(socket.IPPROTO_IP, ip_recverr, 1)
        async with REAL_NETWORK.open_udp("127.0.0.1") as gone:
            nobody = gone.address
        await one.send(b"hello?", *nobody)
        await other.send(b"hello!", *one.address)
        with anyio.fail_after(5):
            assert (await one.receive())[0] == b"hello!"


class FullSocket(socket.socket):
    """A socket whose buffer is full at first, which loopback never lets happen."""

    refusals = 2

    def sendto(self, *args) -> int:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError(errno.EAGAIN, "full")
        return super().sendto(*args)


async def test_a_send_waits_while_the_buffer_of_the_system_is_full():
    async with REAL_NETWORK.open_udp("127.0.0.1") as other:
        with FullSocket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            raw.settimeout(0)
            raw.bind(("127.0.0.1", 0))
            udp = _RealUdp(raw)
            await udp.send(b"at last", *other.address)
            assert raw.refusals == 0
            assert await other.receive() == (b"at last", udp.address)


# ------------------------------------------------------------------------ the words


@pytest.mark.parametrize(
    ("address", "text"),
    [(("h", 1), "h:1"), (("127.0.0.1", 80), "127.0.0.1:80"), (("::1", 80), "[::1]:80")],
)
def test_place_writes_host_and_port_as_one(address: Address, text: str):
    assert place(*address) == text


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('x', 1)")
UNREACHABLE = OSError(errno.ENETUNREACH, "whatever the backend says")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (REFUSED, "connection refused"),
        (
            caused(OSError("All connection attempts failed"), REFUSED),
            "connection refused",
        ),
        (
            caused(
                OSError("All connection attempts failed"),
                ExceptionGroup("", [UNREACHABLE, REFUSED, REFUSED]),
            ),
            "network is unreachable; connection refused",
        ),
        (caused(anyio.BrokenResourceError(), UNREACHABLE), "network is unreachable"),
        (caused(anyio.BrokenResourceError(), ValueError()), "connection broken"),
        (anyio.EndOfStream(), "the peer hung up"),
        (anyio.ClosedResourceError(), "closed on this side"),
        # The numbers of a failed lookup are not those of the operating system.
        (socket.gaierror(8, "Name or service not known"), "name or service not known"),
        (OSError("no number"), "no number"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("embedded null"), "embedded null"),
        (ssl.SSLError("no reason given"), "('no reason given',)"),
    ],
)
def test_the_reason_is_one_phrase(error: BaseException, reason: str):
    assert reason_of(error) == reason


def test_lost_is_what_a_stream_raises_when_the_peer_is_gone():
    assert {
        anyio.EndOfStream,
        anyio.BrokenResourceError,
        anyio.ClosedResourceError,
        OSError,
    } == set(LOST)


def test_the_network_of_the_operating_system_is_the_default():
    assert isinstance(REAL_NETWORK, RealNetwork)
