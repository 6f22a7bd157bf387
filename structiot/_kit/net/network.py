"""The one seam to the network: TCP out, TCP in, UDP, all behind one parameter.

Everything that opens a socket takes `network: Network = REAL_NETWORK`. Tests and
simulators put `MemoryNetwork` there, so that an hour of a protocol runs in
milliseconds of virtual time with no socket in flight.

`REAL_NETWORK` maps the errors of anyio and the operating system onto our tree.
Streams themselves raise anyio's three ways of saying "the peer is gone"; `LOST`
names them for the `except` of a link.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias, cast

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute, SocketListener, TaskGroup

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.by_name import connect_by_name
from structiot._kit.net.connecting import connect, family_of
from structiot._kit.net.sockets import MOST_BACKLOG, accept
from structiot.errors import ConnectFailed, LinkLost, TransportError

__all__ = [
    "LOST",
    "REAL_NETWORK",
    "Address",
    "Network",
    "RealNetwork",
    "StreamAttribute",
    "TcpListener",
    "UdpSocket",
    "check_port",
    "is_loopback",
    "network_of",
    "place",
    "reason_of",
]

Address: TypeAlias = tuple[str, int]

# TimeoutError is an OSError: keep `fail_after` outside of what catches these.
LOST = (
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)

# What the operating system and Python raise for an address that cannot be.
_BAD_ADDRESS = (OSError, ValueError)
_WORDS: dict[type[BaseException], str] = {
    anyio.EndOfStream: "the peer hung up",
    anyio.ClosedResourceError: "closed on this side",
    anyio.BrokenResourceError: "connection broken",
}
_LARGEST_DATAGRAM = 65535
_ACCEPT_PAUSE_S = 0.1

_log = logging.getLogger(__name__)


class StreamAttribute(anyio.TypedAttributeSet):
    """What the streams of a network without sockets tell about themselves."""

    has_input: bool = anyio.typed_attribute()
    """Whether `receive` would return or raise at once."""


class TcpListener(Protocol):
    """A bound TCP socket."""

    @property
    def address(self) -> Address:
        """Host and port it is bound to."""
        ...

    async def serve(
        self, handler: Callable[[ByteStream], Coroutine[Any, Any, None]]
    ) -> None:
        """Run `handler` in a task of its own for each connection, until cancelled.

        The handler owns the stream and closes it; what it raises ends the server
        and comes out as it is, so it handles what a peer can do to it.
        """
        ...


class UdpSocket(Protocol):
    """A bound UDP socket."""

    @property
    def address(self) -> Address:
        """Host and port it is bound to."""
        ...

    async def send(self, data: bytes, host: str, port: int) -> None:
        """Send one datagram; a name is looked up each time.

        Raises:
            TransportError: The operating system refused it, the name is unknown or
                the socket was closed.
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

        The stream belongs to the caller, who closes it: `async with stream`. Its
        `receive` and `send` raise `anyio.EndOfStream`, `anyio.BrokenResourceError` or
        `OSError` when the peer has gone. `ConnectFailed` is an `OSError` as well: who
        catches those round both lets `TransportError` pass first.

        Raises:
            ConnectFailed: Nobody there, refused, or the name is unknown.
        """
        ...

    def listen_tcp(
        self, host: str, port: int, *, backlog: int = MOST_BACKLOG
    ) -> AbstractAsyncContextManager[TcpListener]:
        """Bind a TCP socket for the length of the block; port 0 takes a free one.

        As many as `backlog` wait to be accepted, if the system lets so many.

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
    def __init__(self, listeners: list[SocketListener]) -> None:
        self._listeners = listeners
        address = listeners[0].extra(SocketAttribute.local_address)
        self.address = (str(address[0]), int(address[1]))

    async def serve(
        self, handler: Callable[[ByteStream], Coroutine[Any, Any, None]]
    ) -> None:
        async with service_group() as tg:
            # A name such as localhost has an address and a socket for each family.
            for listener in self._listeners:
                tg.start_soon(self._accept, listener, handler, tg)
            await anyio.sleep_forever()

    async def _accept(
        self,
        listener: SocketListener,
        handler: Callable[[ByteStream], Coroutine[Any, Any, None]],
        tg: TaskGroup,
    ) -> None:
        is_failing = False
        while True:
            try:
                stream = await accept(listener.extra(SocketAttribute.raw_socket))
            except anyio.ClosedResourceError:
                return
            except (OSError, anyio.BrokenResourceError) as exc:
                # Too many open files, or a peer that has gone before it was accepted:
                # no reason to stop serving the others. Said once until it works again.
                if not is_failing:
                    is_failing = True
                    where = place(*self.address)
                    _log.warning("cannot accept on %s: %s", where, reason_of(exc))
                await anyio.sleep(_ACCEPT_PAUSE_S)
            else:
                is_failing = False
                tg.start_soon(handler, stream)


class _RealUdp:
    """A socket of our own: anyio's hides the errors of sending on asyncio."""

    def __init__(self, udp: socket.socket) -> None:
        self._socket = udp
        self._is_closed = False
        address = udp.getsockname()
        self.address = (str(address[0]), int(address[1]))

    async def send(self, data: bytes, host: str, port: int) -> None:
        await anyio.lowlevel.checkpoint()
        try:
            check_port(port)
            await self._send(data, await self._address(host, port))
        except (*_BAD_ADDRESS, anyio.ClosedResourceError) as exc:
            message = f"cannot send to {place(host, port)}: {reason_of(exc)}"
            raise TransportError(message) from exc

    async def _address(self, host: str, port: int) -> tuple[Any, ...]:
        if family_of(host) == self._socket.family:
            return host, port
        infos = await anyio.getaddrinfo(
            host, port, family=self._socket.family, type=socket.SOCK_DGRAM
        )
        return infos[0][4]

    async def _send(self, data: bytes, address: tuple[Any, ...]) -> None:
        while not self._is_closed:
            try:
                self._socket.sendto(data, address)
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            else:
                return
        raise anyio.ClosedResourceError

    async def receive(self) -> tuple[bytes, Address]:
        await anyio.lowlevel.checkpoint()
        try:
            data, (host, port, *_) = await self._receive()
        except (OSError, anyio.ClosedResourceError) as exc:
            message = f"UDP socket {place(*self.address)} was closed"
            raise LinkLost(message, reason=reason_of(exc)) from exc
        return data, (host, port)

    async def _receive(self) -> tuple[bytes, Any]:
        while not self._is_closed:
            try:
                return self._socket.recvfrom(_LARGEST_DATAGRAM)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except ConnectionError:
                # The echo of a datagram that found nobody, where the system reports
                # it (Windows does); it says nothing about this socket.
                continue
        raise anyio.ClosedResourceError

    def close(self) -> None:
        self._is_closed = True
        anyio.notify_closing(self._socket)
        self._socket.close()


class RealNetwork:
    """The operating system's network."""

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        try:
            check_port(port)
            family = family_of(host)
            if family is not None:
                return await connect((host, port), family)
            return await connect_by_name(host, port)
        except _BAD_ADDRESS as exc:
            message = f"cannot connect to {place(host, port)}: {reason_of(exc)}"
            raise ConnectFailed(message, host=host, port=port) from exc

    @asynccontextmanager
    async def listen_tcp(
        self, host: str, port: int, *, backlog: int = MOST_BACKLOG
    ) -> AsyncGenerator[TcpListener]:
        try:
            check_port(port)
            bound = await anyio.create_tcp_listener(
                local_host=host or None, local_port=port, backlog=backlog
            )
        except _BAD_ADDRESS as exc:
            raise _bind_failed("TCP", host, port, exc) from exc
        async with bound:
            # anyio's annotation forgets that these can accept one by one.
            listeners = cast("list[SocketListener]", list(bound.listeners))
            try:
                yield _RealListener(listeners)
            finally:
                # A waiter left behind would hold the number of the closed socket.
                for listener in listeners:
                    anyio.notify_closing(listener.extra(SocketAttribute.raw_socket))

    @asynccontextmanager
    async def open_udp(
        self, host: str | None = None, port: int = 0, *, may_broadcast: bool = False
    ) -> AsyncGenerator[UdpSocket]:
        try:
            udp = _RealUdp(await _bound_udp(host, port, may_broadcast=may_broadcast))
        except _BAD_ADDRESS as exc:
            raise _bind_failed("UDP", host or "*", port, exc) from exc
        try:
            yield udp
        finally:
            udp.close()


async def _bound_udp(
    host: str | None, port: int, *, may_broadcast: bool
) -> socket.socket:
    check_port(port)
    family, address = socket.AF_INET, ("", port)
    if host:
        infos = await anyio.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = infos[0]
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp.settimeout(0)
        if may_broadcast:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        udp.bind(address)
    except BaseException:
        udp.close()
        raise
    return udp


def _bind_failed(kind: str, host: str, port: int, exc: Exception) -> ConnectFailed:
    message = f"cannot bind {kind} {place(host, port)}: {reason_of(exc)}"
    return ConnectFailed(message, host=host, port=port)


def check_port(port: int) -> None:
    """Refuse a port that cannot be; name lookup would silently take another.

    Raises:
        ValueError: It is not from 0 to 65535.
    """
    if not 0 <= port <= 65535:
        message = f"a port is from 0 to 65535, not {port}"
        raise ValueError(message)


def place(host: str, port: int) -> str:
    """Write host and port as one; an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reason_of(exc: BaseException) -> str:
    """Say in one phrase why the network failed, alike on both backends."""
    cause = exc.__cause__
    if isinstance(cause, ExceptionGroup):
        # anyio has tried several addresses; often all fail for the same reason.
        return "; ".join(dict.fromkeys(map(reason_of, cause.exceptions)))
    root = cause if isinstance(cause, OSError) else exc
    text = str(_WORDS.get(type(root), root))
    if isinstance(root, ssl.SSLCertVerificationError):
        text = root.verify_message
    elif isinstance(root, ssl.SSLError):
        text = (getattr(root, "reason", None) or text).replace("_", " ").lower()
    elif isinstance(root, OSError) and root.strerror:
        # The backends add words of their own to the system's; the number is the same.
        number = None if isinstance(root, socket.gaierror) else root.errno
        text = (os.strerror(number) if number else root.strerror).lower()
    return text or type(root).__name__


REAL_NETWORK: Network = RealNetwork()


def is_loopback(host: str) -> bool:
    """Tell whether a host, by name or address, is this machine itself."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback if mapped is None else mapped.is_loopback


def network_of(host: str) -> str:
    """Give what an address counts as: itself, or the /64 of which a house has all."""
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_loopback:
        return host
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
