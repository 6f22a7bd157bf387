"""What a test may leave behind: nothing.

Tasks are compared before and after inside the running loop, threads and sockets
also after the loop has been closed. Threads of the pools that anyio, trio and asyncio
keep for reuse do not count.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

# Asked for after each round of a sweep, so taken as they are: a guard against blocking
# calls puts something into `os` later that walks through the whole stack each time.
from os import listdir, readlink

import anyio
import anyio.lowlevel

__all__ = [
    "Leftovers",
    "leftovers_now",
    "open_sockets",
    "settled_leftovers",
    "wait_for_none_since",
]

POOL_THREAD_PREFIXES = ("AnyIO worker thread", "Trio thread", "asyncio_", "ThreadPool")
_FD_FOLDER = "/proc/self/fd"
_SETTLE_PASSES = 100
# Passes in which time passes and the clock on the wall stands still: a virtual clock.
_MOMENTS = 20
SETTLE_S = 1.0


def open_sockets() -> frozenset[str]:
    """Name the open sockets of this process; empty where the system cannot tell."""
    try:
        descriptors = listdir(_FD_FOLDER)  # noqa: PTH208 - see the import
    except OSError:
        return frozenset()
    found = set()
    for descriptor in descriptors:
        try:
            target = readlink(f"{_FD_FOLDER}/{descriptor}")  # noqa: PTH115
        except OSError:  # the descriptor of the listing itself
            continue
        if target.startswith("socket:"):
            found.add(target)
    return frozenset(found)


def own_threads() -> frozenset[threading.Thread]:
    """Give the living threads that are not part of a reusable pool."""
    return frozenset(
        thread
        for thread in threading.enumerate()
        if not thread.name.startswith(POOL_THREAD_PREFIXES)
    )


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What exists at one moment; `since` tells what has come since another."""

    threads: frozenset[threading.Thread] = field(default_factory=own_threads)
    sockets: frozenset[str] = field(default_factory=open_sockets)
    tasks: frozenset[int] = frozenset()

    def since(self, before: Leftovers) -> list[str]:
        """Name the threads and sockets that were not there before."""
        threads = sorted(thread.name for thread in self.threads - before.threads)
        sockets = sorted(self.sockets - before.sockets)
        return [f"thread {name}" for name in threads] + sockets


def wait_for_none_since(before: Leftovers) -> list[str]:
    """Say what has been left since `before`, after up to a second of patience."""
    give_up_at = time.monotonic() + SETTLE_S
    while left := Leftovers().since(before):
        if time.monotonic() > give_up_at:
            return left
        time.sleep(0.01)
    return []


def running_tasks() -> dict[int, str]:
    """Give the tasks of the running loop, but for the calling one, by id."""
    own = anyio.get_current_task().id
    return {
        task.id: f"task {task.name}"
        for task in anyio.get_running_tasks()
        if task.id != own and not _is_machinery(task)
    }


def _is_machinery(task: anyio.TaskInfo) -> bool:
    # anyio's plugin runs each fixture and test from a new task on asyncio.
    return getattr(task.coro, "__qualname__", "").startswith("TestRunner.")


async def settled_leftovers(
    before: Leftovers, *, tasks_only: bool = False
) -> list[str]:
    """Say which tasks, threads and sockets are left once nothing happens any more.

    The scheduler is given some passes first: asyncio closes a transport one pass
    after it was told to. What needs the peer to notice gets real time, except
    under a virtual clock, which has none to give.
    """
    for _ in range(_SETTLE_PASSES):
        if not _left_now(before, tasks_only=tasks_only):
            return []
        await anyio.lowlevel.checkpoint()
    real_deadline = time.monotonic() + SETTLE_S
    left = _left_now(before, tasks_only=tasks_only)
    in_no_time = 0
    while left and time.monotonic() < real_deadline and in_no_time < _MOMENTS:
        started = time.monotonic()
        await anyio.sleep(0.01)
        # A thread that was busy holds the virtual clock a little; its task goes on then.
        in_no_time += time.monotonic() - started < 0.005
        left = _left_now(before, tasks_only=tasks_only)
    return left


def _left_now(before: Leftovers, *, tasks_only: bool) -> list[str]:
    tasks = [name for id_, name in running_tasks().items() if id_ not in before.tasks]
    return tasks if tasks_only else tasks + Leftovers().since(before)


def leftovers_now() -> Leftovers:
    """Take a snapshot that includes the tasks of the running loop."""
    return Leftovers(tasks=frozenset(running_tasks()))
