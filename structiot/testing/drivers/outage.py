"""A network in memory that can break down as a whole."""

from __future__ import annotations

from weakref import WeakSet

import anyio.lowlevel
from anyio.abc import ByteStream

from structiot._kit.net.memory import MemoryNetwork, MemoryStream
from structiot._kit.net.network import Address
from structiot.errors import ConnectFailed

__all__ = ["OutageNetwork"]


class OutageNetwork(MemoryNetwork):
    """A `MemoryNetwork` with an outage when a test wants one."""

    def __init__(self) -> None:
        super().__init__()
        self._is_down = False
        self._streams: WeakSet[MemoryStream] = WeakSet()

    def go_down(self) -> None:
        """Break all connections; until `come_back`, nothing gets through."""
        self._is_down = True
        for stream in list(self._streams):
            stream.reset()

    def come_back(self) -> None:
        """Let everything through again."""
        self._is_down = False

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        """Connect to a listener of this network."""
        if self._is_down:
            await anyio.lowlevel.checkpoint()
            message = f"cannot connect to {host}:{port}: network is unreachable"
            raise ConnectFailed(message, host=host, port=port)
        stream = await super().connect_tcp(host, port)
        if isinstance(stream, MemoryStream):
            self._streams.add(stream)
        return stream

    def deliver(self, data: bytes, source: Address, target: Address) -> None:
        """Put a datagram into the boxes of whom it is for."""
        if not self._is_down:
            super().deliver(data, source, target)
