"""A TCP proxy that misbehaves on demand, to put between a client and any server."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.host_names import check_host
from structiot._kit.net.network import LOST, Address, Network
from structiot.errors import TransportError

__all__ = ["FaultProxy", "fault_proxy"]

READ_BYTES = 65_536

_log = logging.getLogger(__name__)


class FaultProxy:
    """Passes bytes both ways until it is told otherwise; made by `fault_proxy`.

    Attributes:
        address: Where clients connect.
        connections: How many connections were made so far.
        cuts: How many connections were broken on purpose.
        passed_bytes: Bytes passed on, both ways.
        is_refusing: New connections are closed at once.
        bytes_per_s: Speed limit of each direction; None for none.
    """

    def __init__(self, target: Address, network: Network) -> None:
        self.address: Address = ("", 0)
        self.connections: int = 0
        self.cuts: int = 0
        self.passed_bytes: int = 0
        self.is_refusing = False
        self.bytes_per_s: float | None = None
        self._target = target
        self._network = network
        self._open: dict[anyio.CancelScope, None] = {}
        self._cut_after: int | None = None
        self._flowing = anyio.Event()
        self._flowing.set()

    @property
    def is_stalled(self) -> bool:
        """Whether nothing is passed on at the moment."""
        return not self._flowing.is_set()

    def cut(self) -> int:
        """Break all connections; give their number."""
        count = len(self._open)
        self.cuts += count
        for scope in list(self._open):
            scope.cancel()
        return count

    def cut_after(self, size_bytes: int) -> None:
        """Break all connections after so many more bytes, in the middle of whatever."""
        self._cut_after = self.passed_bytes + size_bytes

    def stall(self) -> None:
        """Pass nothing on, and keep connections open: a black hole."""
        if self._flowing.is_set():
            self._flowing = anyio.Event()

    def flow(self) -> None:
        """Pass on what has waited, and all that follows."""
        self._flowing.set()

    async def serve(self, client: ByteStream) -> None:
        """Serve one client; its trouble is its own."""
        if self.is_refusing:
            await anyio.aclose_forcefully(client)
            return
        self.connections += 1
        scope = anyio.CancelScope()
        self._open[scope] = None
        try:
            with scope:
                server = await self._network.connect_tcp(*self._target)
                async with server, client, service_group(is_awaited=True) as tg:
                    tg.start_soon(self._pass_on, client, server, scope)
                    await self._pass_on(server, client, scope)
        except TransportError as exc:
            _log.info("proxy: %s", exc)
        finally:
            self._open.pop(scope, None)
            await anyio.aclose_forcefully(client)

    async def _pass_on(
        self, source: ByteStream, target: ByteStream, scope: anyio.CancelScope
    ) -> None:
        try:
            while True:
                data = await source.receive(READ_BYTES)
                await self._flowing.wait()
                if self.bytes_per_s is not None:
                    await anyio.sleep(len(data) / self.bytes_per_s)
                limit = self._cut_after
                if limit is not None and self.passed_bytes + len(data) >= limit:
                    self._cut_after = None
                    head = data[: limit - self.passed_bytes]
                    self.passed_bytes += len(head)
                    await target.send(head)
                    self.cut()
                self.passed_bytes += len(data)
                await target.send(data)
        except LOST:
            # Either side has gone; the other has to learn of it.
            scope.cancel()


@asynccontextmanager
async def fault_proxy(
    target_host: str,
    target_port: int,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[FaultProxy]:
    """Run a proxy in front of a server for the length of the block.

    Args:
        target_host: Where the server is.
        target_port: Its port.
        host: Where to listen.
        port: Port to listen at; 0 takes a free one.
        environment: Where connections come from and go to; the system's by default.

    Yields:
        The proxy; connect to `proxy.address`.

    Raises:
        ConnectFailed: The address cannot be bound.
        UsageError: An argument is none.
    """
    check_host("target_host", target_host, port_goes_to="target_port")
    check_host("host", host, port_goes_to="port")
    check_argument("environment", environment, Environment)
    network = environment.network
    proxy = FaultProxy((target_host, target_port), network)
    async with network.listen_tcp(host, port) as listener, service_group() as tg:
        proxy.address = listener.address
        tg.start_soon(listener.serve, proxy.serve)
        yield proxy
