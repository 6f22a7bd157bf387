"""One garage door: a contact that knows closed from open, and nothing of the way.

A door that was told to move is believed to, for as long as it took before or as it is
set to; then the contact tells whether it has arrived. While it opens the contact says
open at once, while it closes only at the end. Facts: reference 4.8.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from structiot.model import CoverMotion

__all__ = ["Door"]

DEFAULT_S: Final = 20.0
_SHORTEST_S: Final = 5.0
_LONGEST_S: Final = 120.0
# How long after its time a door that closes may still teach how long it takes.
_LATE_S: Final = 60.0
# The contact is asked when a door must have arrived.
_MARGIN_S: Final = 2.0


class Door:
    """See the module's text.

    Attributes:
        is_open: What the contact says; None before it has said anything.
    """

    def __init__(self) -> None:
        self.is_open: bool | None = None
        self._learned_s: float | None = None
        self._way_s = DEFAULT_S
        self._target: bool | None = None
        self._started_utc: datetime | None = None
        self._ends_utc: datetime | None = None

    @property
    def motion(self) -> CoverMotion | None:
        """What it does, as far as that is known."""
        if self._ends_utc is not None:
            return CoverMotion.OPENING if self._target else CoverMotion.CLOSING
        if self.is_open is None:
            return None
        return CoverMotion.OPEN if self.is_open else CoverMotion.CLOSED

    def order(self, at_utc: datetime, *, is_open: bool, set_s: float | None) -> None:
        """It was told to open or to close, and has taken it.

        Args:
            at_utc: When.
            is_open: Whether to open.
            set_s: How long it is set to take; not believed if no door takes so long.
        """
        if self.is_open is is_open and self._ends_utc is None:
            return
        if set_s is not None and not _SHORTEST_S <= set_s <= _LONGEST_S:
            set_s = None
        known_s = (set_s, self._learned_s) if is_open else (self._learned_s, set_s)
        self._way_s = known_s[0] or known_s[1] or DEFAULT_S
        self._target, self._started_utc = is_open, at_utc
        self._ends_utc = at_utc + timedelta(seconds=self._way_s + _MARGIN_S)

    def told(self, at_utc: datetime, *, is_open: bool) -> tuple[str, ...]:
        """The contact has told; give what has happened: opened, closed, stuck."""
        before, self.is_open = self.is_open, is_open
        happened = []
        if before is not None and before is not is_open:
            happened.append("opened" if is_open else "closed")
        if not is_open and self._target is False:
            self._arrive(at_utc)
        was_there = before is self._target
        is_over = self._ends_utc is not None and at_utc >= self._ends_utc
        if is_over and is_open is not self._target and not was_there:
            happened.append("stuck")
        if is_over or (was_there and before is not is_open):
            # It has arrived, or it did and went back, as by hand.
            self._ends_utc = None
        return tuple(happened)

    def passed(self, at_utc: datetime) -> bool:
        """Take it that it has opened, if its time is over; tell if that is news."""
        is_over = self._ends_utc is not None and at_utc >= self._ends_utc
        if not (is_over and self.is_open is self._target):
            return False
        self._ends_utc = None
        return True

    def rest_s(self, at_utc: datetime) -> float | None:
        """Give when to ask it whether it has arrived; None if it does not move."""
        if self._ends_utc is None:
            return None
        return max(0.0, (self._ends_utc - at_utc).total_seconds())

    def _arrive(self, at_utc: datetime) -> None:
        """It has closed, as it was told: that is how long it takes."""
        if self._started_utc is not None:
            took_s = (at_utc - self._started_utc).total_seconds()
            if _SHORTEST_S <= took_s <= min(self._way_s + _LATE_S, _LONGEST_S):
                self._learned_s = took_s
        self._target = self._started_utc = self._ends_utc = None
