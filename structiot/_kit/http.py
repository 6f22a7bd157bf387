"""The one door to HTTP: httpx over our network seam, its errors mapped to our tree."""

from __future__ import annotations

import selectors
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpcore
import httpx
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from structiot._kit.network import LOST, REAL_NETWORK, Network
from structiot.errors import (
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    TransportError,
)

__all__ = ["HttpClient", "HttpReply", "open_http"]

_CHUNK_BYTES = 65536
# httpcore has one class for "hung up without a byte" and for broken replies; only
# its text tells them apart. tests/link/kit/test_http.py holds it to that text.
_HUNG_UP = "without sending a response"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """What a server answered.

    Attributes:
        status: HTTP status code.
        headers: Header fields, names in lower case.
        body: The whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Requests to one server; safe to use from several tasks."""

    def __init__(
        self, client: httpx.AsyncClient, *, reply_s: float, max_body_bytes: int
    ) -> None:
        self._client = client
        self._reply_s = reply_s
        self._max_body_bytes = max_body_bytes

    async def get(self, target: str, *, headers: Mapping[str, str] | None = None) -> HttpReply:
        """Request `target`, a path with its query, both already percent-encoded.

        Raises:
            ConnectFailed: No connection.
            ReplyTimeout: The reply was not complete within `reply_s`.
            LinkLost: The server hung up.
            ProtocolViolation: What came is no HTTP, or larger than allowed.
        """
        return await self.request("GET", target, headers=headers)

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpReply:
        """Send a request and read the whole reply; raises as `get` does."""
        what = f"{method} {self._client.base_url.join(target.partition('?')[0])}"
        request = self._client.build_request(method, target, content=body, headers=headers)
        try:
            with anyio.fail_after(self._reply_s):
                return await self._exchange(request, what)
        except TimeoutError as exc:
            message = f"no reply to {what} within {self._reply_s:g} s"
            raise ReplyTimeout(message, request=what, after_s=self._reply_s) from exc
        except httpx.RemoteProtocolError as exc:
            if _HUNG_UP in str(exc):
                message = f"{what}: the peer hung up without a reply"
                raise LinkLost(message, reason="hung up without a reply") from exc
            message = f"{what}: not a valid HTTP reply: {exc}"
            raise ProtocolViolation(message) from exc
        except (httpx.DecodingError, httpx.InvalidURL, httpx.TooManyRedirects) as exc:
            message = f"{what}: not a valid HTTP reply: {exc}"
            raise ProtocolViolation(message) from exc
        except httpx.HTTPError as exc:
            message = f"{what}: connection lost: {str(exc) or type(exc).__name__}"
            raise LinkLost(message) from exc

    async def _exchange(self, request: httpx.Request, what: str) -> HttpReply:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes(_CHUNK_BYTES):
                body += chunk
                if len(body) > self._max_body_bytes:
                    message = f"{what}: reply is larger than {self._max_body_bytes} bytes"
                    raise ProtocolViolation(message, data=bytes(body[:255]))
        finally:
            with anyio.CancelScope(shield=True):
                # Closing only gives the connection back; it waits for nobody.
                await response.aclose()
        return HttpReply(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(body),
        )


@asynccontextmanager
async def open_http(
    base_url: str,
    *,
    reply_s: float = 10.0,
    max_body_bytes: int = 1_048_576,
    is_kept_alive: bool = True,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    network: Network = REAL_NETWORK,
) -> AsyncGenerator[HttpClient]:
    """Open a client for one server; no connection is made before the first request.

    Proxies, cookies and `.netrc` of the environment are not used.

    Args:
        base_url: Such as `http://192.168.1.100`.
        reply_s: Longest wait for one complete reply, in seconds.
        max_body_bytes: Longest reply that is read.
        is_kept_alive: False closes the connection after each reply.
        headers: Header fields of every request.
        ssl_context: For https; verifies by default.
        network: Where connections go.
    """
    fields = {"connection": "keep-alive" if is_kept_alive else "close", **(headers or {})}
    transport = _Transport(network, ssl_context, is_kept_alive=is_kept_alive)
    async with httpx.AsyncClient(
        base_url=base_url,
        headers=fields,
        transport=transport,
        timeout=None,  # noqa: S113 - fail_after in HttpClient covers the whole exchange
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield HttpClient(client, reply_s=reply_s, max_body_bytes=max_body_bytes)


class _Transport(httpx.AsyncBaseTransport):
    """httpx's transport over httpcore's pool, so that the pool uses our network."""

    def __init__(
        self, network: Network, ssl_context: ssl.SSLContext | None, *, is_kept_alive: bool
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_keepalive_connections=None if is_kept_alive else 0,
            network_backend=_Backend(network),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        try:
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
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except httpcore.RemoteProtocolError as exc:
            raise httpx.RemoteProtocolError(str(exc)) from exc
        except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
            raise httpx.ReadError(str(exc) or type(exc).__name__) from exc
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_stream():
                yield part
        except httpcore.RemoteProtocolError as exc:
            raise httpx.RemoteProtocolError(str(exc)) from exc
        except httpcore.NetworkError as exc:
            raise httpx.ReadError(str(exc) or type(exc).__name__) from exc

    async def aclose(self) -> None:
        await self._response.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, network: Network) -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002 - httpcore's interface
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._network.connect_tcp(host, port))

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109, ARG002
        try:
            return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except LOST as exc:
            raise httpcore.ReadError(str(exc) or "reset by the peer") from exc

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109, ARG002
        if not buffer:
            return
        try:
            await self._stream.send(buffer)
        except LOST as exc:
            raise httpcore.WriteError(str(exc) or "reset by the peer") from exc

    async def aclose(self) -> None:
        await anyio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
    ) -> httpcore.AsyncNetworkStream:
        try:
            wrapped = await TLSStream.wrap(
                self._stream,
                hostname=server_hostname,
                ssl_context=ssl_context,
                standard_compatible=False,
            )
        except ssl.SSLError as exc:
            await anyio.aclose_forcefully(self._stream)
            message = f"TLS with {server_hostname} failed: {exc.reason or exc}"
            raise ConnectFailed(message, host=server_hostname) from exc
        except LOST as exc:
            await anyio.aclose_forcefully(self._stream)
            message = f"the peer hung up during the TLS handshake with {server_hostname}"
            raise TransportError(message) from exc
        return _Stream(wrapped)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's interface
        # The pool asks this before it uses an idle connection again: a readable one
        # has been closed by the server.
        if info != "is_readable":
            return None
        raw = self._stream.extra(SocketAttribute.raw_socket, None)
        if raw is None:
            return False
        if raw.fileno() < 0:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(raw.fileno(), selectors.EVENT_READ)
            return bool(selector.select(0))
