"""The websocket shell and the package `websockets`, each once as client and as server.

It is the library of most programs in Python that speak websocket, and shares no line with
the one that ours is made of.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve
from wsproto.extensions import PerMessageDeflate

from structiot._kit.net.network import REAL_NETWORK
from structiot._kit.net.tls import start_tls
from structiot._kit.websocket import (
    Origins,
    WebSocket,
    accept_websocket,
    connect_websocket,
)
from structiot.errors import AuthRefused, ConnectFailed, LinkLost, ProtocolViolation
from structiot.sim import sim_sepl_platform

pytestmark = pytest.mark.e2e

HOST = "127.0.0.1"
TRANSPORTS = ["plain", "tls"]
MESSAGES: list[str | bytes] = [
    "",
    "hä €",
    "x" * 126,
    "y" * 70_000,
    b"",
    b"\x00\xff" * 40_000,
]
LIMIT = 1024 * 1024


@dataclass
class Certificates:
    serving: ssl.SSLContext
    trusting: ssl.SSLContext


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return Certificates(serving, trusting)


# ------------------------------------------------------------ the peer as a server


def _answer(peer: ServerConnection) -> None:
    """Send everything back, and do what some words say."""
    for message in peer:
        word = message if isinstance(message, str) else ""
        if word == "ping":
            assert peer.ping().wait(5)
            peer.send("ponged")
        elif word == "fragments":
            peer.send(["one ", "two ", "three"])
        elif word == "close":
            peer.close(4000, "bye")
        elif word == "drop":
            peer.socket.shutdown(2)
        elif word == "long":
            peer.send("x" * (2 * LIMIT))
        else:
            peer.send(message)


def _gatekeeper(peer: ServerConnection, request: Any) -> Any:
    statuses = {"/login": 401, "/nothing": 404}
    if (status := statuses.get(request.path)) is None:
        return None
    return peer.respond(status, "no")


@pytest.fixture
def peer_server(
    request: pytest.FixtureRequest, certificates: Certificates
) -> Iterator[int]:
    context = certificates.serving if request.param == "tls" else None
    with serve(
        _answer, HOST, 0, ssl=context, process_request=_gatekeeper, close_timeout=2
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


@asynccontextmanager
async def client_of(
    port: int, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[WebSocket]:
    stream: ByteStream = await REAL_NETWORK.connect_tcp(HOST, port)
    if tls is not None:
        stream = await start_tls(stream, tls, host=HOST, port=port)
    async with stream:
        options = {"host": f"{HOST}:{port}", "max_message_bytes": LIMIT, **options}
        websocket = await connect_websocket(stream, **options)
        yield websocket
        await websocket.aclose()


@pytest.mark.parametrize("is_deflated", [False, True])
@pytest.mark.parametrize("peer_server", TRANSPORTS, indirect=True)
async def test_our_client_and_its_server_exchange_messages(
    request, peer_server, certificates, is_deflated
):
    tls = certificates.trusting if "tls" in request.node.name else None
    extensions = [PerMessageDeflate()] if is_deflated else []
    async with client_of(peer_server, tls, extensions=extensions) as websocket:
        assert all(one.enabled() for one in extensions)
        for message in MESSAGES:
            await websocket.send(message)
            assert await websocket.receive() == message
        await websocket.send("fragments")
        assert await websocket.receive() == "one two three"
        await websocket.send("ping")
        assert await websocket.receive() == "ponged"
        assert websocket.pings == 1
        before = websocket.heard_at
        # uvloop's clock goes on by milliseconds.
        await anyio.sleep(0.01)
        async with anyio.create_task_group() as tg:
            tg.start_soon(websocket.receive)
            await websocket.ping(b"there?")
            with anyio.fail_after(5):
                while websocket.heard_at == before:  # noqa: ASYNC110 - nobody tells
                    await anyio.sleep(0.01)
            tg.cancel_scope.cancel()


@pytest.mark.parametrize("peer_server", TRANSPORTS, indirect=True)
async def test_our_client_sees_how_its_server_ends(request, peer_server, certificates):
    tls = certificates.trusting if "tls" in request.node.name else None
    async with client_of(peer_server, tls) as websocket:
        await websocket.send("close")
        with pytest.raises(anyio.EndOfStream):
            await websocket.receive()
        assert (websocket.close_code, websocket.close_reason) == (4000, "bye")
    async with client_of(peer_server, tls) as websocket:
        await websocket.send("drop")
        with pytest.raises(LinkLost):
            await websocket.receive()
    async with client_of(peer_server, tls) as websocket:
        await websocket.send("long")
        with pytest.raises(ProtocolViolation, match="more than 1048576 bytes"):
            await websocket.receive()


@pytest.mark.parametrize("peer_server", ["plain"], indirect=True)
async def test_our_client_is_refused_by_its_server(peer_server):
    with pytest.raises(AuthRefused, match="HTTP 401"):
        async with client_of(peer_server, path="/login"):
            pass
    with pytest.raises(ConnectFailed, match="HTTP 404"):
        async with client_of(peer_server, path="/nothing"):
            pass


# ------------------------------------------------------------ the peer as a client


@asynccontextmanager
async def server(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Our side: it sends everything back, and does what some words say."""

    async def serve_one(stream: ByteStream) -> None:
        async with stream:
            if tls is not None:
                stream = await TLSStream.wrap(
                    stream,
                    server_side=True,
                    ssl_context=tls,
                    standard_compatible=False,
                )
            try:
                websocket = await accept_websocket(
                    stream, origins=Origins(), max_message_bytes=LIMIT
                )
                while True:
                    await answer(websocket, await websocket.receive())
            except (anyio.EndOfStream, LinkLost, ProtocolViolation):
                return
            except anyio.ClosedResourceError:
                return

    async def answer(websocket: WebSocket, message: str | bytes) -> None:
        word = message if isinstance(message, str) else ""
        if word == "ping":
            await websocket.ping(b"there?")
            await websocket.send("pinged")
            assert await websocket.receive() == "next"
        elif word == "close":
            await websocket.aclose(4000, "bye")
            return
        await websocket.send(message)

    async with REAL_NETWORK.listen_tcp(HOST, 0) as listener:
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, serve_one)  # noqa: ASYNC113 - it is bound
            yield listener.address[1]
            tg.cancel_scope.cancel()


async def with_peer(
    port: int,
    tls: ssl.SSLContext | None,
    work: Callable[[ClientConnection], None],
    **options: Any,
) -> None:
    """Do something with a connection of the package's client, in a thread."""
    scheme = "ws" if tls is None else "wss"

    def run() -> None:
        uri = f"{scheme}://{HOST}:{port}/"
        with connect(uri, ssl=tls, close_timeout=2, **options) as peer:
            work(peer)

    await anyio.to_thread.run_sync(run)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_its_client_and_our_server_exchange_messages(certificates, transport):
    is_tls = transport == "tls"

    def talk(peer: ClientConnection) -> None:
        for message in MESSAGES:
            peer.send(message)
            assert peer.recv(5) == message
        peer.send(["one ", "two ", "three"])
        assert peer.recv(5) == "one two three"
        assert peer.ping(b"there?").wait(5)
        peer.send("ping")
        assert peer.recv(5) == "pinged"
        peer.send("next")
        assert peer.recv(5) == "ping"

    async with server(certificates.serving if is_tls else None) as port:
        await with_peer(port, certificates.trusting if is_tls else None, talk)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_its_client_sees_how_our_server_ends(certificates, transport):
    tls = certificates.trusting if transport == "tls" else None

    def be_closed(peer: ClientConnection, said: str, code: int, reason: str) -> None:
        peer.send(said)
        with pytest.raises(ConnectionClosed) as caught:
            peer.recv(5)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)

    ends = [("close", 4000, "bye"), ("x" * (LIMIT + 1), 1009, "too big")]
    async with server(certificates.serving if tls else None) as port:
        for said, code, reason in ends:
            work = partial(be_closed, said=said, code=code, reason=reason)
            await with_peer(port, tls, work, max_size=None)


async def test_its_client_is_refused_for_a_web_page_that_may_not():
    async with server(None) as port:
        with pytest.raises(InvalidStatus, match="403"):
            await with_peer(port, None, lambda _: None, origin="http://evil.example")


# ------------------------------------------------------------ with a protocol in it


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_its_client_is_a_gateway_of_the_simulated_platform(
    certificates, transport
):
    is_tls = transport == "tls"

    def ask(peer: ClientConnection, handler: str, payload: object) -> None:
        peer.send(json.dumps({"handler": handler, "token": "t", "payload": payload}))
        answer = json.loads(peer.recv(5))
        assert (answer["status"], answer["token"]) == (200, "t")

    def be_a_gateway(peer: ClientConnection) -> None:
        login = {"user": "testuser", "pw": "secret", "gid": "", "token": "c"}
        peer.send(json.dumps(login))
        assert json.loads(peer.recv(5))["payload"]["hash"] == ""
        ask(peer, "clear", None)
        ask(peer, "put", {"uri": "d", "name": "D", "iot_type": "t", "tags": None})
        ask(peer, "commit", "hash")
        value = [{"name": "data", "value": "1"}]
        ask(peer, "event", {"device_uri": "d", "service_uri": "s", "value": value})
        command = json.loads(peer.recv(5))
        assert command["handler"] == "command"
        ask(peer, "response", command["payload"])

    async with (
        sim_sepl_platform(
            ssl_context=certificates.serving if is_tls else None
        ) as platform,
        anyio.create_task_group() as tg,
    ):

        async def command() -> None:
            with platform.following() as records:
                async for one in records:
                    if one in platform.events:
                        break
            response = await platform.send_command("d", "s", {"data": "go"})
            assert response.data == "go"

        tg.start_soon(command)
        trusting = certificates.trusting if is_tls else None
        await with_peer(platform.port, trusting, be_a_gateway)
