"""When messages were sent to each device in the last hour; a clock never set back."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from contextlib import suppress
from typing import Final

from structiot.meross.account_state import AN_HOUR_S, EVERYBODY, SentEarlier
from structiot.meross.rate_limiter import MOST_AN_HOUR

__all__ = ["SentMessages"]

# What is taken to have been sent to each device where nobody knows. Meross's limit
# leaves room for a few more, also if it was all that we allow.
_ASSUMED: Final = 165
# So far off may be what the clock of the day says of two moments.
_ROUNDING_S: Final = 1e-5


class SentMessages:
    """The times of at most 4,096 messages to each device."""

    def __init__(self) -> None:
        self._sent: dict[str, list[float]] = {}
        self._unsure_at = -math.inf

    def note(self, device: str, now_s: float) -> None:
        """A message is being sent."""
        insort(self._times_of(device, now_s), now_s)

    def forget(self, device: str, sent_at: float) -> None:
        """One that was noted is not sent after all."""
        with suppress(ValueError):
            self._sent.get(device, []).remove(sent_at)

    def note_earlier(self, messages: list[SentEarlier], now_s: float) -> None:
        """Messages were sent before, by other programs."""
        for device, age_s in messages:
            if device == EVERYBODY:
                self._unsure_at = max(self._unsure_at, now_s - age_s)
            else:
                insort(self._times_of(device, now_s), now_s - age_s + _ROUNDING_S)

    def count(self, device: str, now_s: float) -> int:
        """Count the messages of the last hour."""
        return len(self._times_of(device, now_s))

    def room_in_s(self, device: str, now_s: float, window_s: float, most: int) -> float:
        """Tell when one more is not one too many; 0 if it is not now."""
        times = self._times_of(device, now_s)
        if most < 1:
            return math.inf
        if len(times) < most:
            return 0.0
        return max(0.0, times[-most] + window_s - now_s)

    def devices(self, now_s: float) -> list[str]:
        """Name the devices that were sent something in the last hour."""
        self._sent = {
            device: times
            for device in self._sent
            if (times := self._times_of(device, now_s))
        }
        return list(self._sent)

    def _times_of(self, device: str, now_s: float) -> list[float]:
        times = self._sent.get(device)
        if times is None:
            times = self._sent[device] = [self._unsure_at] * _ASSUMED
        gone = bisect_right(times, now_s - AN_HOUR_S)
        del times[: max(gone, len(times) - MOST_AN_HOUR)]
        return times
