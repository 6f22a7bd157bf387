"""When something that failed is tried again, and what is not.

Devices, shared connections and drivers all live by this: growing, jittered delays for
what a retry can cure, the peer's own delay where it named one, and none at all for what
only a person can mend.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import anyio

from structiot._kit.flow.backoff import Backoff, Schedule
from structiot.errors import AuthRefused, ConfigError, RateLimited

__all__ = ["Retrying", "backoff_of", "when"]

_MEND_IT = (AuthRefused, ConfigError)
_LONGEST_S = 86_400.0
_FIRST_S = 1.0
PARKED = "not tried again before a restart or a reload"


class Retrying:
    """One thing's attempts.

    Args:
        backoff: Gives the delays; asked anew at each attempt, as they may be changed.
        random: Jitter of the delays.

    Attributes:
        is_parked: The last failure was final: it waits until it is told to try again.
    """

    def __init__(self, backoff: Callable[[], Backoff], random: Random) -> None:
        self.is_parked: bool = False
        self._backoff = backoff
        self._random = random
        self._schedule: Schedule = backoff().start(random)
        self._wake = anyio.Event()
        self._left_alone_until = -math.inf

    def lived(self, seconds: float) -> None:
        """Tell how long it held; after a stable time delays begin anew."""
        self._schedule.succeeded(seconds)

    def delay_after(self, error: Exception) -> float | None:
        """Give the seconds until the next attempt; None parks it."""
        self.is_parked = isinstance(error, _MEND_IT)
        if self.is_parked:
            return None
        if self._schedule.backoff != self._backoff():
            self._schedule = self._backoff().start(self._random)
        if isinstance(error, RateLimited):
            self.leave_alone(error)
        return max(self._schedule.next_delay_s() or 0.0, self.left_alone_s)

    def leave_alone(self, error: RateLimited) -> None:
        """Ask nothing before the time that the peer has named is over."""
        after_s = error.retry_after_s
        if after_s is None:
            after_s = self._backoff().cap_s
        # What is asked for ever is not asked for in earnest.
        self._left_alone_until = anyio.current_time() + min(after_s, _LONGEST_S)

    @property
    def left_alone_s(self) -> float:
        """How long the peer is to be left alone still; 0 if it is not."""
        return max(0.0, self._left_alone_until - anyio.current_time())

    def retry_now(self) -> None:
        """End the present pause, or leave out the next; delays begin anew."""
        self._schedule = self._backoff().start(self._random)
        self._wake.set()

    def try_again(self) -> None:
        """Attempt it now if the last failure was one that is not tried again."""
        if self.is_parked:
            self.retry_now()

    async def pause(self, delay_s: float | None) -> None:
        """Wait for the next attempt; None waits until it is called for."""
        with anyio.move_on_after(delay_s):
            await self._wake.wait()
        self._wake = anyio.Event()
        self.is_parked = False


def when(delay_s: float | None) -> str:
    """Say when the next attempt follows, for a log line."""
    return PARKED if delay_s is None else f"trying again in {delay_s:.1f} s"


def backoff_of(retry_max_s: float) -> Backoff:
    """Give the schedule by which a gateway tries things again."""
    return Backoff(first_s=_FIRST_S, cap_s=retry_max_s)
