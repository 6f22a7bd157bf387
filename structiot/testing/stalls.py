"""A test under virtual time that waits for what cannot come fails, and says so.

The clock jumps to the next deadline when every task waits. Where there is none, only a
thread or a socket could wake a task. Worker threads are counted by the clock, other
threads are those that have come since the test began, and sockets are refused: so it is
known that nothing will happen any more, and the test is cancelled where it waits.

asyncio's loop asks here when it has no deadline left, and trio's clock before it jumps.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import trio
from trio.testing import MockClock

from structiot.testing.clock import JumpLoop, RealInputOutput
from structiot.testing.leaks import own_threads

__all__ = ["WaitsForNothing", "watched"]

Test = Callable[..., Coroutine[Any, Any, object]]


class WaitsForNothing(AssertionError):
    """All tasks of a test under virtual time wait, and nothing can wake one of them."""

    def __init__(self) -> None:
        super().__init__(
            "the test would wait for ever: every task waits, and under virtual time "
            "there is no deadline, no thread and no socket that could wake one"
        )


def watched(test: Test) -> Test:
    """Make a test fail with `WaitsForNothing` or `RealInputOutput` where it waits."""

    @functools.wraps(test)
    async def run(**arguments: object) -> None:
        __tracebackhide__ = True
        watch = _Watch()
        with watch.looking(), watch.scope:
            try:
                await test(**arguments)
            except BaseException as exc:
                if watch.error is None:
                    raise
                # Its own traceback would end here; this one leads to what waited.
                error = watch.error.with_traceback(exc.__traceback__)
                raise error from None  # noqa: ASYNC104 - the scope that cancels is ours
        if watch.error is not None:
            raise watch.error

    return run


class _Watch:
    """Knows what a running test can still wait for, and ends it."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.error: Exception | None = None
        self._threads = own_threads()
        self._counts: list[str] = []

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Have the loop ask for the length of the block."""
        if trio.lowlevel.in_trio_run():
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, MockClock)  # noqa: S101
            # Each system has other names for those that wait for a descriptor.
            names = dir(trio.lowlevel.current_statistics().io_statistics)
            self._counts = [name for name in names if name.startswith("tasks_waiting")]
            # What trio calls, and only then.
            clock._autojump = functools.partial(self._idle, clock)  # type: ignore[method-assign]  # noqa: SLF001
            try:
                yield
            finally:
                del clock._autojump  # noqa: SLF001
            return
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)  # noqa: S101
        before, loop.on_stall = loop.on_stall, self.stalled
        try:
            yield
        finally:
            loop.on_stall = before

    def _idle(self, clock: MockClock) -> None:
        now = trio.lowlevel.current_statistics()
        # trio waits for one descriptor itself, by which threads wake it.
        waiting = sum(getattr(now.io_statistics, name) for name in self._counts)
        if waiting > 1:
            self.end(RealInputOutput())
        elif now.seconds_to_next_deadline < math.inf:
            # As trio itself, which would ask for all of this once more.
            clock.jump(max(0.0, now.seconds_to_next_deadline))
        else:
            self.stalled()

    def stalled(self) -> bool:
        """End the test, unless a thread of its own might go on with it."""
        return own_threads() <= self._threads and self.end(WaitsForNothing())

    def end(self, error: Exception) -> bool:
        """Cancel the test and have it fail; False if that has been done already."""
        if self.error is not None:
            return False
        self.error = error
        self.scope.cancel()
        return True
