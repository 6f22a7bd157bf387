"""Streams put together: TCP, a proxy, TLS, a websocket, and what happens when one fails."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme
from anyio.abc import ByteStream

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.network import LOST, Network
from structiot._kit.net.serving import Endpoint
from structiot._kit.net.tls import client_context
from structiot._kit.streams import StreamOpener
from structiot._kit.websocket import accept_websocket
from structiot.errors import CertificateRefused, ConfigError, ConnectFailed
from structiot.testing import cancel_sweep
from tests.kit.dial_in import Hall, echo, hall, says

pytestmark = pytest.mark.virtual_time

HOST, PORT = "server", 4443
PROXY = "http://me:pw@proxy:8080"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    return client_context(cadata=authority.cert_pem.bytes().decode())


@pytest.fixture
def certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    return context


async def upgrade(stream: ByteStream) -> ByteStream:
    websocket = await accept_websocket(stream, subprotocols=["chat"])
    return websocket.as_byte_stream()


@asynccontextmanager
async def server(
    tls: ssl.SSLContext | None = None, *, has_websocket: bool = False
) -> AsyncGenerator[Hall]:
    endpoint = Endpoint(
        host=HOST,
        port=PORT,
        ssl_context=tls,
        upgrade=upgrade if has_websocket else None,
    )
    async with hall(echo, endpoint) as place:
        yield place


@asynccontextmanager
async def proxy(network: Network) -> AsyncGenerator[list[bytes]]:
    """Run a proxy that lets everybody through; give what it is asked."""
    asked: list[bytes] = []

    async def pump(source: ByteStream, sink: ByteStream) -> None:
        try:
            while True:
                await sink.send(await source.receive())
        except LOST:
            await anyio.aclose_forcefully(sink)

    async def handle(stream: ByteStream) -> None:
        asked.append((await stream.receive()).partition(b"\r\n")[0])
        far = await network.connect_tcp(HOST, PORT)
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        async with anyio.create_task_group() as pumps:
            pumps.start_soon(pump, stream, far)
            pumps.start_soon(pump, far, stream)

    async with network.listen_tcp("proxy", 8080) as listener, service_group() as tg:
        tg.start_soon(listener.serve, handle)
        yield asked


async def left_alone(place: Hall) -> bool:
    """Whether nothing stays open at the server."""
    await anyio.wait_all_tasks_blocked()
    return place.server.clients == 0


# ------------------------------------------------------------------ what works


async def test_a_plain_stream_needs_no_tls_settings():
    def unwanted() -> ssl.SSLContext:
        pytest.fail("nobody wants TLS")

    async with server() as place:
        streams = StreamOpener(place.network, tls=unwanted)
        async with await streams.open(HOST, PORT) as stream:
            assert await says(stream, b"hello")


async def test_tls_settings_are_made_at_the_first_need_and_kept(
    certified: ssl.SSLContext, trusting: ssl.SSLContext
):
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(trusting)
        return trusting

    async with server(certified) as place:
        streams = StreamOpener(place.network, tls=make)
        assert made == []
        for _ in range(2):
            async with await streams.open(HOST, PORT, is_tls=True) as stream:
                assert await says(stream, b"hello")
        assert streams.tls_context() is trusting
    assert len(made) == 1


async def test_a_websocket_in_tls_by_way_of_a_proxy(
    certified: ssl.SSLContext, trusting: ssl.SSLContext
):
    steps: list[str] = []
    async with (
        server(certified, has_websocket=True) as place,
        proxy(place.network) as asked,
    ):
        streams = StreamOpener(place.network, proxy=PROXY, tls=trusting)
        websocket = await streams.open_websocket(
            HOST,
            PORT,
            is_tls=True,
            path="/chat?room=1",
            subprotocols=["chat"],
            headers={"X-Token": "t"},
            on_step=steps.append,
        )
        await websocket.send(b"hello")
        assert await websocket.receive() == b"hello"
        assert (websocket.subprotocol, websocket.path) == ("chat", "/chat?room=1")
        await websocket.aclose()
        assert await left_alone(place)
    assert asked == [b"CONNECT server:4443 HTTP/1.1"]
    assert steps == ["a connection", "the TLS handshake", "the websocket handshake"]


# ------------------------------------------------------------------ what does not


async def test_nobody_there():
    with pytest.raises(ConnectFailed, match="server:4443"):
        await StreamOpener(MemoryNetwork()).open(HOST, PORT)


def test_an_address_that_is_none_of_a_proxy():
    with pytest.raises(ConfigError, match="a proxy's address"):
        StreamOpener(MemoryNetwork(), proxy="proxy:8080")


async def test_tls_settings_that_cannot_be_made_come_before_any_connection():
    def fail() -> ssl.SSLContext:
        return client_context(cafile="/no/such/file")

    async with server() as place:
        streams = StreamOpener(place.network, tls=fail)
        with pytest.raises(ConfigError, match="/no/such/file"):
            await streams.open(HOST, PORT, is_tls=True)
        assert await left_alone(place)


async def test_a_certificate_that_is_not_trusted(certified: ssl.SSLContext):
    async with server(certified) as place:
        streams = StreamOpener(place.network)
        with pytest.raises(CertificateRefused):
            await streams.open_websocket(HOST, PORT, is_tls=True)
        assert await left_alone(place)


async def test_a_websocket_that_is_refused_names_host_and_port_and_is_closed():
    async with server(has_websocket=True) as place:
        streams = StreamOpener(place.network)
        with pytest.raises(ConnectFailed, match="server:4443") as caught:
            await streams.open_websocket(HOST, PORT, subprotocols=["other"])
        assert (caught.value.host, caught.value.port) == (HOST, PORT)
        assert await left_alone(place)


@pytest.mark.parametrize("has_websocket", [False, True])
async def test_opening_cancelled_anywhere_leaves_nothing_open(
    certified: ssl.SSLContext, trusting: ssl.SSLContext, has_websocket: bool
):
    async def flow() -> None:
        streams = StreamOpener(place.network, tls=trusting)
        if has_websocket:
            websocket = await streams.open_websocket(
                HOST, PORT, is_tls=True, subprotocols=["chat"]
            )
            await websocket.aclose()
        else:
            await (await streams.open(HOST, PORT, is_tls=True)).aclose()

    async with server(certified, has_websocket=has_websocket) as place:
        await cancel_sweep(flow)
        assert await left_alone(place)
