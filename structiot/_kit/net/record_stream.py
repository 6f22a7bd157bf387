"""A stream through TLS that reads and writes as much at once as there is."""

from __future__ import annotations

import ssl
import threading
from typing import cast

import anyio
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint
from anyio.streams.tls import TLSStream

from structiot._kit.net.network import LOST
from structiot._kit.net.pieces import joined, portions
from structiot._kit.net.sockets import SocketStream
from structiot._kit.out_buffer import Buffer

__all__ = ["RecordStream", "prompt"]

# What one record carries at most.
RECORD_BYTES = 16_384
# A copy of so few parts costs more than records of their own.
FEW_PARTS = 4
# So much is encrypted before it is seen whether the kernel takes it, and in one go.
PORTION_BYTES = 32_768
MOST_AT_ONCE_BYTES = 262_144
# With the rest of a record that was there.
SCRATCH_BYTES = 524_288
# So much is looked for when OpenSSL has nothing more.
FETCHED_BYTES = 131_072
# After so much work others have a turn. A record is as much as so many bytes: they may be
# short.
TURN = 1_048_576
RECORD_WORK = 512


class _Scratch(threading.local):
    """Where a thread decrypts records before it is known how much they hold."""

    space = memoryview(b"")


_scratch = _Scratch()


def _space(size: int) -> memoryview:
    """Give room that is good until something is awaited."""
    if not _scratch.space:
        _scratch.space = memoryview(bytearray(SCRATCH_BYTES))
    return _scratch.space[:size]


class RecordStream(TLSStream):
    """Gives all that has come at once, where anyio's gives a record of it."""

    # What was found behind something that could be read.
    _later: Exception | None = None
    # Since others had a turn.
    _work = 0

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Wait for bytes; raises as anyio's streams do."""
        if self._later is not None:
            raise self._later
        if self._work >= TURN:
            await checkpoint()
        self._work = 0
        first = await super().receive(min(max_bytes, RECORD_BYTES))
        room = min(max_bytes - len(first), self._read_bio.pending)
        if not room:
            return first
        space = _space(room)
        return first + space[: self._decrypt(space)]

    async def send_pieces(self, pieces: list[Buffer]) -> None:
        """Write all of them in order, as `send` does."""
        for parts in portions(pieces):
            if len(parts) > FEW_PARTS:
                await self.send(joined(parts))
                continue
            for part in parts[:-1]:
                try:
                    self._ssl_object.write(part)
                except ssl.SSLError:  # it wants to read first, or says why it cannot
                    await self.send(cast("bytes", part))
            await self.send(cast("bytes", parts[-1]))

    @property
    def is_behind(self) -> bool:
        """Whether something has been encrypted that the kernel has not taken yet."""
        return self._below.is_behind

    async def send(self, item: bytes) -> None:
        """Write all of it; of nothing OpenSSL would make a record."""
        if item:
            await super().send(item)
        else:
            await self.transport_stream.send(b"")

    def send_now(self, item: Buffer) -> int:
        """Write as `send_some_now`."""
        # A copy: an error would hold views of what its owner is about to clear.
        return self.send_some_now([bytes(item)])

    def send_some_now(self, pieces: list[Buffer]) -> int:
        """Write of some pieces what is taken at once and give its length, maybe 0.

        Unlike a socket's it may leave something that has been taken to the next `send`.

        Raises:
            BrokenResourceError: The connection is lost.
            ClosedResourceError: It was closed on this side.
        """
        taken = 0
        is_free = not self.is_behind or self._below.send_soon(b"")
        for parts in portions(pieces, PORTION_BYTES) if is_free else ():
            whole = [memoryview(joined(parts))] if len(parts) > FEW_PARTS else parts
            try:
                for part in whole:
                    taken += self._ssl_object.write(part)
            except ssl.SSLError:  # who waits to send hears why
                break
            is_free = self._below.send_soon(self._write_bio.read())
            if not is_free or taken >= MOST_AT_ONCE_BYTES:
                break
        return taken

    @property
    def _below(self) -> SocketStream:
        return cast("SocketStream", self.transport_stream)

    async def receive_into(self, space: memoryview) -> int:
        """Wait for bytes as `receive` does; give how many have been put into `space`."""
        first = await self.receive(min(len(space), RECORD_BYTES))
        space[: len(first)] = first
        return len(first)

    def take_now(self, max_bytes: int) -> bytes:
        """Give what is there, empty as `receive_now` gives 0."""
        space = _space(max_bytes)
        return bytes(space[: self.receive_now(space)])

    def receive_now(self, space: memoryview) -> int:
        """Put what is there into `space` and give its length.

        It is 0 if nothing is, if only its end is, which `receive` tells, and if others
        are to have a turn.
        """
        size = self._decrypt(space)
        while size < len(space) and self._work < TURN and self._fetch():
            step = self._decrypt(space[size:])
            size += step
            if not step:
                break
        return size

    def _fetch(self) -> bool:
        """Hand to OpenSSL what the socket has, if it has something."""
        below = self.transport_stream
        if self._later is not None or not isinstance(below, SocketStream):
            return False
        try:
            data = below.take_now(FETCHED_BYTES)
        except LOST as exc:
            self._later = exc
            return False
        self._read_bio.write(data)
        self._work += len(data)
        return bool(data)

    def _decrypt(self, space: memoryview) -> int:
        """Put what OpenSSL has into `space` and give its length."""
        read, at, end = self._ssl_object.read, 0, len(space)
        while at < end and self._later is None:
            try:
                size = cast("int", read(end - at, space[at:]))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as exc:
                self._later = exc
                break
            if not size:
                self._later = anyio.EndOfStream()
                break
            at += size
            self._work += RECORD_WORK
        return at


def prompt(stream: ByteStream) -> SocketStream | RecordStream | None:
    """Give a stream that can write at once and tell what was taken; None if it cannot."""
    if isinstance(stream, RecordStream):
        is_prompt = isinstance(stream.transport_stream, SocketStream)
        return stream if is_prompt else None
    return stream if isinstance(stream, SocketStream) else None
