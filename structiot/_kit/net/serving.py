"""Clients that dial in: accepted, bounded, identified in time, served and seen off.

    handshake --> unidentified --- identified() ---> identified
        |              |                                 |
        +--------------+------- end(), or its own end ---+--> goodbye --> closed

Accepting waits for nobody: TLS, the handler and the goodbye have a task for each client,
in which alone the client is read, and an idle one costs no other. What is to be written
collects in the client's `out`. What a client does, and what a handler raises, costs
that client, and is said once.
"""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, TaskGroup

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.client_stream import ClientStream
from structiot._kit.net.counted_warnings import CountedWarnings
from structiot._kit.net.handshakes import Handshakes
from structiot._kit.net.network import Address, Network, TcpListener
from structiot._kit.net.room import Room
from structiot._kit.net.sockets import MOST_BACKLOG
from structiot._kit.net.unidentified import Unidentified
from structiot._kit.text import counted

__all__ = ["ClientServer", "ClientStream", "Endpoint", "ServingLimits", "serve_clients"]

# How long all clients together have for their last words when the server ends.
GOODBYE_S = 1.5
# Then others have a turn.
_GOODBYES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where clients dial in.

    Attributes:
        host: Address to bind.
        port: TCP port; 0 takes a free one.
        ssl_context: Certificate and key, where TLS is spoken.
        upgrade: Makes another stream of a client's, such as that in a websocket.
        backlog: How many connections may wait to be accepted, if the system lets so many.
    """

    host: str
    port: int
    ssl_context: ssl.SSLContext | None = None
    upgrade: Callable[[ByteStream], Awaitable[ByteStream]] | None = None
    backlog: int = MOST_BACKLOG


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingLimits:
    """What clients may have.

    Attributes:
        clients: Connections at once; who comes then is turned away, a moment later, for
            others may just be leaving.
        per_address: Connections of one address (of IPv6, of one /64).
        spare: The last so many places are for addresses that have fewer than that.
        unidentified: Connections that have not been called `identified` yet, of which
            the oldest of who has most yields to a newcomer; None for any number, and none yields.
        first_words_s: Longest time until `identified`, TLS included.
        waiting_bytes: What may wait for one client; with more to write it is ended.
        stall_s: How long a client may take nothing before it is ended.
    """

    clients: int
    per_address: int = sys.maxsize
    spare: int = 0
    unidentified: int | None = None
    first_words_s: float = 10.0
    waiting_bytes: int = sys.maxsize
    stall_s: float = 30.0


class ClientServer:
    """All clients of a server; made by `serve_clients`.

    Attributes:
        addresses: Where it listens, in the order of the endpoints.
        clients: How many there are.
        unidentified: Those that have not said who they are.
        limits: What clients may have.
        log: Where their trouble is told.
        tasks: For what runs beside a handler.
        warnings: What it is told of often.
        handshakes: Of those that speak TLS, in turn.
        on_unheard: Is told of who could say nothing, for its handshake failed, and why.
    """

    def __init__(
        self,
        handler: Callable[[ClientStream], Awaitable[None]],
        limits: ServingLimits,
        log: logging.Logger,
        tasks: TaskGroup,
    ) -> None:
        self.addresses: list[Address] = []
        self.clients: int = 0
        self.unidentified: Unidentified = Unidentified()
        self.limits = limits
        self.log = log
        self.tasks = tasks
        self.warnings: CountedWarnings = CountedWarnings(log, tasks)
        self.handshakes: Handshakes = Handshakes()
        self.on_unheard: Callable[[ClientStream, str], object] = lambda *_: None
        self._handler = handler
        self._by_address: dict[str, int] = {}
        self._room = Room()
        self._is_open = True
        self._is_empty = anyio.Event()

    async def listen(self, listener: TcpListener, endpoint: Endpoint) -> None:
        """Serve who comes in here, until cancelled."""

        # Not async: a frame that only waits would cost each client half a kilobyte.
        def serve(stream: ByteStream) -> Coroutine[Any, Any, None]:
            return self.serve(endpoint, stream)

        await listener.serve(serve)

    async def serve(self, endpoint: Endpoint, stream: ByteStream) -> None:
        """Serve one client; raises nothing that it is to blame for."""
        client = ClientStream(self, endpoint, stream)
        network, by_address = client.network, self._by_address
        try:
            await self._room.soon(lambda: not self._refusal(client))
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        if why := self._refusal(client):
            if self._is_open:
                self.warnings.say(why, "connections were turned away")
            await anyio.aclose_forcefully(stream)
            return
        self._make_room()
        self.clients += 1
        by_address[network] = by_address.get(network, 0) + 1
        self.unidentified.add(client)
        try:
            await client.run(self._handler)
        finally:
            self.clients -= 1
            by_address[network] -= 1
            if not by_address[network]:
                del by_address[network]
            self.unidentified.discard(client)
            self._room.left()
            if not self.clients:
                self._is_empty.set()

    def _refusal(self, client: ClientStream) -> str:
        """Say why there is no room for another client; nothing where there is."""
        limits, host = self.limits, client.host
        if not self._is_open:
            return "the server ends"
        count = self._by_address.get(client.network, 0)
        free = limits.clients - self.clients
        has_share = count >= limits.spare > 0 and free <= limits.spare
        if count >= limits.per_address or has_share:
            return f"{host} has {counted(count, 'connection')}: no more"
        can_yield = limits.unidentified is not None and bool(self.unidentified)
        if self.clients >= limits.clients and not can_yield:
            return f"{counted(limits.clients, 'client')} connected already, {host} is turned away"
        return ""

    def _make_room(self) -> None:
        """Have one who has not said who it is yield, if there are too many."""
        limits, unidentified = self.limits, self.unidentified
        if limits.unidentified is None or not unidentified:
            return
        is_full = self.clients >= limits.clients
        if is_full or len(unidentified) >= limits.unidentified:
            oldest = unidentified.pop()
            self.log.info("client %s yields to a newcomer", oldest.host)
            oldest.abort()

    async def shut_down(self, goodbyes: Generator[None]) -> None:
        """Have all clients told, and wait a little for them to hear; shielded."""
        self._is_open = False
        with closing(goodbyes), anyio.move_on_after(GOODBYE_S, shield=True):
            for number, _ in enumerate(goodbyes, 1):
                if number % _GOODBYES_AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
            while self.clients:
                self._is_empty = anyio.Event()
                await self._is_empty.wait()


@asynccontextmanager
async def serve_clients(
    network: Network,
    endpoints: Sequence[Endpoint],
    handler: Callable[[ClientStream], Awaitable[None]],
    *,
    limits: ServingLimits,
    goodbyes: Callable[[], Generator[None]],
    log: logging.Logger,
    on_unheard: Callable[[ClientStream, str], object] = lambda *_: None,
) -> AsyncGenerator[ClientServer]:
    """Serve clients that dial in for the length of the block.

    Args:
        network: Where the endpoints are bound.
        endpoints: Where clients may dial in.
        handler: Serves one client in a task of its own, reads it, and calls
            `identified`. What it raises costs this client; it is cancelled when the
            client is ended, and what is in `out` then is still written.
        limits: What clients may have.
        goodbyes: Is called at the end of the block; each step of it ends a client, as
            `end` does. Others have turns between the steps.
        log: Where trouble with clients is told.
        on_unheard: Is told of who could say nothing, for its handshake failed, and why.

    Yields:
        The server.

    Raises:
        ConnectFailed: An address cannot be bound.
    """
    async with AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(
                network.listen_tcp(one.host, one.port, backlog=one.backlog)
            )
            for one in endpoints
        ]
        tasks = await stack.enter_async_context(service_group())
        server = ClientServer(handler, limits, log, tasks)
        server.on_unheard = on_unheard
        for listener, endpoint in zip(listeners, endpoints, strict=True):
            server.addresses.append(listener.address)
            tasks.start_soon(server.listen, listener, endpoint)
        try:
            yield server
        finally:
            # It shields itself and is bounded.
            await server.shut_down(goodbyes())  # noqa: ASYNC102
