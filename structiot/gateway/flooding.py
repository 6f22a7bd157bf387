"""What a device may tell: a budget of its own, beyond which only the latest counts.

A device that tells more than each of its entities once a second, and 50 times in any case,
for longer than ten seconds floods. Then its latest states, and that it is there or not, are
taken at that rate; what has happened is dropped beyond it, counted, and said once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import anyio

from structiot._kit.text import counted
from structiot.model import Availability, EntitiesChanged, Occurrence, StateChange

__all__ = ["EventBudget"]

_EVENTS_A_S = 50.0
_BURST_S = 10.0
_LATE_EVERY_S = 0.1
_MAX_LATE = 1024

_log = logging.getLogger(__name__)


class EventBudget:
    """Lets the events of one device through, as many as it may tell.

    Args:
        label: Whose they are, for messages.
        take: Takes what is let through.
        entities: Gives how many entities the device has.

    Attributes:
        is_flooding: Whether it tells more than it may.
        dropped: How many events were lost by that.
    """

    def __init__(
        self,
        label: str,
        take: Callable[[object], None],
        *,
        entities: Callable[[], int],
    ) -> None:
        self.is_flooding: bool = False
        self.dropped: int = 0
        self._label = label
        self._take = take
        self._entities = entities
        self._left = math.inf
        self._at_s = -math.inf
        self._late: dict[object, object] = {}
        self._has_late = anyio.Event()
        self._dropped_before = 0

    def begin(self) -> None:
        """Begin anew: the device was opened."""
        self._left = math.inf
        self._late.clear()

    def let_through(self, event: object) -> None:
        """Take an event now, soon, or not at all."""
        self._refill()
        is_told_once = isinstance(event, Occurrence)
        if self._left >= 1 and (is_told_once or not self._late):
            self._left -= 1
            self._take(event)
            return
        self._note_flood()
        match event:
            case StateChange(key=key):
                self._later(str(key), event)
            case Availability() | EntitiesChanged():
                self._late[type(event)] = event
                self._has_late.set()
            case _:
                self.dropped += 1

    def _later(self, key: str, event: StateChange) -> None:
        if key not in self._late and len(self._late) >= _MAX_LATE:
            # It has no more entities than that: these are made up.
            self.dropped += 1
            return
        # It keeps its place: each has its turn, however often it changes.
        self._late[key] = event
        self._has_late.set()

    @property
    def _rate(self) -> float:
        return max(_EVENTS_A_S, self._entities())

    def _refill(self) -> None:
        now, rate = anyio.current_time(), self._rate
        most = rate * _BURST_S
        self._left = min(most, self._left + (now - self._at_s) * rate)
        self._at_s = now
        if self.is_flooding and self._left >= most / 2:
            self.is_flooding = False
            lost = counted(self.dropped - self._dropped_before, "event")
            _log.info("%s floods no more; %s lost", self._label, lost)

    def _note_flood(self) -> None:
        if not self.is_flooding:
            self.is_flooding = True
            self._dropped_before = self.dropped
            text = "%s floods: of more than %g events a second the latest count"
            _log.warning(text, self._label, self._rate)

    async def run(self) -> None:
        """Take what was late, at the rate that it may come, until cancelled."""
        while True:
            await self._has_late.wait()
            self._has_late = anyio.Event()
            while self._late or self.is_flooding:
                await anyio.sleep(_LATE_EVERY_S)
                self._refill()
                while self._late and self._left >= 1:
                    self._left -= 1
                    self._take(self._late.pop(next(iter(self._late))))
