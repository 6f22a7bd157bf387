"""The house's clock: where its hours, days and months begin. Pure.

Hours begin at the full hour as the house counts them, which in zones of half an hour is
not that of UTC; days are calendar days of 23, 24 or 25 hours. Times are milliseconds
since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from structiot.gateway.history.answers import Period

__all__ = ["HOUR_MS", "House", "at_utc", "ms_of"]

HOUR_MS = 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def ms_of(moment: datetime) -> int:
    """Give a time in milliseconds since 1970, cut off."""
    return (moment - _EPOCH) // _MS


def at_utc(ms: float) -> datetime:
    """Give the time of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


class House:
    """Where a house is in time.

    Args:
        timezone: Name of its zone, such as `"Europe/Berlin"`; None for the system's.
        zone: The zone itself, if it has no name.

    Attributes:
        zone: The zone; None for the system's.

    Raises:
        ZoneInfoNotFoundError: There is no such zone here.
    """

    def __init__(self, timezone: str | None = None, zone: tzinfo | None = None) -> None:
        self.zone: tzinfo | None = ZoneInfo(timezone) if timezone else zone
        self._given = timezone

    @property
    def name(self) -> str:
        """What the zone is called, for people."""
        if self._given:
            return self._given
        return self.local(ms_of(datetime.now(UTC))).tzname() or "UTC"

    def local(self, ms: int) -> datetime:
        """Give a time as the house's clocks show it."""
        return at_utc(ms).astimezone(self.zone)

    def aware(self, moment: datetime) -> datetime:
        """Give a time its zone: one that has none is the house's."""
        if moment.tzinfo is not None:
            return moment
        if self.zone is None:
            return moment.astimezone()
        return moment.replace(tzinfo=self.zone)

    def _offset_ms(self, ms: int) -> int:
        offset = self.local(ms).utcoffset()
        return 0 if offset is None else offset // _MS

    def hour_of(self, ms: int) -> int:
        """Give where the full hour begins that a time lies in."""
        offset_ms = self._offset_ms(ms)
        return (ms + offset_ms) // HOUR_MS * HOUR_MS - offset_ms

    def hour_end(self, ms: int) -> int:
        """Give where the hour ends that a time lies in; one with a change may be short."""
        hour = self.hour_of(ms)
        end = hour + HOUR_MS
        if self.hour_of(end - 1) == hour:
            return end
        low, high = ms, end - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (middle, high) if self.hour_of(middle) == hour else (low, middle)
            )
        return high

    def begin(self, ms: int, period: Period) -> int:
        """Give where the hour, day or month begins that a time lies in."""
        if period == "hour":
            return self.hour_of(ms)
        local = self.local(ms)
        day = 1 if period == "month" else local.day
        return self._midnight(local.year, local.month, day)

    def after(self, begin_ms: int, period: Period) -> int:
        """Give where the next begins after one that begins there."""
        if period == "hour":
            return self.hour_end(begin_ms)
        local = self.local(begin_ms)
        year, month = local.year, local.month
        if period == "month":
            return self._midnight(year + month // 12, month % 12 + 1, 1)
        day = local.replace(tzinfo=None) + timedelta(days=1)
        return self._midnight(day.year, day.month, day.day)

    def spans(
        self, from_ms: int, to_ms: int, period: Period
    ) -> Iterator[tuple[int, int]]:
        """Give begin and end of each period that has a part in a range."""
        begin = self.begin(from_ms, period)
        while begin < to_ms:
            end = self.after(begin, period)
            yield begin, end
            begin = end

    def _midnight(self, year: int, month: int, day: int) -> int:
        return ms_of(self.aware(datetime(year, month, day)))  # noqa: DTZ001 - it gets one
