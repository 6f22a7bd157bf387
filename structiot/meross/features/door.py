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
        configured_s: How long it is set to take, by the direction.
    """

    def __init__(self) -> None:
        self.is_open: bool | None = None
        self.configured_s: dict[bool, float] = {}
        self._learned_s: float | None = None
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

    def duration_s(self, *, is_opening: bool) -> float:
        """Give how long a way is believed to take, in seconds."""
        if self._learned_s is not None and not is_opening:
            return self._learned_s
        known_s = self.configured_s.get(is_opening)
        return known_s or self._learned_s or DEFAULT_S

    def configure(self, *, is_opening: bool, duration_s: float | None) -> None:
        """Take note of a duration that it is set to, if a door can take so long."""
        if duration_s is not None and _SHORTEST_S <= duration_s <= _LONGEST_S:
            self.configured_s[is_opening] = duration_s

    def order(self, at_utc: datetime, *, is_open: bool) -> None:
        """It was told to open or to close, and has taken it."""
        if self.is_open is is_open and self._ends_utc is None:
            return
        way = timedelta(seconds=self.duration_s(is_opening=is_open) + _MARGIN_S)
        self._target, self._started_utc = is_open, at_utc
        self._ends_utc = at_utc + way

    def told(self, at_utc: datetime, *, is_open: bool) -> tuple[str, ...]:
        """The contact has told; give what has happened: opened, closed, stuck."""
        before, self.is_open = self.is_open, is_open
        happened = []
        if before is not None and before is not is_open:
            happened.append("opened" if is_open else "closed")
        if not is_open and self._target is False:
            self._arrive(at_utc)
        if self._ends_utc is not None and at_utc >= self._ends_utc:
            self._ends_utc = None
            if is_open is not self._target:
                happened.append("stuck")
        return tuple(happened)

    def rest_s(self, at_utc: datetime) -> float | None:
        """Give when to ask it whether it has arrived; None if it does not move."""
        if self._ends_utc is None:
            return None
        return max(0.0, (self._ends_utc - at_utc).total_seconds())

    def _arrive(self, at_utc: datetime) -> None:
        """It has closed, as it was told: that is how long it takes."""
        if self._started_utc is not None:
            took_s = (at_utc - self._started_utc).total_seconds()
            expected_s = self.duration_s(is_opening=False)
            if _SHORTEST_S <= took_s <= min(expected_s + _LATE_S, _LONGEST_S):
                self._learned_s = took_s
        self._target = self._started_utc = self._ends_utc = None
