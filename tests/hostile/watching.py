"""What every attack is watched for: the loop, the memory and a good client."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio.lowlevel
import anyio.to_thread

from tests._support.processor_time import watched_loop
from tests.hostile.good_client import GoodPeer

MB = 1_000_000
HOLDS_LOOP_S = 0.050
GOOD_WAITS_S = 0.500
SAMPLE_S = 0.01
LOOK_CLOSER_BYTES = MB
PAGE_BYTES = 4096

Watched = Callable[..., AbstractAsyncContextManager["Damage"]]


@dataclass
class Damage:
    """What an attack did.

    Attributes:
        name: The test.
        step_s: Processor time of the loop's thread in the longest step.
        step_of: Whose step that was.
        good_s: The longest wait of the good client, None without one.
        grown_bytes: Memory in use at its height, beyond that of the start.
        kept_bytes: The same after the attack, once all that is free is given back.
    """

    name: str
    step_s: float = 0.0
    step_of: str = ""
    good_s: float | None = None
    grown_bytes: int = 0
    kept_bytes: int = 0

    def row(self) -> str:
        good = "-" if self.good_s is None else f"{self.good_s * 1000:.0f} ms"
        return (
            f"| {self.name} | {self.step_s * 1000:.1f} ms | {good} "
            f"| {self.grown_bytes / MB:.1f} MB | {self.kept_bytes / MB:.1f} MB |"
        )


@dataclass
class Memory:
    """Memory in use, looked at all the time by a thread of its own.

    Pages that the allocator keeps for later do not count: where an attack before this
    one left holes in the heap, buffers of 64 kB wander through all of them, one after
    the other, and the pages of 40 MB seem to be needed for one buffer.
    """

    begun_bytes: int = field(default_factory=lambda: resident_bytes(trim=True))
    highest_bytes: int = 0

    def __post_init__(self) -> None:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            if resident_bytes() > self.highest_bytes + LOOK_CLOSER_BYTES:
                give_free_pages_back()
                self.highest_bytes = max(self.highest_bytes, resident_bytes())

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()


def resident_bytes(*, trim: bool = False) -> int:
    """Give the resident memory of this process, of what is in use only with `trim`."""
    if trim:
        gc.collect()
        give_free_pages_back()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE_BYTES


def give_free_pages_back() -> None:
    ctypes.CDLL(None).malloc_trim(0)


@asynccontextmanager
async def watched(
    damage: Damage,
    *,
    good: GoodPeer | None,
    grows_mb: float,
    keeps_mb: float,
) -> AsyncIterator[Damage]:
    """Watch an attack, and fail the test if it does more damage than it may."""
    memory = await anyio.to_thread.run_sync(Memory)
    async with AsyncExitStack() as stack:
        stack.callback(memory.stop)
        if good is not None:
            await stack.enter_async_context(good.running())
        async with watched_loop() as loop:
            yield damage
            # A step that was begun in the block is measured at its end.
            await anyio.lowlevel.checkpoint()
    damage.step_s, damage.step_of = loop.longest_s, loop.longest_of
    damage.grown_bytes = max(0, memory.highest_bytes - memory.begun_bytes)
    damage.kept_bytes = max(0, resident_bytes(trim=True) - memory.begun_bytes)
    if good is not None:
        damage.good_s = good.longest_s
        assert good.error is None, good.error
        assert good.count > 0
        assert good.longest_s < GOOD_WAITS_S
    assert damage.step_s < HOLDS_LOOP_S, damage.step_of
    assert damage.grown_bytes < grows_mb * MB
    assert damage.kept_bytes < keeps_mb * MB
