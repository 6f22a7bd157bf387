"""Websocket frames and handshakes written by hand, from RFC 6455 and not by wsproto."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from structiot._kit.net.memory import MemoryStream, memory_pipe
from structiot._kit.websocket import WebSocket, accept_websocket, connect_websocket

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x12\x34\x56\x78"


def masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes = b"",
) -> bytes:
    """One frame; a client's has a mask."""
    flag = 128 if mask else 0
    size = len(payload)
    if size < 126:
        length = bytes([flag | size])
    elif size < 65_536:
        length = bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([flag | 127]) + size.to_bytes(8, "big")
    body = masked(payload, mask) if mask else payload
    return bytes([(128 if fin else 0) | reserved << 4 | opcode]) + length + mask + body


def close_payload(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


def request(*fields: bytes, version: bytes = b"13") -> bytes:
    """The client's question."""
    lines = [
        b"GET /mqtt HTTP/1.1",
        b"Host: h",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: " + version,
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def accepting(request: bytes, subprotocol: str | None = "mqtt") -> bytes:
    """The server's yes."""
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nX-Served-By: hand\r\nSec-WebSocket-Accept: " + accept
    )
    if subprotocol is not None:
        answer += b"\r\nSec-WebSocket-Protocol: " + subprotocol.encode()
    return answer + b"\r\n\r\n"


class Peer:
    """The other side, by hand; a client's has a mask."""

    def __init__(self, stream: MemoryStream, mask: bytes = b"") -> None:
        self.stream = stream
        self.mask = mask
        self._reader = BufferedByteReceiveStream(stream)

    async def send(self, *frames: bytes) -> None:
        await self.stream.send(b"".join(frames))

    async def request(self) -> bytes:
        """Read the head of a request, or of the answer to one."""
        return await self._reader.receive_until(b"\r\n\r\n", 65_536)

    async def frame(self) -> tuple[int, bytes]:
        """Read one frame, which must be final."""
        first, second = await self._reader.receive_exactly(2)
        assert first & 128
        assert bool(second & 128) != bool(self.mask), "a client masks, a server not"
        size = second & 127
        if size == 126:
            size = int.from_bytes(await self._reader.receive_exactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self._reader.receive_exactly(8), "big")
        mask = b"\0" * 4 if self.mask else await self._reader.receive_exactly(4)
        payload = await self._reader.receive_exactly(size) if size else b""
        return first & 15, masked(payload, mask)

    async def end(self) -> None:
        """Read the end of the connection."""
        try:
            rest = await self._reader.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return
        raise AssertionError(rest)


@contextlib.asynccontextmanager
async def websocket(
    *early: bytes, buffer_bytes: int = 65_536, max_message_bytes: int = 1000
) -> AsyncIterator[tuple[WebSocket, Peer]]:
    """A client that is connected to a peer by hand; `early` comes with the yes."""
    near, far = memory_pipe(buffer_bytes=buffer_bytes)
    peer = Peer(far)

    async def accept() -> None:
        await peer.send(accepting(await peer.request() + b"\r\n"), *early)

    async with near, far:
        async with anyio.create_task_group() as tg:
            tg.start_soon(accept)
            ws = await connect_websocket(
                near,
                host="h:1",
                subprotocols=["mqtt"],
                max_message_bytes=max_message_bytes,
            )
        yield ws, peer
        await ws.aclose()


@contextlib.asynccontextmanager
async def served_websocket(
    *, max_message_bytes: int = 1000
) -> AsyncIterator[tuple[WebSocket, Peer]]:
    """A server to which a client by hand has connected."""
    near, far = memory_pipe()
    peer = Peer(far, MASK)
    async with near, far:
        await peer.send(request())
        ws = await accept_websocket(near, max_message_bytes=max_message_bytes)
        await peer.request()
        yield ws, peer
        await ws.aclose()
