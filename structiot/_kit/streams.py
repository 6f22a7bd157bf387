"""From an address to a stream: TCP or a Unix socket, by way of a proxy, TLS, a websocket.

The deadline is the caller's, over all of it; `on_step` says what it was that took too
long. What fails closes everything that was open below it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.net.network import Network, place
from structiot._kit.net.proxy import connect_through, parse_proxy
from structiot._kit.net.sockets import SocketStream
from structiot._kit.net.tls import client_context, start_tls
from structiot.errors import ConnectFailed

if TYPE_CHECKING:
    from structiot._kit.websocket import WebSocket

__all__ = ["StreamOpener", "open_unix"]

OnStep = Callable[[str], object]


def _unheard(step: str) -> None:
    """Nobody wants to know."""


class StreamOpener:
    """Opens streams to servers, all by the same way.

    Args:
        network: Where connections go.
        proxy: `http://user:password@host:port` or `socks5://...`, through which servers
            are reached.
        tls: TLS settings, or what makes them at the first need.

    Raises:
        ConfigError: An address that is none of a proxy.
    """

    def __init__(
        self,
        network: Network,
        *,
        proxy: str | None = None,
        tls: ssl.SSLContext | Callable[[], ssl.SSLContext] = client_context,
    ) -> None:
        self._network = network
        self._proxy = None if proxy is None else parse_proxy(proxy)
        self._tls = tls

    def tls_context(self) -> ssl.SSLContext:
        """Give the TLS settings; to ask before the first attempt shows their faults early.

        Raises:
            ConfigError: They cannot be made.
        """
        if not isinstance(self._tls, ssl.SSLContext):
            self._tls = self._tls()
        return self._tls

    async def open(
        self, host: str, port: int, *, is_tls: bool = False, on_step: OnStep = _unheard
    ) -> ByteStream:
        """Open a stream of bytes.

        Raises:
            ConnectFailed: Nobody there, refused, or no TLS.
            CertificateRefused: The server's certificate cannot be trusted.
            AuthRefused: The proxy wants other credentials, the server another
                certificate.
            ConfigError: TLS settings that cannot be made.
        """
        context = self.tls_context() if is_tls else None
        on_step("a connection")
        if self._proxy is None:
            stream = await self._network.connect_tcp(host, port)
        else:
            stream = await connect_through(self._network, self._proxy, host, port)
        if context is None:
            return stream
        on_step("the TLS handshake")
        return await start_tls(stream, context, host=host, port=port)

    async def open_websocket(
        self,
        host: str,
        port: int,
        *,
        is_tls: bool = False,
        path: str = "/",
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        max_message_bytes: int = 16 * 1024 * 1024,
        on_step: OnStep = _unheard,
    ) -> WebSocket:
        """Open a websocket; raises as `open`, and when the handshake fails.

        Raises:
            ConnectFailed: The server does not speak websocket, or none of the
                subprotocols.
            AuthRefused: It answered 401 or 403.
            ConfigError: A path or header fields that HTTP cannot carry.
        """
        # With wsproto and h11, which most brokers are reached without.
        from structiot._kit.websocket import connect_websocket  # noqa: PLC0415

        stream = await self.open(host, port, is_tls=is_tls, on_step=on_step)
        on_step("the websocket handshake")
        try:
            return await connect_websocket(
                stream,
                host=place(host, port),
                path=path,
                subprotocols=subprotocols,
                headers=headers,
                max_message_bytes=max_message_bytes,
            )
        except BaseException as exc:
            await anyio.aclose_forcefully(stream)
            if isinstance(exc, ConnectFailed):
                exc.host, exc.port = host, port
            raise


async def open_unix(path: str) -> ByteStream:
    """Open a stream to a Unix socket.

    Raises:
        ConnectFailed: Nobody there, or refused.
    """
    try:
        # anyio's own stream over asyncio fails in the loop when it is closed at once
        # after a cancelled read, if something came in that moment.
        async with await anyio.connect_unix(path) as stream:
            connected = stream.extra(SocketAttribute.raw_socket).dup()
        return SocketStream(connected, (path, 0))
    except OSError as exc:
        message = f"cannot connect to the socket {path}: {exc.strerror or exc}"
        raise ConnectFailed(message, host=path) from exc
