"""What only the network of the operating system does, and its words."""

from __future__ import annotations

import contextlib
import errno
import logging
import resource
import socket
import ssl
import struct
from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import SocketAttribute

from structiot._kit.net.network import (
    LOST,
    REAL_NETWORK,
    Address,
    RealNetwork,
    _RealListener,
    _RealUdp,
    place,
    reason_of,
)
from structiot.errors import ConnectFailed, TransportError
from tests.kit.ends import Server, connected, served, udp_pair, unused_port

pytestmark = pytest.mark.e2e


def can_bind(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe, contextlib.suppress(OSError):
        probe.bind((host, 0))
        return True
    return False


LOOPBACKS = [host for host in ("127.0.0.1", "127.0.0.2", "::1") if can_bind(host)]


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
    "interface", ["a b", "x" * 100, "\N{LATIN SMALL LETTER E WITH ACUTE}"]
)
async def test_an_interface_that_cannot_be_is_connect_failed(interface: str):
    with pytest.raises(ConnectFailed):
        await REAL_NETWORK.connect_tcp(f"fe80::1%{interface}", 80)


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


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_every_kind_of_address_works_and_is_written_with_its_port(host: str):
    async with served(REAL_NETWORK, host) as server:
        port = server.address[1]
        assert server.address[0] == host
        async with await REAL_NETWORK.connect_tcp(*server.address) as client:
            await client.send(b"here")
            assert await (await server.stream()).receive() == b"here"
    with pytest.raises(ConnectFailed) as caught:
        await REAL_NETWORK.connect_tcp(host, port)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert str(caught.value) == f"cannot connect to {where}: connection refused"


async def test_a_listener_on_a_name_serves_all_its_addresses():
    infos = await anyio.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)
    hosts = [str(address[0]) for *_, address in infos]
    async with served(REAL_NETWORK, "localhost") as server:
        for number, host in enumerate(hosts):
            async with await REAL_NETWORK.connect_tcp(
                host, server.address[1]
            ) as client:
                await client.send(b"here")
                stream = await server.stream(number)
                assert await stream.receive() == b"here"


async def test_every_socket_of_a_listener_is_served():
    async with (
        REAL_NETWORK.listen_tcp("127.0.0.1", 0) as one,
        REAL_NETWORK.listen_tcp("127.0.0.2", 0) as other,
    ):
        assert isinstance(one, _RealListener)
        assert isinstance(other, _RealListener)
        both = _RealListener([*one._listeners, *other._listeners])
        server = Server(both)
        async with anyio.create_task_group() as tg:
            tg.start_soon(both.serve, server.handle)
            for number, address in enumerate([one.address, other.address]):
                async with await REAL_NETWORK.connect_tcp(*address):
                    await server.stream(number)
            tg.cancel_scope.cancel()


async def test_a_closed_listener_leaves_no_waiter_on_the_number_of_its_socket():
    async with anyio.create_task_group() as tg:
        async with REAL_NETWORK.listen_tcp("127.0.0.1", 0) as listener:
            tg.start_soon(listener.serve, Server(listener).handle)
            await anyio.wait_all_tasks_blocked()
        # The lowest free number is given again.
        async with REAL_NETWORK.open_udp("127.0.0.1") as udp:

            async def answer() -> None:
                await anyio.wait_all_tasks_blocked()
                await udp.send(b"hello", *udp.address)

            tg.start_soon(answer)
            with anyio.fail_after(5):
                assert (await udp.receive())[0] == b"hello"
        tg.cancel_scope.cancel()


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
                # Three more attempts.
                await anyio.sleep(0.35)
            await server.stream()
    address = place(*server.address)
    assert caplog.messages == [f"cannot accept on {address}: too many open files"]


# ------------------------------------------------------------- the real network: UDP


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_datagrams_travel_between_every_kind_of_address(host: str):
    async with REAL_NETWORK.open_udp(host) as one, REAL_NETWORK.open_udp(host) as other:
        await one.send(b"hello", *other.address)
        assert await other.receive() == (b"hello", one.address)


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
