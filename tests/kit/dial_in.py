"""A server that clients dial in to, with handlers as a test wants them."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ByteStream

from structiot._kit.net.memory import MemoryNetwork, memory_pipe
from structiot._kit.net.network import Network
from structiot._kit.net.serving import (
    ClientServer,
    ClientStream,
    Endpoint,
    ServingLimits,
    serve_clients,
)

HERE = Endpoint(host="127.0.0.1", port=0)
Handler = Callable[[ClientStream], Awaitable[None]]


class Hall:
    """A running server, who is in it, and ways to get in."""

    def __init__(self, network: Network, server: ClientServer, here: Endpoint) -> None:
        self.network = network
        self.server = server
        self._here = here
        self._tasks = server.tasks

    async def dial(self, number: int = 0) -> ByteStream:
        return await self.network.connect_tcp(*self.server.addresses[number])

    async def dial_from(self, host: str) -> ByteStream:
        """Come from another address than that of the network."""
        near, far = memory_pipe((host, 50_000), self.server.addresses[0])
        self._tasks.start_soon(self.server.serve, self._here, far)
        await anyio.wait_all_tasks_blocked()
        return near


def nobody() -> Generator[None]:
    yield from ()


@asynccontextmanager
async def hall(
    handler: Handler,
    *endpoints: Endpoint,
    network: Network | None = None,
    goodbyes: Callable[[], Generator[None]] = nobody,
    **limits: Any,
) -> AsyncGenerator[Hall]:
    network = network or MemoryNetwork()
    async with serve_clients(
        network,
        endpoints or [HERE],
        handler,
        limits=ServingLimits(**{"clients": 100, **limits}),
        goodbyes=goodbyes,
        log=logging.getLogger("test.dial_in"),
    ) as server:
        yield Hall(network, server, (endpoints or [HERE])[0])


async def echo(client: ClientStream) -> None:
    """Identify at the first word, then send back what comes."""
    while True:
        client.out += await client.stream.receive()
        client.identified()
        client.flush()


async def says(stream: ByteStream, word: bytes) -> bool:
    """Whether a client is served."""
    await stream.send(word)
    return await stream.receive() == word
