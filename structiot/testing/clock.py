"""Virtual time for both backends: idle time is jumped over, never waited for.

A test asks for the fixture `virtual_time` (a module by `pytest.mark.usefixtures`) and is
written as if it ran in real time:

    async def test_polls_for_an_hour(virtual_time):
        started_at = anyio.current_time()      # 0.0 at the start of every test
        await anyio.sleep(3600)                # takes microseconds
        assert anyio.current_time() - started_at == 3600

The clock stands still while code runs and jumps to the next deadline when every
task waits, so timings are exact and equal on both backends. trio brings this
(`MockClock`); asyncio gets a loop whose selector moves the clock instead of waiting.

What may be used under virtual time:

* tasks, events, memory networks, `anyio.sleep`, deadlines: yes;
* worker threads: yes, by `anyio.to_thread.run_sync`. A thread in flight looks idle
  to a scheduler, so the clock is stopped until it has come back;
* sockets, pipes and processes: no. The other side lives in real time. A loop that
  is asked to watch one raises `RealInputOutput`.
"""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = ["RealInputOutput", "is_time_virtual", "virtual_backend", "virtual_clock"]

_START = datetime(2026, 1, 1, tzinfo=UTC)

RunSync = Callable[..., Awaitable[Any]]


class RealInputOutput(RuntimeError):
    """A test under virtual time tried to wait for a real file descriptor."""


class ThreadsInFlight:
    """Counts calls of `anyio.to_thread.run_sync`; nothing jumps while there are any."""

    def __init__(self) -> None:
        self.count = 0
        self.on_change: Callable[[], None] = lambda: None

    def counted(self, run_sync: RunSync) -> RunSync:
        @functools.wraps(run_sync)
        async def run_counted(*args: object, **kwargs: object) -> object:
            self.count += 1
            self.on_change()
            try:
                return await run_sync(*args, **kwargs)
            finally:
                self.count -= 1
                self.on_change()

        return run_counted


class _JumpSelector(selectors.DefaultSelector):
    """Moves the loop's clock where another selector would wait."""

    loop: JumpLoop

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        # The first descriptor is the pipe by which threads wake the loop.
        if self.get_map():
            raise RealInputOutput(
                "sockets live in real time: use a MemoryNetwork (the fixture "
                "`environment` has one), or do without virtual_time"
            )
        return super().register(fileobj, events, data)

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if ready := super().select(0):
            return ready
        if self.loop.threads.count:
            return super().select(None)
        self.loop.jump(timeout)
        return []


class JumpLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock starts at 0 and moves only when all tasks wait."""

    def __init__(self, threads: ThreadsInFlight | None = None) -> None:
        self.threads: ThreadsInFlight = threads or ThreadsInFlight()
        self._now_s = 0.0
        selector = _JumpSelector()
        selector.loop = self
        super().__init__(selector)

    # asyncio runs what is due before now and this: what is due now, and nothing that is
    # not, as whoever is woken early waits again, and the clock stands while he does.
    @property
    def _clock_resolution(self) -> float:
        return math.ulp(self._now_s)

    @_clock_resolution.setter
    def _clock_resolution(self, _of_another_clock: float) -> None:
        pass

    def time(self) -> float:
        return self._now_s

    def jump(self, seconds: float) -> None:
        self._now_s += seconds


@contextmanager
def virtual_backend(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give a backend and its options, as `anyio.run` takes them, for virtual time."""
    threads = ThreadsInFlight()
    options: dict[str, Any]
    if name == "asyncio":
        options = {"loop_factory": functools.partial(JumpLoop, threads)}
    else:
        from trio.testing import MockClock  # noqa: PLC0415 - only who uses it pays for it

        clock = MockClock(autojump_threshold=0)

        def hold_or_go() -> None:
            clock.autojump_threshold = math.inf if threads.count else 0

        threads.on_change = hold_or_go
        options = {"clock": clock}
    original = anyio.to_thread.run_sync
    anyio.to_thread.run_sync = threads.counted(original)  # type: ignore[assignment]
    try:
        yield name, options
    finally:
        anyio.to_thread.run_sync = original


def is_time_virtual() -> bool:
    """Whether the loop that is running has a clock that jumps."""
    try:
        return isinstance(asyncio.get_running_loop(), JumpLoop)
    except RuntimeError:
        from trio.lowlevel import current_clock  # noqa: PLC0415
        from trio.testing import MockClock  # noqa: PLC0415

        return isinstance(current_clock(), MockClock)


def virtual_clock() -> datetime:
    """Tell the date under virtual time: each test begins as 2026 does, in UTC."""
    return _START + timedelta(seconds=anyio.current_time())
