"""Receiving from a socket that stays registered with the loop between its waits.

`anyio.wait_readable` registers the socket for each wait and takes it out again: two
calls of the kernel and much of the time of a short answer. On trio, which has nothing
else, and on loops that do not watch sockets it is what waits here, too.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import anyio
from anyio.lowlevel import checkpoint, current_token

__all__ = ["Readiness"]


class _Future(Awaitable[None], Protocol):
    def done(self) -> bool: ...

    def set_result(self, result: None, /) -> None: ...


class _Loop(Protocol):
    def create_future(self) -> _Future: ...

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> object: ...

    def remove_reader(self, fd: int, /) -> object: ...


class Readiness:
    """Waits for one socket; nobody else may register it for reading meanwhile."""

    __slots__ = ("_came", "_descriptor", "_future", "_loop", "_max_bytes", "_socket")

    def __init__(self, watched: socket.socket) -> None:
        self._socket = watched
        # Under which number it is registered; -1: it is not.
        self._descriptor = -1
        # None: not asked for yet. False: this one does not watch sockets.
        self._loop: _Loop | bool | None = None
        self._future: _Future | None = None
        self._max_bytes = 0
        # What came and nobody has taken yet: he may have been cancelled.
        self._came: bytes | OSError | None = None

    async def receive(self, max_bytes: int) -> bytes:
        """Wait for bytes, empty at the end; a wait that is cancelled loses none.

        Raises:
            OSError: What the socket says.
            BusyResourceError: Somebody waits already.
            ClosedResourceError: It was closed meanwhile.
        """
        if self._future is not None:
            raise anyio.BusyResourceError("reading from")
        if self._came is not None:
            await checkpoint()
        elif self._descriptor < 0 and not self._register():
            await anyio.wait_readable(self._socket)
            return self._socket.recv(max_bytes)
        else:
            self._max_bytes = max_bytes
            self._future = future = cast("_Loop", self._loop).create_future()
            try:
                await future
            except BaseException:
                self.unregister()
                raise
            finally:
                self._future = None
        if (data := self.left_over(max_bytes)) is None:
            raise anyio.ClosedResourceError
        return data

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

    def unregister(self) -> None:
        """Take it out of the loop: what comes is for somebody else, or for nobody."""
        if self._descriptor >= 0:
            cast("_Loop", self._loop).remove_reader(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        """Let go of the socket before it is closed; whoever waits hears of it."""
        self.unregister()
        self._came = None
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def _register(self) -> bool:
        if self._loop is None:
            token = current_token().native_token
            self._loop = cast("_Loop", token) if hasattr(token, "add_reader") else False
        if isinstance(self._loop, bool):
            return False
        descriptor = self._socket.fileno()
        if descriptor < 0:
            raise anyio.ClosedResourceError
        try:
            self._loop.add_reader(descriptor, self._ready)
        except NotImplementedError:
            self._loop = False
            return False
        self._descriptor = descriptor
        return True

    def _ready(self) -> None:
        future = self._future
        if future is None or future.done():
            # What nobody waits for would call again and again.
            self.unregister()
            return
        # Here, for a task would come to it only after the loop has found it ready again.
        try:
            self._came = self._socket.recv(self._max_bytes)
        except BlockingIOError:
            return
        except OSError as exc:
            self._came = exc
        future.set_result(None)
