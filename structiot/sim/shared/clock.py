"""The wall clock that a simulated device lives by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import final

import anyio

__all__ = ["SimClock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@final
class SimClock:
    """Wall time that runs with the event loop's clock, from any start, at any speed.

    Under a virtual clock it jumps with it. It starts when it is first read, and may
    be shared by several simulators. It knows no time zone: those are the devices'.

    Args:
        start_utc: Where it starts; now by default.
        speed: Simulated seconds for each second of the event loop.
    """

    def __init__(
        self, start_utc: datetime | None = None, *, speed: float = 1.0
    ) -> None:
        start = datetime.now(UTC) if start_utc is None else start_utc.astimezone(UTC)
        self.speed = speed
        self._start_s = (start - _EPOCH).total_seconds()
        self._started_at: float | None = None

    def now_s(self) -> float:
        """Give the simulated time in seconds since 1970, UTC."""
        now = anyio.current_time()
        if self._started_at is None:
            self._started_at = now
        return self._start_s + (now - self._started_at) * self.speed

    def utc(self) -> datetime:
        """Give the simulated time."""
        return _EPOCH + timedelta(seconds=self.now_s())

    def jump(self, seconds: float) -> None:
        """Move the clock at once; nobody waiting is woken by it."""
        self._start_s += seconds
