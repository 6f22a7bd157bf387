"""A web server whose every byte is the test's own, and what it has seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream

from structiot._kit.net.memory import MemoryNetwork, MemoryStream
from structiot._kit.net.network import LOST, Network, TcpListener

Answer = bytes | Callable[[ByteStream], Awaitable[None]]
Accept = Callable[[ByteStream], Awaitable[ByteStream]]


def reply(body: bytes = b"ok", *fields: str, status: str = "200 OK") -> bytes:
    """Write a complete reply."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


async def hang_up(stream: ByteStream) -> None:
    await anyio.aclose_forcefully(stream)


async def fall_silent(stream: ByteStream) -> None:
    await anyio.sleep_forever()


class Site:
    """Gives the answers in turn, one to each request; the last one again and again.

    Attributes:
        connections: How many were made.
        most_connections: How many were open at the same time, at most.
        requests: The bytes of each request.
    """

    def __init__(self, *answers: Answer, accept: Accept | None = None) -> None:
        self.connections = 0
        self.most_connections = 0
        self.requests: list[bytes] = []
        self.address = ("", 0)
        self._answers = list(answers)
        self._accept = accept
        self._streams: list[ByteStream] = []

    @property
    def open_connections(self) -> int:
        """How many the client has not closed yet, in memory."""
        return sum(
            isinstance(stream, MemoryStream) and not stream._inward.is_ended
            for stream in self._streams
        )

    async def handle(self, stream: ByteStream) -> None:
        self.connections += 1
        self._streams.append(stream)
        self.most_connections = max(self.most_connections, self.open_connections)
        try:
            if self._accept is not None:
                stream = await self._accept(stream)
            while True:
                self.requests.append(await self._request(stream))
                answer = self._answers[0]
                if len(self._answers) > 1:
                    del self._answers[0]
                if isinstance(answer, bytes):
                    await stream.send(answer)
                else:
                    await answer(stream)
        except LOST:
            pass
        finally:
            await anyio.aclose_forcefully(stream)

    async def _request(self, stream: ByteStream) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        for field in head.lower().split(b"\r\n"):
            name, _, value = field.partition(b":")
            while name == b"content-length" and len(body) < int(value):
                body += await stream.receive()
        return head + b"\r\n\r\n" + body


@asynccontextmanager
async def site(
    *answers: Answer,
    network: Network,
    host: str = "strip",
    port: int = 80,
    accept: Accept | None = None,
) -> AsyncIterator[Site]:
    """Serve a site for the length of the block."""
    listener: TcpListener
    async with network.listen_tcp(host, port) as listener:
        one = Site(*answers, accept=accept)
        one.address = listener.address
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, one.handle)
            yield one
            tg.cancel_scope.cancel()


class BlackHole(MemoryNetwork):
    """A network in which nobody answers."""

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        await anyio.sleep_forever()
        raise AssertionError
