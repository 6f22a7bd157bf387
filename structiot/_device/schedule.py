"""When a device is polled.

A schedule is stopped (nobody watches, nothing is due), steady (a tick each `poll_s`),
or in a burst (a tick each `burst_s`, `burst_polls` times) after a command, when much is
about to change. A poll that failed is repeated after a delay that the caller draws.
Who polls calls `tick` before each poll; everything else only moves the next tick.

Times are seconds of one monotonic clock and come in as `now`.
"""

from __future__ import annotations

import math

from structiot.errors import UsageError

__all__ = ["PollSchedule"]


class PollSchedule:
    """Ticks at a steady pace, quicker for some cycles after a command.

    The grid does not drift: how long a poll takes does not move the next. Ticks that
    were missed (a slow device, a suspended computer) are left out, not caught up on.

    Args:
        poll_s: Seconds from tick to tick; `math.inf` for a device that tells by itself
            what changes: it is polled when somebody begins to watch, after commands,
            and until a poll that failed has succeeded.
        burst_s: The same after a command; never slower than `poll_s`.
        burst_polls: How many ticks after a command come at the quicker pace.

    Raises:
        UsageError: A pace that is not above 0, or less than no polls.

    Attributes:
        poll_s: As given; a change takes effect with the next tick.
        next_at: When the next poll is due.
    """

    def __init__(
        self, *, poll_s: float = 5.0, burst_s: float = 2.0, burst_polls: int = 4
    ) -> None:
        if not (poll_s > 0 and burst_s > 0 and burst_polls >= 0):
            message = "poll_s and burst_s are above 0 s, and burst_polls is at least 0"
            raise UsageError(message)
        self.poll_s: float = poll_s
        self.next_at: float = math.inf
        self._burst_s = burst_s
        self._burst_polls = burst_polls
        self._burst_left = 0
        self._is_stopped = True

    @property
    def is_burst(self) -> bool:
        """Whether the next tick is one of those after a command."""
        return self._burst_left > 0

    def begin(self, at: float) -> None:
        """Poll at this time first, then steadily."""
        self.next_at = at
        self._burst_left = 0
        self._is_stopped = False

    def stop(self) -> None:
        """Poll no more."""
        self.next_at = math.inf
        self._burst_left = 0
        self._is_stopped = True

    def tick(self, now: float) -> None:
        """Note that the poll that was due is made now."""
        self._burst_left = max(0, self._burst_left - 1)
        pace_s = min(self._burst_s, self.poll_s) if self._burst_left else self.poll_s
        due_at = min(self.next_at, now) + pace_s
        if due_at <= now:
            due_at += math.floor((now - due_at) / pace_s + 1) * pace_s
            if due_at <= now:
                # Rounded to this very tick, which is being made.
                due_at += pace_s
        self.next_at = due_at

    def commanded(self, now: float) -> None:
        """Note a command: the quicker pace begins (anew) from here."""
        if not self._is_stopped and self._burst_polls > 0:
            self._burst_left = self._burst_polls
            self.next_at = now + min(self._burst_s, self.poll_s)

    def pushed(self, now: float) -> None:
        """Note that the device told by itself all that a poll would have brought."""
        if not self._is_stopped:
            self._burst_left = 0
            self.next_at = now + self.poll_s

    def retry(self, now: float, delay_s: float) -> None:
        """Poll after a delay of its own, because the last poll failed."""
        if not self._is_stopped:
            self._burst_left = 0
            self.next_at = now + delay_s

    def hurry(self, at: float) -> None:
        """Poll at this time at the latest, because something is worth finding out."""
        if not self._is_stopped:
            self.next_at = min(self.next_at, at)
