"""The broker's clock and its alarms, without I/O."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.sessions import Session

__all__ = ["Clock", "Deadlines", "Due"]

FEW = 1000

# A session, or the topic of a retained message.
Due: TypeAlias = "Session | str"


class Clock:
    """The present, as the shell has told it last.

    Attributes:
        now: Seconds on the shell's clock.
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: float = 0.0


class _Alarm:
    """One entry of the heap; what is forgotten or overtaken names nobody any more."""

    __slots__ = ("at", "due")

    def __init__(self, at: float, due: Due) -> None:
        self.at = at
        self.due: Due | None = due


class Deadlines:
    """Calls sessions and topics at the earliest time that each has asked for.

    What is forgotten is let go of at once; of its entry in the heap only the time stays,
    until half of the entries are such.

    Attributes:
        on_earlier: Called when something is due before all that was known.
    """

    def __init__(self) -> None:
        self.on_earlier: Callable[[], object] = lambda: None
        self._heap: list[tuple[float, int, _Alarm]] = []
        self._alarms: dict[Due, _Alarm] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many entries there are, those of the forgotten included."""
        return len(self._heap)

    @property
    def next_at(self) -> float | None:
        """When the next of them is due; None when none is."""
        heap = self._heap
        while heap and heap[0][2].due is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def add(self, due: Due, at: float) -> None:
        """Call it at this time, if not before."""
        known = self._alarms.get(due)
        if known is not None:
            if known.at <= at:
                return
            known.due = None
        is_first = not self._heap or at < self._heap[0][0]
        alarm = self._alarms[due] = _Alarm(at, due)
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, alarm))
        self._tidy()
        if is_first:
            self.on_earlier()

    def forget(self, due: Due) -> None:
        """Do not call it; it may have ended."""
        alarm = self._alarms.pop(due, None)
        if alarm is not None:
            alarm.due = None
            self._tidy()

    def _tidy(self) -> None:
        if not self._alarms:
            self._heap.clear()
        elif len(self._heap) > 2 * len(self._alarms) + FEW:
            self._heap = [one for one in self._heap if one[2].due is not None]
            heapq.heapify(self._heap)

    def take(self, now: float, most: int) -> list[Due]:
        """Give what is due, each once, and so many at most."""
        taken: list[Due] = []
        heap = self._heap
        while heap and heap[0][0] <= now and len(taken) < most:
            due = heapq.heappop(heap)[2].due
            if due is not None:
                del self._alarms[due]
                taken.append(due)
        return taken
