"""What the loop below anyio has and anyio does not pass on, without importing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, cast

import anyio
from anyio.lowlevel import checkpoint, current_token

__all__ = ["NativeFuture", "NativeLoop", "clock", "event_maker", "native_loop"]


class NativeFuture(Awaitable[None], Protocol):
    """One wait of one task, which can be cancelled."""

    def done(self) -> bool:
        """Whether it has ended, or was cancelled."""
        ...

    def set_result(self, result: None, /) -> None:
        """End it."""
        ...

    def set_exception(self, error: BaseException, /) -> None:
        """End it with what its task is to raise."""
        ...


class NativeLoop(Protocol):
    """asyncio's loop, or one that is like it."""

    def call_soon(self, callback: Callable[[], object], /) -> object:
        """Call when whoever runs now, and who is ready already, has run."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> object:
        """Call when so many seconds have passed."""
        ...

    def time(self) -> float:
        """Give what `anyio.current_time` gives."""
        ...

    def create_future(self) -> NativeFuture:
        """Give something to wait for."""
        ...

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> object:
        """Call back as long as there is something to read."""
        ...

    def remove_reader(self, fd: int, /) -> object:
        """Do so no more."""
        ...


def native_loop() -> NativeLoop | None:
    """Give the running loop if it is like asyncio's; None on trio."""
    token = current_token().native_token
    return cast("NativeLoop", token) if hasattr(token, "add_reader") else None


def clock() -> Callable[[], float]:
    """Give `anyio.current_time` of the running loop, which need not be found each time."""
    loop = native_loop()
    return anyio.current_time if loop is None else loop.time


class _LoopEvent(anyio.Event):
    """anyio's event without what lies between it and the loop's futures.

    It wakes and is cancelled as that is, for a third of what it costs: much where there
    is one for each message.
    """

    __slots__ = ("_futures", "_is_set", "_loop")

    _loop: NativeLoop
    _is_set: bool
    # One for each task, which is cancelled with it.
    _futures: list[NativeFuture]

    def __new__(cls, loop: NativeLoop) -> _LoopEvent:  # noqa: PYI034 - it has no subclasses
        made = object.__new__(cls)
        made._loop, made._is_set, made._futures = loop, False, []
        return made

    def set(self) -> None:
        self._is_set = True
        for future in self._futures:
            if not future.done():
                future.set_result(None)

    def is_set(self) -> bool:
        return self._is_set

    async def wait(self) -> None:
        if self._is_set:
            await checkpoint()
            return
        future = self._loop.create_future()
        self._futures.append(future)
        try:
            await future
        finally:
            self._futures.remove(future)

    def statistics(self) -> anyio.EventStatistics:
        return anyio.EventStatistics(len(self._futures))


def event_maker() -> Callable[[], anyio.Event]:
    """Give what makes events for the running loop, where one is made for each message."""
    loop = native_loop()
    return anyio.Event if loop is None else partial(_LoopEvent, loop)
