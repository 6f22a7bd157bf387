"""Both ends of connections, over any network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import anyio
from anyio.abc import ByteStream

from structiot._kit.net.network import Network, TcpListener, UdpSocket

Ends = Callable[[], AbstractAsyncContextManager[tuple[ByteStream, ByteStream]]]


class Server:
    """Keeps the streams that came in, each for as long as its handler is let live."""

    def __init__(self, listener: TcpListener) -> None:
        self.address = listener.address
        self.streams: list[ByteStream] = []
        self._arrived = anyio.Event()

    async def handle(self, stream: ByteStream) -> None:
        self.streams.append(stream)
        self._arrived.set()
        try:
            await anyio.sleep_forever()
        finally:
            await anyio.aclose_forcefully(stream)

    async def stream(self, number: int = 0) -> ByteStream:
        with anyio.fail_after(5):
            while len(self.streams) <= number:
                self._arrived = anyio.Event()
                await self._arrived.wait()
        return self.streams[number]


@contextlib.asynccontextmanager
async def served(network: Network, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    async with network.listen_tcp(host, 0) as listener:
        server = Server(listener)
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, server.handle)
            yield server
            tg.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def connected(
    network: Network, *, is_swapped: bool = False
) -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    """Give the client's and the server's end of one connection."""
    async with served(network) as server:
        async with await network.connect_tcp(*server.address) as client:
            accepted = await server.stream()
            yield (accepted, client) if is_swapped else (client, accepted)


async def unused_port(network: Network) -> int:
    async with network.listen_tcp("127.0.0.1", 0) as listener:
        return listener.address[1]


@contextlib.asynccontextmanager
async def udp_pair(network: Network) -> AsyncIterator[tuple[UdpSocket, UdpSocket]]:
    async with (
        network.open_udp("127.0.0.1") as one,
        network.open_udp("127.0.0.1") as other,
    ):
        yield one, other
