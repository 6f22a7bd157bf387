"""A history that a test can know by heart: each course is a formula."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from structiot.gateway.status import StoreStatus

GAP_FROM, GAP_TO = 0.4, 0.5
LONE = 0.45


@dataclass(frozen=True)
class KnownSeries:
    unit: str | None = None
    resolution_s: int = 0
    is_step: bool = False
    t: Sequence[float] = ()
    mean: Sequence[float | None] = ()
    min: Sequence[float | None] = ()
    max: Sequence[float | None] = ()
    texts: Sequence[str | None] | None = None


@dataclass(frozen=True)
class KnownHappened:
    entity: str
    event_type: str
    at_utc: datetime
    data: Mapping[str, object] = field(default_factory=dict)


class KnownPast:
    """Answers for any key: a wave in watts, steps for switches, a gap in each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, float, int]] = []

    def status(self) -> StoreStatus:
        now = datetime.now(UTC)
        return StoreStatus(
            is_writing=True,
            reason="",
            path="/var/lib/structiot/history.sqlite",
            size_bytes=48_234_496,
            rows=1_204_311,
            oldest_utc=now - timedelta(days=31),
            committed_utc=now,
            waiting=12,
            lost=0,
        )

    async def series(
        self, key: str, from_utc: datetime, to_utc: datetime, points: int = 1000
    ) -> KnownSeries:
        from_s, to_s = from_utc.timestamp(), to_utc.timestamp()
        self.asked.append((key, from_s, to_s, points))
        count = min(points, 400)
        step = (to_s - from_s) / count
        times = [from_s + i * step for i in range(count)]
        if key.endswith(("/relay", "/main", "/lamp", "/window")):
            values: list[float | None] = [float(i // 40 % 2) for i in range(count)]
            return KnownSeries(
                is_step=True, t=times, mean=values, min=values, max=values
            )
        mean = [_power(i / count, at) for i, at in enumerate(times)]
        return KnownSeries(
            unit="W",
            resolution_s=round(step),
            t=times,
            mean=mean,
            min=[None if v is None else max(0.0, v - 40) for v in mean],
            max=[None if v is None else v + 60 for v in mean],
        )

    async def recent(
        self, keys: Iterable[str], hours: float = 1.0
    ) -> Mapping[str, KnownSeries]:
        now = datetime.now(UTC)
        begin = now - timedelta(hours=hours)
        return {key: await self.series(key, begin, now, 60) for key in keys}

    async def occurrences(self, device: str, limit: int = 100) -> list[KnownHappened]:
        now = datetime.now(UTC)
        return [KnownHappened("bell", "ring", now - timedelta(hours=1))]


def _power(part: float, at: float) -> float | None:
    if GAP_FROM < part < GAP_TO and abs(part - LONE) > 0.001:
        return None
    day = math.sin(at / 86_400 * 2 * math.pi)
    return 300 + 220 * day + 60 * math.sin(at / 1900) + 12 * math.sin(at / 240)
