"""How long one turn of the event loop takes, in time of the processor."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel


class LoopWatch:
    """What was seen.

    Attributes:
        longest_s: The longest turn, in seconds of this thread's processor time.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0


@asynccontextmanager
async def watched_loop() -> AsyncIterator[LoopWatch]:
    """Watch the loop for the length of the block; no virtual time passes meanwhile.

    Garbage is not collected either: how long that takes says what the tests hold.
    """
    watch = LoopWatch()

    async def look() -> None:
        before = time.thread_time()
        while True:
            await anyio.lowlevel.checkpoint()
            now = time.thread_time()
            watch.longest_s = max(watch.longest_s, now - before)
            before = now

    gc.disable()
    try:
        async with anyio.create_task_group() as tg:
            tg.start_soon(look)
            yield watch
            tg.cancel_scope.cancel()
    finally:
        gc.enable()
