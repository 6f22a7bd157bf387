"""When messages were sent to each device in the last hour, also before a restart.

What is written down for the next process is when each was sent, and how many more may
have been by then without another word: whoever is killed may have sent them all, and the
next process takes it that they were sent just before it began.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final

from structiot._kit.json_text import (
    compact,
    integer_of,
    number_of,
    parse_object,
    violation,
)
from structiot.meross.rate_limiter import MOST_AN_HOUR

__all__ = ["AN_HOUR_S", "SentMessages"]

AN_HOUR_S: Final = 3_600.0
_VERSION: Final = 1
_MOST_DEVICES: Final = 4_096
_MOST_AHEAD: Final = 1_000
# What is taken to have been sent to each device where a file cannot be read. Meross's
# limit leaves room for a few more, also if it was all that we allow.
_ASSUMED: Final = 165


class SentMessages:
    """The times by a clock that is never set back; a wall clock is for files only."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = {}
        self._unsure_at: float | None = None

    def note(self, device: str, now_s: float) -> None:
        """A message is about to be sent."""
        self._times_of(device, now_s).append(now_s)

    def count(self, device: str, now_s: float, window_s: float = AN_HOUR_S) -> int:
        """Count the messages of a span of time until now."""
        times = self._times_of(device, now_s)
        return sum(1 for at in times if at > now_s - window_s)

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
        for device in list(self._sent):
            if not self._times_of(device, now_s):
                del self._sent[device]
        return list(self._sent)

    def _times_of(self, device: str, now_s: float) -> deque[float]:
        times = self._sent.get(device)
        if times is None:
            times = self._sent[device] = deque(maxlen=MOST_AN_HOUR)
            if self._unsure_at is not None:
                times.extend([self._unsure_at] * _ASSUMED)
        while times and times[0] <= now_s - AN_HOUR_S:
            times.popleft()
        return times

    def assume_the_worst(self, now_s: float) -> None:
        """Nobody knows what was sent before: take it that it was nearly all there is."""
        self._unsure_at = now_s

    def written(self, now_s: float, wall_s: float, ahead: Mapping[str, int]) -> bytes:
        """Write the times down.

        Args:
            now_s: The time by the clock of the times.
            wall_s: The same time in seconds since 1970.
            ahead: How many more may be sent to each device before it is written again.
        """
        devices = {
            device: {
                "sent": [_rounded(at - now_s + wall_s) for at in self._sent[device]],
                "ahead": ahead.get(device, 0),
            }
            for device in self.devices(now_s)
        }
        content: dict[str, object] = {"version": _VERSION, "devices": devices}
        if self._unsure_at is not None and self._unsure_at > now_s - AN_HOUR_S:
            content["unsure_at"] = _rounded(self._unsure_at - now_s + wall_s)
        return compact(content, is_ascii=True).encode()

    @classmethod
    def read(cls, data: bytes, now_s: float, wall_s: float) -> SentMessages:
        """Read what `written` wrote, with the present time by both clocks.

        What seems to be of the future, because the wall clock was set back, was sent
        just now.

        Raises:
            ProtocolViolation: It is something else.
        """
        content = parse_object(data, "budget")
        devices = content.get("devices")
        if content.get("version") != _VERSION or not isinstance(devices, dict):
            raise violation("budget: not of this version", data)
        if len(devices) > _MOST_DEVICES:
            raise violation("budget: too many devices", data)
        messages = cls()
        unsure_at = number_of(content.get("unsure_at"))
        if unsure_at is not None and wall_s - unsure_at < AN_HOUR_S:
            messages.assume_the_worst(now_s - max(0.0, wall_s - unsure_at))
        for device, known in devices.items():
            if not isinstance(known, dict) or not isinstance(known.get("sent"), list):
                raise violation("budget: a device without times", data)
            times = [number_of(at) for at in known["sent"][-MOST_AN_HOUR:]]
            ages = sorted(max(0.0, wall_s - at) for at in times if at is not None)
            ahead = max(0, min(integer_of(known.get("ahead")) or 0, _MOST_AHEAD))
            sent = deque[float](maxlen=MOST_AN_HOUR)
            sent.extend(now_s - age for age in reversed(ages) if age < AN_HOUR_S)
            sent.extend([now_s] * ahead)
            messages._sent[device] = sent
        return messages


def _rounded(wall_s: float) -> float:
    # Up: what was sent later counts for longer.
    return math.ceil(wall_s * 1000) / 1000
