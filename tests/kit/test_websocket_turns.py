"""Who reads a websocket lets others have their turn, whatever is buffered below it."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream

from structiot._kit.net.memory import memory_pipe
from structiot._kit.websocket import connect_websocket
from tests.kit.websocket_frames import BINARY, accepting, frame

pytestmark = pytest.mark.virtual_time


class Buffered(ByteStream):
    """Has much of what the peer sent already, as TLS may, and gives it in small pieces."""

    def __init__(self, stream: ByteStream) -> None:
        self.pieces: list[bytes] = []
        self._stream = stream

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        return await self._stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


@pytest.mark.parametrize("frames_a_piece", [1, 14])
async def test_others_have_their_turn_whatever_is_buffered(frames_a_piece: int):
    near, far = memory_pipe()
    stream = Buffered(near)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async def answer() -> None:
        await far.send(accepting(await far.receive(), None))

    async with anyio.create_task_group() as tg:
        tg.start_soon(answer)
        ws = await connect_websocket(stream, host="h")
        stream.pieces = [frame(BINARY) * frames_a_piece] * (2800 // frames_a_piece)
        stream.pieces.append(frame(BINARY, b"last"))
        tg.start_soon(count_turns)
        assert await ws.receive_bytes() == b"last"
        tg.cancel_scope.cancel()
    assert turns > 2800 / 32
