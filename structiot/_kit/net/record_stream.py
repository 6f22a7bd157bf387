"""A stream through TLS that reads and writes as much at once as there is."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TypeVar, TypeVarTuple, cast

import anyio
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled
from anyio.streams.tls import TLSStream

from structiot._kit.net.network import LOST
from structiot._kit.net.pieces import joined, portions
from structiot._kit.net.sockets import TURN_BYTES, SocketStream
from structiot._kit.out_buffer import Buffer

__all__ = ["RecordStream", "prompt"]

# What one record carries at most.
RECORD_BYTES = 16_384
# A copy of so few parts costs more than records of their own.
FEW_PARTS = 4
# So much is encrypted before it is seen whether the kernel takes it, and in one go.
PORTION_BYTES = 32_768
MOST_AT_ONCE_BYTES = 262_144
# So much is looked for when all that has come before is decrypted.
FETCHED_BYTES = 131_072
# What is decrypted of what has come before it is seen whether that was data: a record.
FED_BYTES = 18_432
# After so much that was none others run, and less of it is looked at. A record of which
# the rest is to come is none yet.
WASTE_BYTES = 16_896
TRIED_BYTES = 4_096
MOST_WASTE_BYTES = 32_768
# As much may be none before others run, whatever data is among it.
TURN_WASTE_BYTES = 24_576
# With the rest of a record that was there.
SCRATCH_BYTES = 524_288

EOF = "UNEXPECTED_EOF_WHILE_READING"
_NOTHING = memoryview(b"")

P = TypeVarTuple("P")
T = TypeVar("T")


class _Scratch(threading.local):
    """Where a thread decrypts records before it is known how much they hold."""

    space = memoryview(b"")


_scratch = _Scratch()


def _space(size: int) -> memoryview:
    """Give room that is good until something is awaited."""
    if not _scratch.space:
        _scratch.space = memoryview(bytearray(SCRATCH_BYTES))
    return _scratch.space[:size]


class _Turn:
    """What two tasks need done, and one of them does at a time."""

    __slots__ = ("_over", "is_taken")

    def __init__(self) -> None:
        self.is_taken = False
        self._over: anyio.Event | None = None

    async def over(self) -> None:
        """Wait until who is at it has ended; he may be at it again."""
        if self._over is None:
            self._over = anyio.Event()
        await self._over.wait()

    def end(self) -> None:
        self.is_taken = False
        if self._over is not None:
            self._over.set()
            self._over = None


def _is_end(exc: ssl.SSLError) -> bool:
    """Whether the connection has ended, without a word of TLS."""
    return isinstance(exc, ssl.SSLEOFError) or EOF in (exc.strerror or "")


class RecordStream(TLSStream):
    """Gives all that has come at once, where anyio's gives a record of it.

    One task may read and another write. What TLS has to say beside the data (an answer
    to a new key, a step of another handshake) concerns both: who reads may have to send,
    and who writes may have to receive. Neither does it while the other is at it.
    """

    # A record was lost on its way out; the oldest anyio that is asked for has it not.
    _broken = False
    # What was found behind something that could be read.
    _later: Exception | None = None
    _is_found = False
    # What has come and OpenSSL was not given yet.
    _unread = _NOTHING
    # What it was given lately that was no data.
    _waste = 0
    # What came since others ran.
    _turn_bytes = 0
    # What OpenSSL was given since then and has not given as data.
    _turn_fed = 0

    @cached_property
    def _sending(self) -> _Turn:
        return _Turn()

    @cached_property
    def _receiving(self) -> _Turn:
        return _Turn()

    # -- reading -------------------------------------------------------------------

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Wait for bytes; raises as anyio's streams do."""
        if self._later is not None:
            raise self._found()
        if self._write_bio.pending:
            # Not when there is data: it would be lost with a wait that is cancelled.
            await checkpoint_if_cancelled()
            await self._answer()
        at_most = min(max_bytes, RECORD_BYTES)
        first = await self._call_sslobject_method(self._ssl_object.read, at_most)
        if not first:
            raise anyio.EndOfStream
        self._was_data(len(first))
        there = self._read_bio.pending + len(self._unread)
        room = min(max_bytes - len(first), there)
        if not room:
            return first
        space = _space(room)
        return first + space[: self._decrypt(space)]

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
        while size < len(space) and self._fetch():
            size += self._decrypt(space[size:])
        return size

    def _decrypt(self, space: memoryview) -> int:
        """Put what has come into `space` and give its length."""
        at, end = 0, len(space)
        read, came = self._ssl_object.read, self._read_bio
        while at < end and self._later is None and not self._is_found:
            if self._unread and came.pending < RECORD_BYTES and self._is_worth_it:
                self._feed()
            try:
                size = cast("int", read(end - at, space[at:]))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as exc:
                if not _is_end(exc):
                    # Its frames would hold `space`, and this stream itself.
                    self._later = exc.with_traceback(None)
                break
            if not size:
                break
            self._was_data(size)
            at += size
        return at

    def _was_data(self, size: int) -> None:
        self._waste = max(0, self._waste - 2 * size)
        self._turn_fed = max(self._read_bio.pending, self._turn_fed - size)

    def _fetch(self) -> bool:
        """Get what the socket has, if it has something and nobody waits for it."""
        below = self.transport_stream
        if (
            self._unread
            or self._later is not None
            or not self._is_worth_it
            or self._turn_bytes >= TURN_BYTES
            or self._receiving.is_taken
            or not isinstance(below, SocketStream)
        ):
            return False
        try:
            self._unread = memoryview(below.take_now(FETCHED_BYTES))
        except anyio.EndOfStream:
            self._read_bio.write_eof()
        except LOST as exc:
            self._later = exc.with_traceback(None)
        self._turn_bytes += len(self._unread)
        return bool(self._unread)

    def _found(self) -> Exception:
        """Give what was found, once."""
        found, self._later, self._is_found = self._later, None, True
        return cast("Exception", found)

    @property
    def _is_worth_it(self) -> bool:
        """Whether there was data in what has come lately, and enough of it."""
        turn_waste = self._turn_fed - self._read_bio.pending
        return self._waste < WASTE_BYTES and turn_waste < TURN_WASTE_BYTES

    def _feed(self) -> None:
        """Give OpenSSL a portion of what has come.

        Of what is no data it deals with all that it has in one go, and a new key takes
        it 20 us: less of it is given where others can run in between.
        """
        size = FED_BYTES if self._is_worth_it else TRIED_BYTES
        portion = self._unread[:size]
        self._unread = self._unread[size:] or _NOTHING
        self._waste = min(self._waste + len(portion), MOST_WASTE_BYTES)
        self._turn_fed += len(portion)
        self._read_bio.write(portion)

    async def _receive_more(self) -> None:
        """Have OpenSSL get more of what comes, by whoever waits for it."""
        if self._receiving.is_taken:
            await self._receiving.over()
            return
        if self._unread:
            if not self._is_worth_it:
                await checkpoint()
                self._turn_fed = self._read_bio.pending
            self._feed()
            return
        self._receiving.is_taken = True
        try:
            self._unread = memoryview(await self.transport_stream.receive())
            self._turn_bytes = len(self._unread)
            self._turn_fed = self._read_bio.pending
        except anyio.EndOfStream:
            self._read_bio.write_eof()
        except OSError as exc:
            raise anyio.BrokenResourceError from exc
        else:
            self._feed()
        finally:
            self._receiving.end()

    async def _call_sslobject_method(self, func: Callable[[*P], T], *args: *P) -> T:
        while not self._is_found:
            try:
                result = func(*args)
            except ssl.SSLWantReadError:
                await self._answer()
                await self._receive_more()
            except ssl.SSLError as exc:
                self._read_bio.write_eof()
                if isinstance(exc, ssl.SSLSyscallError):
                    raise anyio.BrokenResourceError from exc
                if _is_end(exc):
                    raise anyio.EndOfStream from None
                raise
            else:
                if result is None and self._write_bio.pending:  # of a handshake
                    await self._flush_write_bio()
                return result
        raise anyio.BrokenResourceError

    async def _answer(self) -> None:
        """Send what TLS itself has to say; that nobody takes it hears who sends.

        When a write has failed, what the peer has said before is still to be read.
        """
        if self._write_bio.pending and not self._broken:
            with suppress(*LOST):
                await self._flush_write_bio()

    # -- writing -------------------------------------------------------------------

    async def send(self, item: bytes) -> None:
        """Write all of it; of nothing OpenSSL would make a record."""
        while item and not self._broken:
            try:
                self._ssl_object.write(item)
                break
            except ssl.SSLWantReadError:  # the peer wants another handshake
                await self._flush_write_bio()
                await self._receive_more()
        while self._sending.is_taken:
            await self._sending.over()
        if self._has_more or self._broken:
            await self._flush_write_bio()
        else:
            await checkpoint()

    @property
    def _has_more(self) -> bool:
        """Whether something has been encrypted that the stream below has not taken."""
        below = self.transport_stream
        return bool(self._write_bio.pending) or (
            isinstance(below, SocketStream) and below.is_behind
        )

    async def _flush_write_bio(self) -> None:
        """Send what was encrypted, unless somebody sends, who takes it along."""
        if self._sending.is_taken and self._write_bio.pending >= RECORD_BYTES:
            # It may be the peer who makes us say so much, and reads nothing.
            await self._sending.over()
        if self._sending.is_taken:
            return
        if self._broken:
            raise anyio.BrokenResourceError
        self._sending.is_taken = True
        try:
            while self._has_more:
                await self.transport_stream.send(self._write_bio.read())
        except BaseException:
            # What is lost had its number: nothing behind it could be read.
            self._broken = True
            raise
        finally:
            self._sending.end()

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
        return self._sending.is_taken or self._has_more

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
        if self._sending.is_taken:
            return taken
        if self._broken:
            raise anyio.BrokenResourceError
        is_free = not self.is_behind or self._below.send_soon(self._write_bio.read())
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


def prompt(stream: ByteStream) -> SocketStream | RecordStream | None:
    """Give a stream that can write at once and tell what was taken; None if it cannot."""
    if isinstance(stream, RecordStream):
        is_prompt = isinstance(stream.transport_stream, SocketStream)
        return stream if is_prompt else None
    return stream if isinstance(stream, SocketStream) else None
