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
* worker threads: yes, by `to_thread` of anyio, asyncio or trio. A thread in flight
  looks idle to a scheduler, so the clock is stopped until it has come back;
* sockets, pipes and processes: no. The other side lives in real time. Who waits for
  one gets `RealInputOutput`, and with trio's own sockets the test does.
"""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

import anyio
import anyio.lowlevel
import anyio.to_thread

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = [
    "RealInputOutput",
    "is_time_virtual",
    "virtual_backend",
    "virtual_clock",
]

_START = datetime(2026, 1, 1, tzinfo=UTC)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_WAITS = ("wait_readable", "wait_writable")

RunSync = Callable[..., Awaitable[Any]]


class RealInputOutput(RuntimeError):
    """A test under virtual time tried to wait for a real file descriptor."""

    def __init__(self) -> None:
        super().__init__(
            "sockets live in real time: use a MemoryNetwork (the fixture "
            "`environment` has one), or do without virtual_time"
        )


async def _refuse(_descriptor: object) -> None:
    await anyio.lowlevel.checkpoint()
    raise RealInputOutput


class ThreadsInFlight:
    """Counts what is given to worker threads; nothing jumps while there is any."""

    def __init__(self) -> None:
        self.count: int = 0
        self.on_change: Callable[[], None] = lambda: None

    def change(self, by: int) -> None:
        self.count += by
        self.on_change()

    def counted(self, run_sync: RunSync) -> RunSync:
        @functools.wraps(run_sync)
        async def run_counted(*args: object, **kwargs: object) -> object:
            self.change(1)
            try:
                return await run_sync(*args, **kwargs)
            finally:
                self.change(-1)

        return run_counted


class _JumpSelector(selectors.DefaultSelector):
    """Moves the loop's clock where another selector would wait."""

    loop: JumpLoop

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        # The first descriptor is the pipe by which threads wake the loop.
        if self.get_map():
            raise RealInputOutput
        return super().register(fileobj, events, data)

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            # Something is to be done; only threads could have added to that.
            return super().select(timeout) if self.loop.threads.count else []
        if ready := super().select(0):
            return ready
        if not self.loop.threads.count:
            if timeout is not None:
                self.loop.jump(timeout)
                return []
            if self.loop.on_stall():
                return []
        return super().select(None)


class JumpLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock starts at 0 and moves only when all tasks wait.

    Attributes:
        on_stall: Called when all tasks wait and no deadline is left; True if it has
            made one of them go on.
    """

    def __init__(self, threads: ThreadsInFlight | None = None) -> None:
        self.threads: ThreadsInFlight = threads or ThreadsInFlight()
        self.on_stall: Callable[[], bool] = lambda: False
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

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if when == math.inf:  # as of `anyio.sleep_forever`: no deadline at all
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.threads.change(1)
        future.add_done_callback(lambda _: self.threads.change(-1))
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as asyncio has it
        # It waits for threads, from Python 3.12 on with a deadline.
        self.threads.change(1)
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self.threads.change(-1)


@contextmanager
def virtual_backend(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give a backend and its options, as `anyio.run` takes them, for virtual time."""
    threads = ThreadsInFlight()
    doors: list[Any] = [anyio.to_thread]
    waits: list[tuple[Any, str, Any]] = []
    options: dict[str, Any]
    if name == "asyncio":
        options = {"loop_factory": functools.partial(JumpLoop, threads)}
    else:
        import trio.to_thread  # noqa: PLC0415 - only who uses it pays for it
        from trio.testing import MockClock  # noqa: PLC0415

        doors.append(trio.to_thread)
        waits = [(anyio, name, _refuse) for name in _WAITS]

        clock = MockClock(autojump_threshold=0)

        def hold_or_go() -> None:
            clock.autojump_threshold = math.inf if threads.count else 0

        threads.on_change = hold_or_go
        options = {"clock": clock}
    counted = [(door, "run_sync", threads.counted(door.run_sync)) for door in doors]
    with ExitStack() as stack:
        for module, function, other in (*counted, *waits):
            stack.callback(setattr, module, function, getattr(module, function))
            setattr(module, function, other)
        yield name, options


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
