"""A network inside the process: hosts and ports without sockets.

Streams are bounded like a socket's buffers, so that back-pressure, half-sent
messages and peers that never read behave as on a wire. What would fail with sockets
fails here: two tasks reading one stream, a broadcast without leave, a datagram that
is too long. Nothing here waits for the clock, so it works under virtual time.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import (
    Address,
    StreamAttribute,
    check_port,
    place,
)
from structiot._kit.net.sockets import MOST_BACKLOG
from structiot.errors import ConnectFailed, LinkLost, TransportError

__all__ = ["BROADCAST", "MemoryNetwork", "memory_pipe"]

BROADCAST = "255.255.255.255"
_FREE_PORTS = range(49152, 65536)
_LARGEST_DATAGRAM = 65507
_BUFFER_BYTES = 65536
_QUEUED_DATAGRAMS = 1024
_BACKLOG = 1024
_WILDCARDS = ("", "*", "0.0.0.0", "::")  # noqa: S104 - compared, never bound


class _Pipe:
    """One direction of a stream."""

    def __init__(self, buffer_bytes: int) -> None:
        self.buffer = bytearray()
        self.room = buffer_bytes
        self.is_ended = False
        self.is_broken = False
        self.changed = anyio.Event()

    def notify(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    def finish(self, *, is_broken: bool = False) -> None:
        self.is_ended = True
        self.is_broken = self.is_broken or is_broken
        self.notify()


class MemoryStream(ByteStream):
    """One end of a TCP connection that lives in memory."""

    def __init__(
        self, inward: _Pipe, outward: _Pipe, local: Address, peer: Address
    ) -> None:
        self._inward = inward
        self._outward = outward
        self._is_closed = False
        self._receiving = anyio.ResourceGuard("reading from")
        self._sending = anyio.ResourceGuard("writing to")
        self._local = local
        self._peer = peer

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Local and remote address, as a socket has them, and whether input waits."""
        return {
            SocketAttribute.local_address: lambda: self._local,
            SocketAttribute.remote_address: lambda: self._peer,
            SocketAttribute.remote_port: lambda: self._peer[1],
            StreamAttribute.has_input: self._has_input,
        }

    def _has_input(self) -> bool:
        return self._is_closed or self._inward.is_ended or bool(self._inward.buffer)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for bytes; EndOfStream after the peer's end, Broken after a reset."""
        with self._receiving:
            await anyio.lowlevel.checkpoint()
            pipe = self._inward
            while True:
                if self._is_closed:
                    raise anyio.ClosedResourceError
                if pipe.is_broken:
                    raise anyio.BrokenResourceError
                if pipe.buffer:
                    data = bytes(pipe.buffer[:max_bytes])
                    del pipe.buffer[: len(data)]
                    pipe.notify()
                    return data
                if pipe.is_ended:
                    raise anyio.EndOfStream
                await pipe.changed.wait()

    async def send(self, item: bytes) -> None:
        """Write all of it, waiting while the peer's buffer is full."""
        with self._sending:
            await anyio.lowlevel.checkpoint()
            pipe = self._outward
            view = memoryview(item)
            while True:
                if self._is_closed:
                    raise anyio.ClosedResourceError
                if pipe.is_ended:
                    raise anyio.BrokenResourceError
                free = pipe.room - len(pipe.buffer)
                if free > 0 and view:
                    pipe.buffer += view[:free]
                    view = view[free:]
                    pipe.notify()
                if not view:
                    return
                await pipe.changed.wait()

    async def send_eof(self) -> None:
        """End the outward direction; the peer reads what was sent, then the end."""
        with self._sending:
            await anyio.lowlevel.checkpoint()
            if self._is_closed:
                raise anyio.ClosedResourceError
            self._outward.finish()

    async def aclose(self) -> None:
        """Close both directions; closing twice is silent."""
        self._close()
        await anyio.lowlevel.checkpoint()

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._outward.finish()
            self._inward.finish()

    def reset(self) -> None:
        """Break the connection as a reset does: what is under way is lost."""
        self._is_closed = True
        self._outward.finish(is_broken=True)
        self._inward.finish(is_broken=True)


def memory_pipe(
    near: Address = ("127.0.0.1", 1),
    far: Address = ("127.0.0.1", 2),
    *,
    buffer_bytes: int = _BUFFER_BYTES,
) -> tuple[MemoryStream, MemoryStream]:
    """Make the two ends of a connection."""
    ahead, back = _Pipe(buffer_bytes), _Pipe(buffer_bytes)
    return MemoryStream(back, ahead, near, far), MemoryStream(ahead, back, far, near)


class _MemoryListener:
    def __init__(self, address: Address, backlog: int) -> None:
        self.address = address
        self.backlog: Mailbox[MemoryStream] = Mailbox(
            min(backlog, _BACKLOG),
            policy="drop_newest",
            name=f"backlog of {place(*address)}",
        )

    async def serve(
        self, handler: Callable[[ByteStream], Coroutine[Any, Any, None]]
    ) -> None:
        async with service_group() as tg:
            async for stream in self.backlog:
                tg.start_soon(handler, stream)
            await anyio.sleep_forever()


class _MemoryUdp:
    def __init__(
        self, network: MemoryNetwork, address: Address, *, may_broadcast: bool
    ) -> None:
        self._network = network
        self._may_broadcast = may_broadcast
        self.address = address
        self.box: Mailbox[tuple[bytes, Address]] = Mailbox(
            _QUEUED_DATAGRAMS,
            policy="drop_newest",
            name=f"UDP {place(*address)}",
        )

    async def send(self, data: bytes, host: str, port: int) -> None:
        await anyio.lowlevel.checkpoint()
        reason = None
        if self.box.is_closed:
            reason = "closed on this side"
        elif not self._may_broadcast and self._network.is_broadcast(host):
            reason = "permission denied"
        elif len(data) > _LARGEST_DATAGRAM:
            reason = "message too long"
        if reason is not None:
            message = f"cannot send to {place(host, port)}: {reason}"
            raise TransportError(message)
        self._network.deliver(bytes(data), self.address, (host, port))

    async def receive(self) -> tuple[bytes, Address]:
        await anyio.lowlevel.checkpoint()
        try:
            return await self.box.receive()
        except anyio.EndOfStream:
            message = f"UDP socket {place(*self.address)} was closed"
            raise LinkLost(message, reason="closed on this side") from None


class MemoryNetwork:
    """Hosts, ports and datagrams without an operating system.

    Any host name may be bound. A datagram to `255.255.255.255` reaches every UDP
    socket on that port, the sender's own included, one to a subnet's broadcast address
    those in the subnet. Datagrams to nobody vanish, as on a wire.

    Args:
        host: The address that sockets bound to no particular host show to others.
        subnets: Networks with a broadcast address, such as `"192.168.1.0/24"`.

    Attributes:
        host: The address that sockets bound to no particular host show to others.
        datagrams: The latest 1000 datagrams, lost ones too: data, source, target.
    """

    def __init__(self, host: str = "127.0.0.1", *, subnets: Iterable[str] = ()) -> None:
        self.host = host
        self._subnets = {
            str(subnet.broadcast_address): subnet
            for subnet in map(IPv4Network, subnets)
        }
        self._listeners: dict[Address, _MemoryListener] = {}
        self._udp: dict[Address, _MemoryUdp] = {}
        self._free_ports = itertools.cycle(_FREE_PORTS)
        self.datagrams: deque[tuple[bytes, Address, Address]] = deque(maxlen=1000)

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        """Connect to a listener of this network."""
        await anyio.lowlevel.checkpoint()
        listener = self._listeners.get((self._plain(host), port))
        near, far = memory_pipe((self.host, self._free_port()), (host, port))
        if listener is None or not listener.backlog.put(far):
            message = f"cannot connect to {place(host, port)}: connection refused"
            raise ConnectFailed(message, host=host, port=port)
        return near

    @asynccontextmanager
    async def listen_tcp(
        self, host: str, port: int, *, backlog: int = MOST_BACKLOG
    ) -> AsyncGenerator[_MemoryListener]:
        """Bind a listener; the same address cannot be bound twice."""
        address = self._bound("TCP", host, port, self._listeners)
        listener = self._listeners[address] = _MemoryListener(address, backlog)
        try:
            yield listener
        finally:
            del self._listeners[address]
            listener.backlog.close()
            while listener.backlog:
                listener.backlog.receive_nowait().reset()

    @asynccontextmanager
    async def open_udp(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        may_broadcast: bool = False,
    ) -> AsyncGenerator[_MemoryUdp]:
        """Bind a UDP socket; the same address cannot be bound twice."""
        address = self._bound("UDP", host or "*", port, self._udp)
        udp = _MemoryUdp(self, address, may_broadcast=may_broadcast)
        self._udp[address] = udp
        try:
            yield udp
        finally:
            del self._udp[address]
            udp.box.close()

    def is_broadcast(self, host: str) -> bool:
        """Whether a datagram to this address is for many."""
        return host == BROADCAST or host in self._subnets

    def deliver(self, data: bytes, source: Address, target: Address) -> None:
        """Put a datagram into the boxes of whom it is for."""
        self.datagrams.append((data, source, target))
        host, port = target
        if self.is_broadcast(host):
            for udp in list(self._udp.values()):
                if udp.address[1] == port and self._hears(udp.address[0], host):
                    udp.box.put((data, source))
        elif (udp_here := self._udp.get((self._plain(host), port))) is not None:
            udp_here.box.put((data, source))

    def _hears(self, host: str, broadcast: str) -> bool:
        if broadcast == BROADCAST:
            return True
        try:
            return IPv4Address(host) in self._subnets[broadcast]
        except AddressValueError:
            return False

    def _bound(
        self, kind: str, host: str, port: int, taken: Mapping[Address, object]
    ) -> Address:
        address = (self._plain(host), port or self._free_port())
        try:
            check_port(port)
            reason = "address already in use" if address in taken else ""
        except ValueError as exc:
            reason = str(exc)
        if reason:
            message = f"cannot bind {kind} {place(host, port)}: {reason}"
            raise ConnectFailed(message, host=host, port=port)
        return address

    def _plain(self, host: str) -> str:
        return self.host if host in _WILDCARDS or host == "localhost" else host

    def _free_port(self) -> int:
        taken = {address[1] for address in (*self._listeners, *self._udp)}
        return next(port for port in self._free_ports if port not in taken)
