"""HTTP heads as some devices write them, mended before the HTTP library sees them.

The original client took a blank between a header's name and its colon; HTTP forbids
it and our library refuses it, for reasons that matter to proxies alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import anyio
from anyio.abc import ByteStream

from structiot._kit.net.network import (
    Network,
    TcpListener,
    UdpSocket,
)
from structiot._kit.net.sockets import MOST_BACKLOG

__all__ = ["LenientNetwork", "mended"]

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_MOST_OF_END: Final = len(b"\r\n\r")
_BLANK_BEFORE_COLON: Final = re.compile(rb"(?m)^([!#-9A-Z^-z|~]+)[ \t]+:")
_MAX_HEAD_BYTES: Final = 65536


def mended(head: bytes) -> bytes:
    """Take the blanks away between the names of header fields and their colons."""
    return _BLANK_BEFORE_COLON.sub(rb"\1:", head)


class LenientNetwork:
    """A network over another one, on whose TCP connections HTTP heads are mended."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        """Open a connection; raises as the network below does."""
        return _MendedStream(await self._network.connect_tcp(host, port))

    def listen_tcp(
        self, host: str, port: int, *, backlog: int = MOST_BACKLOG
    ) -> AbstractAsyncContextManager[TcpListener]:
        """Bind on the network below."""
        return self._network.listen_tcp(host, port, backlog=backlog)

    def open_udp(
        self, host: str | None = None, port: int = 0, *, may_broadcast: bool = False
    ) -> AbstractAsyncContextManager[UdpSocket]:
        """Bind on the network below."""
        return self._network.open_udp(host, port, may_broadcast=may_broadcast)


class _MendedStream(ByteStream):
    """Holds what comes first back until the head is whole."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._waiting = bytearray()
        self._is_head = True

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self._is_head:
            await self._receive_head()
        if not self._waiting:
            return await self._stream.receive(max_bytes)
        data = bytes(self._waiting[:max_bytes])
        del self._waiting[:max_bytes]
        return data

    async def _receive_head(self) -> None:
        head = self._waiting
        while self._is_head:
            # Only what is new is searched, however small the pieces are.
            new = max(0, len(head) - _MOST_OF_END)
            try:
                head += await self._stream.receive()
            except anyio.EndOfStream:
                # Half a head; whoever reads on is told of the end.
                break
            end = _HEAD_END.search(head, new)
            if end is not None:
                head[: end.end()] = mended(bytes(head[: end.end()]))
            self._is_head = end is None and len(head) < _MAX_HEAD_BYTES
        self._is_head = False

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()
