"""How fast devices may be spoken to through the cloud; who talks too much is banned.

Facts: reference 2.9 and 6.6. Nothing waits here, and no clock is read.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final, Literal, NamedTuple

from structiot.errors import ConfigError

__all__ = ["MOST_AN_HOUR", "Limited", "RateLimitChecker"]

_A_SECOND: Final = timedelta(seconds=1)
_MOST_BUCKETS: Final = 4_096
# So many messages to each device are remembered.
MOST_AN_HOUR: Final = 4_096


class Limited(NamedTuple):
    """Why a message may not be sent yet.

    Attributes:
        by: Whose tokens are used up.
        next_in_s: When the next one comes.
    """

    by: Literal["device", "global"]
    next_in_s: float


class RateLimitChecker:
    """Tokens for messages: so many at once, and so many anew in each interval.

    A message takes one token of its device and one of all devices, or none at all: it is
    the device's that is asked for first. Intervals are counted from the first check, and
    do not drift.

    Besides, and whatever the tokens say, no device is sent more than so many messages in
    any minute and in any hour. Meross's mails speak of less than 200 an hour.

    Args:
        global_burst_rate: Most tokens for all devices together.
        global_time_window: How long an interval is, or how many seconds.
        global_tokens_per_interval: New tokens in each.
        device_burst_rate: Most tokens of one device.
        device_time_window: The interval of these.
        device_tokens_per_interval: New tokens in each.
        device_max_command_queue: How many messages to one device may wait; those beyond
            are dropped.
        device_messages_per_minute: Most messages to one device in any minute; None is no
            limit.
        device_messages_per_hour: The same for any hour, at most 4,096.

    Raises:
        ConfigError: Numbers that cannot work.
    """

    def __init__(
        self,
        *,
        global_burst_rate: int = 6,
        global_time_window: timedelta | float = _A_SECOND,
        global_tokens_per_interval: int = 2,
        device_burst_rate: int = 1,
        device_time_window: timedelta | float = _A_SECOND,
        device_tokens_per_interval: int = 1,
        device_max_command_queue: int = 5,
        device_messages_per_minute: int | None = 6,
        device_messages_per_hour: int | None = 180,
    ) -> None:
        counts = {
            "global_burst_rate": global_burst_rate,
            "global_tokens_per_interval": global_tokens_per_interval,
            "device_burst_rate": device_burst_rate,
            "device_tokens_per_interval": device_tokens_per_interval,
            "device_messages_per_minute": device_messages_per_minute,
            "device_messages_per_hour": device_messages_per_hour,
        }
        for name, count in counts.items():
            if count is None and "_messages_" in name:
                continue
            if not isinstance(count, int) or not 1 <= count <= MOST_AN_HOUR:
                raise ConfigError(f"{name} is 1 to {MOST_AN_HOUR}, not {count!r}")
        if device_max_command_queue < 0:
            raise ConfigError("device_max_command_queue is not negative")
        self.max_queue: int = device_max_command_queue
        self.per_minute: int | None = device_messages_per_minute
        self.per_hour: int | None = device_messages_per_hour
        self._global = _Bucket(
            global_burst_rate,
            _seconds("global_time_window", global_time_window),
            global_tokens_per_interval,
        )
        self._device = (
            device_burst_rate,
            _seconds("device_time_window", device_time_window),
            device_tokens_per_interval,
        )
        self._buckets: dict[str, _Bucket] = {}

    def check(self, device: str, now_s: float) -> Limited | None:
        """Take a token of the device and one of all, if both are there.

        Args:
            device: Its uuid.
            now_s: The time, by any clock that is never set back.

        Returns:
            None if they are taken, else what is missing; nothing is taken then.
        """
        own = self._bucket_of(device, now_s)
        if (wait_s := own.next_in_s(now_s)) > 0:
            return Limited("device", wait_s)
        if (wait_s := self._global.next_in_s(now_s)) > 0:
            return Limited("global", wait_s)
        own.tokens -= 1
        self._global.tokens -= 1
        return None

    def _bucket_of(self, device: str, now_s: float) -> _Bucket:
        bucket = self._buckets.get(device)
        if bucket is None:
            if len(self._buckets) >= _MOST_BUCKETS:
                full = [n for n, one in self._buckets.items() if one.is_full(now_s)]
                for name in full or list(self._buckets)[:1]:
                    del self._buckets[name]
            bucket = self._buckets[device] = _Bucket(*self._device)
        return bucket


class _Bucket:
    def __init__(self, burst: int, window_s: float, per_interval: int) -> None:
        # What the first interval brings, and no more.
        self.tokens = min(per_interval, burst)
        self._burst = burst
        self._window_s = window_s
        self._per_interval = per_interval
        self._began_at: float | None = None
        self._intervals = 0

    def next_in_s(self, now_s: float) -> float:
        """Tell when there is a token; 0 if there is one now."""
        if self._began_at is None:
            self._began_at = now_s
        intervals = math.floor((now_s - self._began_at) / self._window_s)
        if intervals > self._intervals:
            new = (intervals - self._intervals) * self._per_interval
            self.tokens = min(self._burst, self.tokens + new)
            self._intervals = intervals
        if self.tokens > 0:
            return 0.0
        next_at = self._began_at + (self._intervals + 1) * self._window_s
        # Rounding must not make it the past.
        return max(next_at - now_s, self._window_s * 1e-6)

    def is_full(self, now_s: float) -> bool:
        self.next_in_s(now_s)
        return self.tokens >= self._burst


def _seconds(name: str, window: timedelta | float) -> float:
    window_s = window.total_seconds() if isinstance(window, timedelta) else window
    if isinstance(window_s, bool) or not 0.001 <= window_s <= 86_400:
        raise ConfigError(f"{name} is 1 ms to a day, not {window!r}")
    return float(window_s)
