"""A server of ours in memory, and a client that sends any bytes to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import ByteStream

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import Handler, HttpServer
from structiot._kit.net.network import Network

URL = "http://cloud"
GET = b"GET /a HTTP/1.1\r\nHost: cloud\r\n\r\n"


async def tell(request: HttpRequest) -> HttpReply:
    """Reply with what was asked."""
    return HttpReply.of_json(
        {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": request.body.decode("latin-1"),
        }
    )


@asynccontextmanager
async def serving(
    network: Network, handler: Handler = tell, *, port: int = 80, **options: Any
) -> AsyncIterator[None]:
    server = HttpServer(handler, **options)
    async with network.listen_tcp("cloud", port) as listener:
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, server.serve)
            yield
            tg.cancel_scope.cancel()


async def all_of(stream: ByteStream) -> bytes:
    received = b""
    with suppress(anyio.EndOfStream):
        while True:
            received += await stream.receive()
    return received


async def say(network: Network, *pieces: bytes, gap_s: float = 0) -> bytes:
    """Send something; give all that comes back up to the end of the connection."""
    async with await network.connect_tcp("cloud", 80) as stream:
        for piece in pieces:
            await stream.send(piece)
            await anyio.sleep(gap_s)
        return await all_of(stream)
