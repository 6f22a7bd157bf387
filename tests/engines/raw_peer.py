"""A peer on a real socket that answers bytes by bytes, for what no broker does."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import LOST, REAL_NETWORK
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import Connack, Connect, Packet

Answer = Callable[[Packet], bytes | None]
"""What to send for a packet; None breaks the connection."""


class RawPeer:
    """Accepts everybody, and does with the rest what the test says.

    Attributes:
        packets: What came, of all connections.
        answer: Gives the bytes for a packet that is no CONNECT.
        connections: How many there were.
    """

    def __init__(self) -> None:
        self.uri = ""
        self.packets: list[Packet] = []
        self.answer: Answer = lambda packet: b""
        self.connections = 0
        self._stream: ByteStream | None = None
        self._changed = anyio.Event()

    async def send(self, data: bytes) -> None:
        assert self._stream is not None
        await self._stream.send(data)

    def of(self, kind: type[Packet]) -> list[Packet]:
        return [packet for packet in self.packets if isinstance(packet, kind)]

    async def seen(self, kind: type[Packet], count: int = 1) -> None:
        """Wait until so many packets of a kind have come."""
        while len(self.of(kind)) < count:
            await self._changed.wait()

    def reset(self) -> None:
        """Break the connection as a dying machine does."""
        assert self._stream is not None
        raw = self._stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.shutdown(socket.SHUT_RD)

    async def serve(self, stream: ByteStream) -> None:
        self.connections += 1
        self._stream = stream
        decoder = Decoder(role="server")
        try:
            while True:
                for packet in decoder.feed(await stream.receive()):
                    self.packets.append(packet)
                    self._changed.set()
                    self._changed = anyio.Event()
                    is_first = isinstance(packet, Connect)
                    reply = encode(Connack(), 4) if is_first else self.answer(packet)
                    if reply is None:
                        return
                    if reply:
                        await stream.send(reply)
        except LOST:
            pass
        finally:
            await anyio.aclose_forcefully(stream)


@asynccontextmanager
async def raw_peer() -> AsyncIterator[RawPeer]:
    """Listen on loopback for the length of the block."""
    peer = RawPeer()
    async with REAL_NETWORK.listen_tcp("127.0.0.1", 0) as listener:
        peer.uri = f"mqtt://127.0.0.1:{listener.address[1]}/"
        async with service_group() as tg:
            tg.start_soon(listener.serve, peer.serve)
            yield peer
