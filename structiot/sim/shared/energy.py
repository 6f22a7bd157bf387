"""A meter that sorts energy into the hours, days and months of a device's own clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import IntEnum

__all__ = ["Bucket", "EnergyMeter", "local_time"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the wall clock of a device knows no zone
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class Bucket(IntEnum):
    """Width of a bucket."""

    HOUR = 0
    DAY = 1
    MONTH = 2


BUCKETS_KEPT = {Bucket.HOUR: 24, Bucket.DAY: 31, Bucket.MONTH: 12}


def local_time(at_s: float, utc_offset_s: float) -> datetime:
    """Give what a wall clock shows that is `utc_offset_s` ahead of UTC."""
    return _EPOCH + timedelta(seconds=at_s + utc_offset_s)


def bucket_start(bucket: Bucket, local: datetime) -> datetime:
    """Give the beginning of the bucket that `local` falls into."""
    if bucket is Bucket.HOUR:
        return local.replace(minute=0, second=0, microsecond=0)
    day = 1 if bucket is Bucket.MONTH else local.day
    return local.replace(day=day, hour=0, minute=0, second=0, microsecond=0)


def earlier(bucket: Bucket, start: datetime, count: int) -> datetime:
    """Give the beginning of the bucket `count` before the one at `start`."""
    if bucket is Bucket.HOUR:
        return start - count * _HOUR
    if bucket is Bucket.DAY:
        return start - count * _DAY
    months = start.year * 12 + start.month - 1 - count
    return start.replace(year=months // 12, month=months % 12 + 1)


class EnergyMeter:
    """Energy of one outlet: 24 hours, 31 days, 12 months and the total.

    Attributes:
        total_wh: All that was ever counted.
    """

    def __init__(self) -> None:
        self.total_wh: float = 0.0
        self._energy_wh: dict[Bucket, dict[datetime, float]] = {b: {} for b in Bucket}

    def count(
        self,
        energy_wh: Callable[[float, float], float],
        from_s: float,
        to_s: float,
        utc_offset_s: float,
    ) -> None:
        """Count what `energy_wh` gives for the time between two instants.

        What is older than the oldest bucket kept adds to the total alone.
        """
        if to_s <= from_s:
            return
        self.total_wh += energy_wh(from_s, to_s)
        newest_local = local_time(to_s, utc_offset_s)
        for bucket, kept in BUCKETS_KEPT.items():
            table = self._energy_wh[bucket]
            start = bucket_start(bucket, newest_local)
            oldest = earlier(bucket, start, kept - 1)
            while start >= oldest:
                begin_s = max(from_s, (start - _EPOCH).total_seconds() - utc_offset_s)
                end = earlier(bucket, start, -1)
                end_s = min(to_s, (end - _EPOCH).total_seconds() - utc_offset_s)
                if end_s > begin_s:
                    table[start] = table.get(start, 0.0) + energy_wh(begin_s, end_s)
                if begin_s <= from_s:
                    break
                start = earlier(bucket, start, 1)
            for label in [label for label in table if label < oldest]:
                del table[label]

    def newest_wh(self, bucket: Bucket, local: datetime) -> list[float]:
        """Give the buckets up to the one that `local` falls into, oldest first."""
        start = bucket_start(bucket, local)
        count = BUCKETS_KEPT[bucket]
        table = self._energy_wh[bucket]
        return [
            table.get(earlier(bucket, start, count - 1 - index), 0.0)
            for index in range(count)
        ]
