"""What a simulated device will do later, in the order of time; nobody waits here."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final, final

from structiot.sim.shared.clock import SimClock

__all__ = ["Agenda"]


@final
class Agenda:
    """Deeds with their time; `settle` does what is due.

    Args:
        clock: The device's.

    Attributes:
        on_change: Told when a deed is entered, for whoever waits for the next one.
    """

    def __init__(self, clock: SimClock) -> None:
        self.on_change: Callable[[], None] | None = None
        self._clock: Final = clock
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def after(self, delay_s: float, act: Callable[[], None]) -> int:
        """Enter a deed that is due in so many seconds; give its number."""
        self._number += 1
        due_s = self._clock.now_s() + delay_s
        heapq.heappush(self._entries, (due_s, self._number, act))
        if self.on_change is not None:
            self.on_change()
        return self._number

    def cancel(self, number: int | None) -> None:
        """Strike a deed, if it is still there."""
        self._entries = [entry for entry in self._entries if entry[1] != number]
        heapq.heapify(self._entries)

    def clear(self) -> None:
        """Strike everything, as a device without mains does."""
        self._entries.clear()

    def settle(self) -> None:
        """Do what is due, in order."""
        while self._entries and self._entries[0][0] <= self._clock.now_s() + 1e-6:
            heapq.heappop(self._entries)[2]()

    def wait_s(self) -> float | None:
        """Tell in how many seconds of the event loop the next one is due, if any is."""
        if not self._entries:
            return None
        return max(0.0, self._entries[0][0] - self._clock.now_s()) / self._clock.speed
