"""A websocket as a stream of bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ByteStream

from structiot.errors import LinkLost, ProtocolViolation, UsageError

if TYPE_CHECKING:
    from structiot._kit.websocket.connection import WebSocket

__all__ = ["WebSocketStream"]


class WebSocketStream(ByteStream):
    """The payloads of binary frames, one after the other."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._rest = b""

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._websocket.stream.extra_attributes

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        data = self._rest
        if not data:
            try:
                data = await self._websocket.receive_bytes()
            except (LinkLost, ProtocolViolation) as exc:
                raise anyio.BrokenResourceError from exc
        self._rest = data[max_bytes:]
        return data[:max_bytes]

    async def send(self, item: bytes) -> None:
        try:
            await self._websocket.send(item)
        except LinkLost as exc:
            raise anyio.BrokenResourceError from exc

    async def send_eof(self) -> None:
        raise UsageError("a websocket cannot be closed by half")

    async def aclose(self) -> None:
        await self._websocket.aclose()
