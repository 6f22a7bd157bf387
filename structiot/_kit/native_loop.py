"""What the loop below anyio has and anyio does not pass on, without importing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import anyio
from anyio.lowlevel import current_token

__all__ = ["NativeFuture", "NativeLoop", "clock", "native_loop"]


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
