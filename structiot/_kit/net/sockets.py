"""TCP sockets as streams, without a transport between socket and reader.

anyio's stream over asyncio has a transport that reads ahead and a protocol that wakes
the reader: a round trip through a server costs 114 us there and 28 us here (trio: 68
and 44), and an idle connection 7.6 kB instead of 4.6. What `send_now` takes is with the
kernel when it returns, so that a server can write to a hundred clients in one go.
When a write fails, what the peer has said before is still there to be read.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

from structiot._kit.net.readiness import Readiness
from structiot._kit.out_buffer import MOST_PIECES, Buffer

__all__ = [
    "MOST_BACKLOG",
    "TURN_BYTES",
    "Filling",
    "SocketStream",
    "accept",
    "fill_now",
    "receive_filling",
]

MOST_BACKLOG = 65_536
"""As many as may wait to be accepted: Linux makes 4,096 of it unless it is told otherwise."""

# TLS asks for no number: with the rest of a record that it had, it gives 256 kB at most.
USUAL_BYTES = 245_760
# Whoever has so much to say has more.
QUIET_BYTES = 2_048
# After so much at once of something large others have their turn.
TURN_BYTES = 1_048_576
# As much is received in one piece of something that may be there as a whole.
WHOLE_BYTES = 4_194_304

# glibc gives blocks of 128 kB and more back to the system, and fetches each of their pages
# anew, until it has seen that larger ones come and go.
len(bytes(4_194_304))

_PROBE_AFTER_S = 60
_PROBES = 5


class Fillable(Protocol):
    """Has room for bytes, perhaps, that are known to come.

    Attributes:
        whole_bytes: How many are to come, if none has; else 0.
    """

    @property
    def whole_bytes(self) -> int: ...

    def give(self, data: bytes) -> None:
        """Get the first bytes to come, or all of them, which stay where they are."""
        ...

    @property
    def has_space(self) -> bool:
        """Whether it has room now."""
        ...

    def space(self) -> memoryview:
        """Give the room; good until the next call."""
        ...

    def filled(self, size: int) -> None:
        """Hear how much has been put there."""
        ...


@runtime_checkable
class Filling(Protocol):
    """A stream that can receive to where bytes belong."""

    async def receive(self, max_bytes: int) -> bytes:
        """Wait for bytes."""
        ...

    def take_now(self, max_bytes: int) -> bytes:
        """Give what is there, empty if nothing is."""
        ...

    async def receive_into(self, space: memoryview) -> int:
        """Wait for bytes as `receive` does; give how many have been put into `space`."""
        ...

    def receive_now(self, space: memoryview) -> int:
        """Put what is there into `space` and give its length, 0 if nothing is."""
        ...


class SocketStream(ByteStream):
    """One connection; raises what anyio's streams raise.

    Attributes:
        usual_bytes: Most that is received for who names no number.
    """

    __slots__ = ("_is_quiet", "_kept", "_peer", "_readiness", "_socket", "usual_bytes")

    def __init__(self, accepted: socket.socket, peer: tuple[Any, ...]) -> None:
        accepted.settimeout(0)
        self._socket = accepted
        self._readiness = Readiness(accepted)
        # Asked for now: a peer that has gone has no address any more.
        self._peer = peer[:2]
        self.usual_bytes: int = USUAL_BYTES
        # Little came at the last time: there is hardly more before something is waited for.
        self._is_quiet = False
        # What the kernel did not take, and goes before what is sent next.
        self._kept = b""

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Addresses and the socket itself, as of anyio's streams."""
        sock, peer = self._socket, self._peer
        return {
            SocketAttribute.family: lambda: sock.family,
            SocketAttribute.local_address: lambda: sock.getsockname()[:2],
            SocketAttribute.local_port: lambda: sock.getsockname()[1],
            SocketAttribute.raw_socket: lambda: sock,
            SocketAttribute.remote_address: lambda: peer,
            SocketAttribute.remote_port: lambda: peer[1],
        }

    async def receive(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; EndOfStream after the peer's end, Broken after a reset.

        Args:
            max_bytes: Most to give; None is `usual_bytes`.
        """
        if max_bytes is None:
            max_bytes = self.usual_bytes
        data: bytes | None = None
        try:
            if not self._is_quiet:
                data = await self._receive_at_once(max_bytes)
            if data is None:
                # Also after a wait that is cancelled: what came for it comes first.
                self._is_quiet = True
                data = await self._readiness.receive(max_bytes)
                self._is_quiet = len(data) < QUIET_BYTES
        except OSError as exc:
            raise self._lost() from exc
        if not data:
            raise anyio.EndOfStream
        return data

    async def hand_to(
        self, take: Callable[[bytes], bool], max_bytes: int = 262_144
    ) -> None:
        """Have `take` called with what comes, until it gives False.

        Not always by the task that waits here, nor as one: `take` calls nothing that
        needs a task, as anyio's functions do. What it raises is raised here. Raises
        else what `receive` raises; a wait that is cancelled loses nothing.
        """
        try:
            while not self._is_quiet:
                data = await self._receive_at_once(max_bytes)
                self._is_quiet = data is None or len(data) < QUIET_BYTES
                if data == b"":
                    raise anyio.EndOfStream
                if data is not None and not take(data):
                    return
            is_there = await self._readiness.hand_to(take, max_bytes)
            # Most likely it was much, and there is more.
            self._is_quiet = False
        except OSError as exc:
            raise self._lost() from exc
        if not is_there:
            raise anyio.EndOfStream

    async def _receive_at_once(self, max_bytes: int) -> bytes | None:
        await checkpoint_if_cancelled()
        try:
            data = self._socket.recv(max_bytes)
        except BlockingIOError:
            return None
        # A peer that always has more to say must not keep the others waiting.
        await cancel_shielded_checkpoint()
        return data

    def take_now(self, max_bytes: int) -> bytes:
        """Give what is there, empty if nothing is; raises as `receive_now` does."""
        try:
            data = self._readiness.left_over(max_bytes)
            if data is None:
                data = self._socket.recv(max_bytes)
        except BlockingIOError:
            self._is_quiet = True
            return b""
        except OSError as exc:
            raise self._lost() from exc
        if not data:
            raise anyio.EndOfStream
        return data

    async def receive_into(self, space: memoryview) -> int:
        """Wait for bytes as `receive` does; give how many have been put into `space`."""
        await checkpoint_if_cancelled()
        if size := self.receive_now(space):
            await cancel_shielded_checkpoint()
            return size
        while not size:
            await self._readiness.wait()
            size = self.receive_now(space)
        return size

    def receive_now(self, space: memoryview) -> int:
        """Put what is there into `space` and give its length, 0 if nothing is.

        Raises:
            EndOfStream: After the peer's end.
            BrokenResourceError: The connection is lost.
            ClosedResourceError: It was closed on this side.
        """
        try:
            if (early := self._readiness.left_over(len(space))) is None:
                size = self._socket.recv_into(space)
            else:
                size = len(early)
                space[:size] = early
        except BlockingIOError:
            return 0
        except OSError as exc:
            raise self._lost() from exc
        if not size:
            raise anyio.EndOfStream
        return size

    async def send(self, item: bytes) -> None:
        """Write all of it, waiting while the kernel takes no more."""
        await checkpoint_if_cancelled()
        if self._kept:
            item, self._kept = self._kept + item, b""
        taken = self.send_now(item)
        if taken == len(item):
            await cancel_shielded_checkpoint()
            return
        view = memoryview(item)[taken:]
        while view:
            await anyio.wait_writable(self._socket)
            view = view[self.send_now(view) :]

    async def send_pieces(self, pieces: list[Buffer]) -> None:
        """Write all of them in order, as `send` does, without joining them."""
        await checkpoint_if_cancelled()
        has_waited, at = False, 0
        while at < len(pieces):
            taken = self.send_some_now(pieces[at : at + MOST_PIECES])
            if not taken:
                await anyio.wait_writable(self._socket)
                has_waited = True
                continue
            while at < len(pieces) and taken >= len(pieces[at]):
                taken -= len(pieces[at])
                at += 1
            if taken:
                pieces[at] = memoryview(pieces[at])[taken:]
        if not has_waited:
            await cancel_shielded_checkpoint()

    def send_some_now(self, pieces: list[Buffer]) -> int:
        """Write of some pieces what the kernel takes at once, as `send_now` does."""
        try:
            return self._socket.sendmsg(pieces)
        except BlockingIOError:
            return 0
        except OSError as exc:
            raise self._lost() from exc

    def send_now(self, item: bytes | bytearray | memoryview) -> int:
        """Write what the kernel takes at once and give its length, maybe 0.

        Raises:
            BrokenResourceError: The connection is lost.
            ClosedResourceError: It was closed on this side.
        """
        try:
            return self._socket.send(item)
        except BlockingIOError:
            return 0
        except OSError as exc:
            raise self._lost() from exc

    def send_soon(self, item: bytes) -> bool:
        """Write what the kernel takes at once; the rest goes before what `send` gets next.

        Returns:
            Whether all has been taken. Raises as `send_now`.
        """
        if self._kept:
            item, self._kept = self._kept + item, b""
        if (taken := self.send_now(item)) < len(item):
            self._kept = item[taken:]
        return not self._kept

    @property
    def is_behind(self) -> bool:
        """Whether something that was to be sent soon waits for the next `send`."""
        return bool(self._kept)

    async def send_eof(self) -> None:
        """End the outward direction."""
        await checkpoint_if_cancelled()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        await cancel_shielded_checkpoint()

    async def aclose(self) -> None:
        """Close the socket; whoever waits for it gets ClosedResourceError."""
        if self._socket.fileno() != -1:
            self._readiness.close()
            self._socket.close()
        await anyio.lowlevel.checkpoint()

    def _lost(self) -> anyio.BrokenResourceError | anyio.ClosedResourceError:
        if self._socket.fileno() == -1:
            return anyio.ClosedResourceError()
        return anyio.BrokenResourceError()


async def receive_filling(stream: Filling, target: Fillable) -> int:
    """Receive straight to where it belongs; give how much, at least something."""
    if whole_bytes := target.whole_bytes:
        data = await stream.receive(min(whole_bytes, WHOLE_BYTES))
        target.give(data)
        return len(data)
    size = await stream.receive_into(target.space())
    target.filled(size)
    return size + fill_now(stream, target)


def fill_now(stream: Filling, target: Fillable) -> int:
    """Put what is there straight to where it belongs; give how much, a turn at most."""
    size = 0
    if target.whole_bytes:
        data = stream.take_now(min(target.whole_bytes, WHOLE_BYTES))
        if not data:
            return 0
        target.give(data)
        size = len(data)
    while size < TURN_BYTES and target.has_space:
        step = stream.receive_now(target.space())
        if not step:
            break
        target.filled(step)
        size += step
    return size


async def accept(listening: socket.socket) -> SocketStream:
    """Wait for the next connection to a listening socket that does not block.

    Small writes leave at once, and a peer that vanished without a word is noticed by
    the system's own probes after some minutes.

    Raises:
        OSError: No connection could be accepted; others may be.
        ClosedResourceError: The listening socket was closed.
    """
    while True:
        if listening.fileno() < 0:  # trio would wait for it, with an error of its own
            raise anyio.ClosedResourceError
        await anyio.wait_readable(listening)
        try:
            accepted, peer = listening.accept()
        except BlockingIOError:
            continue
        try:
            _set_options(accepted)
        except OSError:  # some systems refuse it where the peer has gone already
            accepted.close()
            raise
        return SocketStream(accepted, peer)


def _set_options(accepted: socket.socket) -> None:
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _PROBE_AFTER_S),
        ("TCP_KEEPINTVL", _PROBE_AFTER_S // _PROBES),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if (option := getattr(socket, name, None)) is not None:
            accepted.setsockopt(socket.IPPROTO_TCP, option, value)
