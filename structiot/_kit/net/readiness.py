"""Receiving from a socket that stays registered with the loop between its waits.

`anyio.wait_readable` registers the socket for each wait and takes it out again, which is
a fifth of what the answer to a short message costs. On trio, which has nothing else, and
on loops that do not watch sockets it is what waits here, too.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from structiot._kit.native_loop import NativeFuture, NativeLoop, native_loop

__all__ = ["Readiness"]

LOOK_AFTER_S = 0.5


class Readiness:
    """Waits for one socket; nobody else may register it for reading meanwhile."""

    __slots__ = (
        "_came",
        "_descriptor",
        "_future",
        "_is_for_other",
        "_is_forgetful",
        "_is_looking",
        "_loop",
        "_max_bytes",
        "_socket",
        "_take",
    )

    def __init__(self, watched: socket.socket) -> None:
        self._socket = watched
        # Under which number it is registered; -1: it is not.
        self._descriptor = -1
        # Where it is registered; a loop that does not watch sockets is tried once.
        self._loop: NativeLoop | None = None
        # Such a loop may let go of a socket that has been reset.
        self._is_forgetful = False
        # It will be seen soon whether it has.
        self._is_looking = False
        self._future: NativeFuture | None = None
        self._max_bytes = 0
        # Somebody waits who reads himself.
        self._is_for_other = False
        # Gets what comes, if somebody has lent it.
        self._take: Callable[[bytes], bool] | None = None
        # What came and nobody has taken yet: he may have been cancelled.
        self._came: bytes | OSError | None = None

    async def receive(self, max_bytes: int) -> bytes:
        """Wait for bytes, empty at the end; a wait that is cancelled loses none.

        Raises:
            OSError: What the socket says.
            BusyResourceError: Somebody waits already.
            ClosedResourceError: It was closed meanwhile.
        """
        if not self._may_wait_here():
            return await self._receive_by_waiting(max_bytes)
        if self._came is not None:
            await checkpoint()
        else:
            await self._until_ready(max_bytes)
        if (data := self.left_over(max_bytes)) is None:
            raise anyio.ClosedResourceError
        return data

    async def hand_to(self, take: Callable[[bytes], bool], max_bytes: int) -> bool:
        """Have `take` called with what comes, until it gives False; raises as `receive`.

        It is called by the loop itself where that watches sockets: no task has to wake
        up for a few bytes. What it raises is raised here.

        Returns:
            False at the end of what comes.
        """
        data: bytes | None
        if not self._may_wait_here():
            while data := await self._receive_by_waiting(max_bytes):
                if not take(data):
                    return True
            return False
        if self._came is not None:
            await checkpoint()
        else:
            self._take = take
            try:
                await self._until_ready(max_bytes)
            finally:
                self._take = None
            if self._came is None:
                if self._descriptor < 0:
                    raise anyio.ClosedResourceError
                return True
        if data := self.left_over(max_bytes):
            take(data)
        return data != b""

    def _may_wait_here(self) -> bool:
        if self._future is not None or self._is_for_other:
            raise anyio.BusyResourceError("reading from")
        return self._came is not None or self._descriptor >= 0 or self._register()

    async def _receive_by_waiting(self, max_bytes: int) -> bytes:
        while True:
            await anyio.wait_readable(self._socket)
            with contextlib.suppress(BlockingIOError):
                return self._socket.recv(max_bytes)

    async def _until_ready(self, max_bytes: int) -> None:
        if self._loop is None:
            return
        self._max_bytes = max_bytes
        self._future = future = self._loop.create_future()
        try:
            await future
        except BaseException:
            self._unregister()
            raise
        finally:
            self._future = None

    async def wait(self) -> None:
        """Wait until there is something to read, for who reads himself.

        Raises:
            BusyResourceError: Somebody waits already.
            ClosedResourceError: It was closed meanwhile.
        """
        if self._future is not None or self._is_for_other:
            raise anyio.BusyResourceError("reading from")
        self._unregister()
        self._is_for_other = True
        try:
            await anyio.wait_readable(self._socket)
        finally:
            self._is_for_other = False

    def left_over(self, max_bytes: int) -> bytes | None:
        """Give what has come for a wait that was cancelled; None: nothing.

        Raises:
            OSError: What the socket said.
        """
        came, self._came = self._came, None
        if isinstance(came, OSError):
            raise came
        if came is not None and len(came) > max_bytes:
            came, self._came = came[:max_bytes], came[max_bytes:]
        return came

    def close(self) -> None:
        """Let go of the socket before it is closed; whoever waits hears of it."""
        self._unregister()
        self._came = None
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
        anyio.notify_closing(self._socket)

    def _register(self) -> bool:
        descriptor = self._socket.fileno()
        if descriptor < 0:
            raise anyio.ClosedResourceError
        loop = native_loop()
        if loop is None:
            return False
        try:
            loop.add_reader(descriptor, self._ready)
        except NotImplementedError:  # of Windows, the loop that waits for completions
            return False
        self._loop, self._descriptor = loop, descriptor
        self._is_forgetful = not type(loop).__module__.startswith("asyncio.")
        return True

    def _unregister(self) -> None:
        if self._loop is not None and self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._descriptor = -1

    def _look_again(self) -> None:
        """Have the loop see what is behind something that came together with a reset.

        uvloop calls once then, and never again; to look after each call would cost more.
        """
        self._is_looking = False
        if self._descriptor < 0:
            return
        try:
            self._socket.getpeername()
        except OSError:
            self._unregister()
            self._register()

    def _ready(self) -> None:
        future = self._future
        if future is None or future.done():
            # What nobody waits for would call again and again.
            self._unregister()
            return
        # A task would come to it only after the loop has found it ready once more.
        try:
            came: bytes | OSError = self._socket.recv(self._max_bytes)
        except BlockingIOError:
            return
        except OSError as exc:
            came = exc
        if self._is_forgetful and self._loop is not None and not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_AFTER_S, self._look_again)
        if self._take is None or not came or type(came) is not bytes:
            self._came = came
            future.set_result(None)
            return
        try:
            if self._take(came):
                return
        except Exception as exc:  # noqa: BLE001 - it is raised where somebody waits
            future.set_exception(exc)
        else:
            future.set_result(None)
