"""httpx's transport: httpcore's pool of connections over our network seam."""

from __future__ import annotations

import selectors
import ssl
from collections.abc import AsyncIterator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
import httpcore
import httpx
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.net.network import LOST, Network, StreamAttribute, reason_of
from structiot._kit.net.tls import start_tls

__all__ = ["EXCHANGE", "Exchange", "Transport"]

MAX_CONNECTIONS = 10
_MAX_HEAD_LINES = 1000
_MAX_HEAD_BYTES = 262_144
_READ_BYTES = 16_384
# So that a thousand lines are passed by one read at the most.
_READ_HEAD_BYTES = 4096


@dataclass(slots=True)
class Exchange:
    """What has happened on the wire for one request; tells errors apart.

    Attributes:
        is_connecting: A connection or its TLS handshake is under way.
        received: Bytes that came after the request was sent.
        has_ended: The server has ended the connection.
        is_given_up: Nothing more shall be read.
        is_in_head: The head of the reply is not known yet.
        head_lines: How many lines of an unfinished head have come.
    """

    is_connecting: bool = False
    received: int = 0
    has_ended: bool = False
    is_given_up: bool = False
    is_in_head: bool = True
    head_lines: int = 0

    def check_head(self) -> None:
        """Refuse to read on in a head that has very many lines already, or has no end.

        h11 reads a head in one go, up to 100 KiB of it, and any number of provisional
        ones before it.
        """
        if self.is_in_head and self.head_lines > _MAX_HEAD_LINES:
            message = f"more than {_MAX_HEAD_LINES} lines of header fields"
            raise httpcore.RemoteProtocolError(message)
        if self.is_in_head and self.received > _MAX_HEAD_BYTES:
            message = f"more than {_MAX_HEAD_BYTES} bytes before the reply itself"
            raise httpcore.RemoteProtocolError(message)

    def count(self, data: bytes) -> None:
        """Count what has come."""
        self.received += len(data)
        if self.is_in_head:
            _, blank, rest = data.rpartition(b"\r\n\r\n")
            self.head_lines = rest.count(b"\n") + (0 if blank else self.head_lines)


# httpcore does not say on which connection a request has failed; the request's task
# is the one that reads and writes it.
EXCHANGE: ContextVar[Exchange] = ContextVar("EXCHANGE")


class Transport(httpx.AsyncBaseTransport):
    """Gives requests to the pool; httpcore's errors pass as they are."""

    def __init__(self, network: Network, ssl_context: ssl.SSLContext | None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            # It sets the ALPN of what it is given, which may be others' as well.
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if ssl_context
            else None,
            max_connections=MAX_CONNECTIONS,
            network_backend=_Backend(network, ssl_context),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme,
                    host=url.raw_host,
                    port=url.port,
                    target=url.raw_path,
                ),
                headers=request.headers.raw,
                content=_RequestBody(request.content),
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _RequestBody:
    """Gives the body in one piece; httpx's own is a generator that may be left over.

    httpcore stops reading a body when a server replies before it is sent, and trio
    warns of generators that have been left suspended.
    """

    def __init__(self, data: bytes) -> None:
        self._pieces = [data] if data else []

    def __aiter__(self) -> _RequestBody:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:  # noqa: ASYNC900 - httpx's
        async for part in self._response.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, network: Network, ssl_context: ssl.SSLContext | None) -> None:
        self._network = network
        self._ssl_context = ssl_context

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002 - httpcore's interface
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        exchange = EXCHANGE.get()
        exchange.is_connecting = True
        stream = await self._network.connect_tcp(host, port)
        exchange.is_connecting = False
        return _Stream(stream, host, port, self._ssl_context)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(
        self,
        stream: ByteStream,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._stream = stream
        self._ssl_context = ssl_context
        self._host = host
        self._port = port

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
    ) -> bytes:
        exchange = EXCHANGE.get()
        if exchange.is_given_up:
            raise httpcore.ReadError("given up")
        exchange.check_head()
        most = _READ_HEAD_BYTES if exchange.is_in_head else _READ_BYTES
        try:
            data = await self._stream.receive(min(max_bytes, most))
        except anyio.EndOfStream:
            exchange.has_ended = True
            return b""
        except LOST as exc:
            raise httpcore.ReadError(reason_of(exc)) from exc
        exchange.count(data)
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
    ) -> None:
        if not buffer:
            return
        try:
            await self._stream.send(buffer)
        except LOST as exc:
            raise httpcore.WriteError(reason_of(exc)) from exc

    async def aclose(self) -> None:
        await anyio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
    ) -> httpcore.AsyncNetworkStream:
        exchange = EXCHANGE.get()
        exchange.is_connecting = True
        wrapped = await start_tls(
            self._stream,
            self._ssl_context or ssl_context,
            host=server_hostname or self._host,
            port=self._port,
        )
        exchange.is_connecting = False
        return _Stream(wrapped, self._host, self._port, self._ssl_context)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's interface
        # The pool asks this before it uses an idle connection again: a readable one
        # has been closed by the server.
        if info != "is_readable":
            return None
        raw = self._stream.extra(SocketAttribute.raw_socket, None)
        if raw is None:
            return bool(self._stream.extra(StreamAttribute.has_input, None))
        return raw.fileno() < 0 or _is_readable(raw.fileno())


def _is_readable(number: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(number, selectors.EVENT_READ)
        return bool(selector.select(0))
