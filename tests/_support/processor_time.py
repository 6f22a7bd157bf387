"""How long the event loop is held, in processor time of its thread.

Measured is each step from one checkpoint to the next: what a task or a callback does
before it lets others run. Wall time would tell of the machine's other work; time spent in
other threads, attackers among them, does not count.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import sniffio
import trio


class LoopWatch:
    """What was seen.

    Attributes:
        longest_s: The longest step, in seconds of this thread's processor time.
        longest_of: What took it.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.longest_of = ""
        self._thread = threading.get_ident()
        self._begun_s = 0.0
        self._garbage_s = 0.0
        self._garbage_begun_s = 0.0

    def step_begins(self) -> None:
        if threading.get_ident() == self._thread:
            self._begun_s = time.thread_time()
            self._garbage_s = 0.0

    def step_ends(self, what: object) -> None:
        if threading.get_ident() != self._thread or not self._begun_s:
            return
        taken_s = time.thread_time() - self._begun_s - self._garbage_s
        if taken_s > self.longest_s:
            self.longest_s = taken_s
            self.longest_of = str(what)

    def collecting(self, phase: str, info: dict[str, int]) -> None:
        """Leave garbage collection out: how long it takes says what the tests hold."""
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._garbage_begun_s = time.thread_time()
        else:
            self._garbage_s += time.thread_time() - self._garbage_begun_s


class _TrioSteps(trio.abc.Instrument):
    def __init__(self, watch: LoopWatch) -> None:
        self._watch = watch

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._watch.step_begins()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._watch.step_ends(task.name)


@contextmanager
def _asyncio_steps(watch: LoopWatch) -> Iterator[None]:
    run = asyncio.Handle._run

    def watched_run(handle: Any) -> None:
        # A task's step says more by the task.
        what = getattr(handle._callback, "__self__", handle)
        watch.step_begins()
        run(handle)
        watch.step_ends(what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", watched_run)
        yield


@contextmanager
def _trio_steps(watch: LoopWatch) -> Iterator[None]:
    instrument = _TrioSteps(watch)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)


@asynccontextmanager
async def watched_loop() -> AsyncIterator[LoopWatch]:
    """Watch the loop for the length of the block."""
    watch = LoopWatch()
    is_trio = sniffio.current_async_library() == "trio"
    steps = _trio_steps if is_trio else _asyncio_steps
    gc.callbacks.append(watch.collecting)
    try:
        with steps(watch):
            yield watch
    finally:
        gc.callbacks.remove(watch.collecting)
