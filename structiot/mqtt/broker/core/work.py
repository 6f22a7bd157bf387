"""Work that takes long is done in portions, so that everybody else has a turn.

Work is counted in units, each about half a microsecond of a small server. A packet that
asks for much becomes an iterator, a *job*, each step of which does a little and counts
it in `Work.done`; who drives the job stops when its portion is used up. The job of a
packet belongs to the client that has sent it: nothing more of that client is looked at
before the job is done, so that what it sends keeps its order. What has no such client
any more, or never had one, stands in `Work.jobs`: the broker's shell calls
`Broker.work_off` for it, again and again, and lets others run in between.

    packet --- small --------------------------------------> done at once
       |
       +------ large ---> job of the client --- client gone ---> queue of its session
    will, retained messages, end of a session ------------> queue of its session

The queues of all sessions are served in turn, a few hundred units each, so that nobody
waits for somebody else's thousands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

__all__ = [
    "AT_ONCE",
    "DELIVERY",
    "FILTER",
    "LIGHT",
    "PACKET",
    "PAIR",
    "PORTION",
    "RETAINED_MESSAGE",
    "SESSION",
    "UNKNOWN_TOPIC",
    "WIDE",
    "Job",
    "Work",
    "counted",
    "whole",
]

# What things cost, in units.
PACKET = 4
# Of user properties, to read it.
PAIR = 2
DELIVERY = 8
FILTER = 16
RETAINED_MESSAGE = 24
SESSION = 32
# To look for its subscribers, and to remember them, beside the steps.
UNKNOWN_TOPIC = 24

# What is done at once of something that has its turn if it is more: many may subscribe,
# or die, at the same moment.
AT_ONCE = 200
# What is done for a client that says little, without waiting for its turn.
LIGHT = 1_000
# What is done in one turn.
PORTION = 20_000
# What one session gets of it, before the next has its share.
SHARE = 1_000
# A message for more subscribers, or one whose subscribers take more steps to find.
WIDE = 500

Job = Iterator[None]
T = TypeVar("T")


class Work:
    """Counts what is done, and keeps what is left to do.

    Attributes:
        done: Units of work done so far.
        on_added: Called when something is left to do.
    """

    __slots__ = ("_queues", "done", "on_added")

    def __init__(self) -> None:
        self.done: int = 0
        self.on_added: Callable[[], object] = lambda: None
        self._queues: dict[object, deque[Job]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, owner: object, job: Job) -> None:
        """Do a job later, behind the other ones of its owner."""
        self._queues.setdefault(owner, deque()).append(job)
        self.on_added()

    def has_left(self, owner: object) -> bool:
        """Tell whether something is left to do for an owner."""
        return owner in self._queues

    def go_on(self, job: Job, end: int) -> bool:
        """Work at a job until so much is done; True once it is finished."""
        for _ in job:
            if self.done >= end:
                break
        else:
            return True
        return False

    def work_off(self, most: int) -> None:
        """Do so much of what is left, a little for each owner in turn."""
        end = self.done + most
        while self._queues and self.done < end:
            owner = next(iter(self._queues))
            jobs = self._queues.pop(owner)
            # Behind the others; and here, since a job may add one for its owner.
            self._queues[owner] = jobs
            if self.go_on(jobs[0], min(end, self.done + SHARE)):
                jobs.popleft()
                if not jobs:
                    del self._queues[owner]


def counted(steps: Generator[int, None, T], work: Work) -> Generator[None, None, T]:
    """Make a part of a job of something that tells how much it does."""
    while True:
        try:
            work.done += next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
        yield


def whole(job: Generator[None, None, T]) -> T:
    """Do a job that is known to be small, all at once."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            value: T = end.value
            return value
