"""The one seam to the network: TCP out, TCP in, UDP, all behind one parameter.

Everything that opens a socket takes `network: Network = REAL_NETWORK`. Tests and
simulators put `MemoryNetwork` there, so that an hour of a protocol runs in
milliseconds of virtual time with no socket in flight.

`REAL_NETWORK` maps the errors of anyio and the operating system onto our tree.
Streams themselves raise anyio's three ways of saying "the peer is gone"; `LOST`
names them for the `except` of a link.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias

import anyio
from anyio import TypedAttributeProvider
from anyio.abc import ByteStream, Listener, SocketAttribute, SocketStream, UDPSocket

from structiot.errors import ConnectFailed, LinkLost, TransportError

__all__ = [
    "LOST",
    "REAL_NETWORK",
    "Address",
    "Network",
    "RealNetwork",
    "TcpListener",
    "UdpSocket",
]

Address: TypeAlias = tuple[str, int]

LOST = (
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)


class TcpListener(Protocol):
    """A bound TCP socket."""

    @property
    def address(self) -> Address:
        """Host and port it is bound to."""
        ...

    async def serve(self, handler: Callable[[ByteStream], Coroutine[Any, Any, None]]) -> None:
        """Run `handler` in a task of its own for each connection, until cancelled.

        The handler owns the stream and closes it; what it raises ends the server,
        so it handles what a peer can do to it.
        """
        ...


class UdpSocket(Protocol):
    """A bound UDP socket."""

    @property
    def address(self) -> Address:
        """Host and port it is bound to."""
        ...

    async def send(self, data: bytes, host: str, port: int) -> None:
        """Send one datagram.

        Raises:
            TransportError: The operating system refused it.
        """
        ...

    async def receive(self) -> tuple[bytes, Address]:
        """Wait for one datagram and say who sent it.

        Raises:
            LinkLost: The socket was closed.
        """
        ...


class Network(Protocol):
    """Where connections and datagrams go."""

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        """Open a TCP connection, without delay of small writes.

        Raises:
            ConnectFailed: Nobody there, refused, or the name is unknown.
        """
        ...

    def listen_tcp(self, host: str, port: int) -> AbstractAsyncContextManager[TcpListener]:
        """Bind a TCP socket for the length of the block; port 0 takes a free one.

        Raises:
            ConnectFailed: The address cannot be bound.
        """
        ...

    def open_udp(
        self, host: str | None = None, port: int = 0, *, may_broadcast: bool = False
    ) -> AbstractAsyncContextManager[UdpSocket]:
        """Bind a UDP socket for the length of the block; port 0 takes a free one.

        Raises:
            ConnectFailed: The address cannot be bound.
        """
        ...


class _RealListener:
    def __init__(self, listener: Listener[SocketStream]) -> None:
        self._listener = listener
        self.address = _local_address(listener)

    async def serve(self, handler: Callable[[ByteStream], Coroutine[Any, Any, None]]) -> None:
        await self._listener.serve(handler)


class _RealUdp:
    def __init__(self, udp: UDPSocket) -> None:
        self._udp = udp
        self.address = _local_address(udp)

    async def send(self, data: bytes, host: str, port: int) -> None:
        try:
            await self._udp.sendto(data, host, port)
        except LOST as exc:
            message = f"cannot send to {host}:{port}: {_why(exc)}"
            raise TransportError(message) from exc

    async def receive(self) -> tuple[bytes, Address]:
        try:
            data, (host, port, *_) = await self._udp.receive()
        except LOST as exc:
            message = f"UDP socket {self.address[0]}:{self.address[1]} was closed"
            raise LinkLost(message, reason=_why(exc)) from exc
        return data, (host, port)


class RealNetwork:
    """The operating system's network."""

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        try:
            stream = await anyio.connect_tcp(host, port)
        except OSError as exc:
            message = f"cannot connect to {host}:{port}: {_why(exc)}"
            raise ConnectFailed(message, host=host, port=port) from exc
        stream.extra(SocketAttribute.raw_socket).setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        return stream

    @asynccontextmanager
    async def listen_tcp(self, host: str, port: int) -> AsyncGenerator[TcpListener]:
        try:
            listeners = await anyio.create_tcp_listener(
                local_host=host, local_port=port, reuse_port=False
            )
        except OSError as exc:
            raise _bind_failed("TCP", host, port, exc) from exc
        async with listeners:
            yield _RealListener(listeners.listeners[0])

    @asynccontextmanager
    async def open_udp(
        self, host: str | None = None, port: int = 0, *, may_broadcast: bool = False
    ) -> AsyncGenerator[UdpSocket]:
        try:
            udp = await anyio.create_udp_socket(
                family=socket.AF_UNSPEC if host else socket.AF_INET,
                local_host=host,
                local_port=port,
            )
        except OSError as exc:
            raise _bind_failed("UDP", host or "*", port, exc) from exc
        async with udp:
            if may_broadcast:
                udp.extra(SocketAttribute.raw_socket).setsockopt(
                    socket.SOL_SOCKET, socket.SO_BROADCAST, 1
                )
            yield _RealUdp(udp)


def _local_address(bound: TypedAttributeProvider) -> Address:
    address = bound.extra(SocketAttribute.local_address)
    return (str(address[0]), int(address[1]))


def _bind_failed(kind: str, host: str, port: int, exc: OSError) -> ConnectFailed:
    message = f"cannot bind {kind} {host}:{port}: {_why(exc)}"
    return ConnectFailed(message, host=host, port=port)


def _why(exc: BaseException) -> str:
    # anyio wraps the attempts on several addresses in one OSError; the first real
    # cause says more than "All connection attempts failed".
    cause: BaseException | None = exc.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    root = cause if isinstance(cause, OSError) else exc
    if isinstance(root, ssl.SSLError):
        return str(root.reason or root)
    if isinstance(root, OSError) and root.errno is not None and root.errno > 0:
        return os.strerror(root.errno).lower()
    if isinstance(root, OSError) and root.strerror:
        return root.strerror.lower()
    return str(root) or type(root).__name__


REAL_NETWORK: Network = RealNetwork()
