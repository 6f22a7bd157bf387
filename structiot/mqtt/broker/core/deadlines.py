"""The broker's clock and its alarms, without I/O."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.sessions import Session

__all__ = ["Clock", "Deadlines"]

FEW = 1000


class Clock:
    """The present, as the shell has told it last.

    Attributes:
        now: Seconds on the shell's clock.
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: float = 0.0


class Deadlines:
    """Wakes sessions at the earliest time that each has asked for.

    Attributes:
        on_earlier: Called when something is due before all that was known.
    """

    def __init__(self) -> None:
        self.on_earlier: Callable[[], object] = lambda: None
        self._heap: list[tuple[float, int, Session]] = []
        self._count = 0
        self._limit = FEW

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> float | None:
        """When the next session is due; None when none is."""
        return self._heap[0][0] if self._heap else None

    def add(self, session: Session, at: float) -> None:
        """Look at a session at this time, if not before."""
        if session.due_at is not None and session.due_at <= at:
            return
        heap = self._heap
        if len(heap) >= self._limit:
            # Most are of sessions that have ended or have an earlier one.
            self._heap = heap = [one for one in heap if one[2].due_at == one[0]]
            heapq.heapify(heap)
            self._limit = max(FEW, 2 * len(heap))
        is_first = not heap or at < heap[0][0]
        session.due_at = at
        self._count += 1
        heapq.heappush(heap, (at, self._count, session))
        if is_first:
            self.on_earlier()

    def take(self, now: float, most: int) -> list[Session]:
        """Give sessions that are due, each once, and so many at most."""
        due: list[Session] = []
        heap = self._heap
        while heap and heap[0][0] <= now and len(due) < most:
            at, _, session = heapq.heappop(heap)
            # An entry that was overtaken by an earlier one says nothing any more.
            if session.due_at == at:
                session.due_at = None
                due.append(session)
        return due
