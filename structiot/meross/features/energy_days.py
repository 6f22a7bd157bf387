"""Energy by day and by hour, as devices with a meter remember it.

Facts: reference 4.6. A day is the device's own, so that its time zone matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from structiot.meross.features.figures import figure_of, utc_of
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import channel_of, items_of

__all__ = [
    "DailyEnergy",
    "DayCounter",
    "HourlyEnergy",
    "read_daily_energy",
    "read_hourly_energy",
    "zone_of",
]

# Devices remember 30 days and 24 hours.
_MAX_DAYS: Final = 62
_MAX_HOURS: Final = 62
# More than any connection of a house gives in a day.
_MOST_WH: Final = 1_000_000.0
_YEARS: Final = range(2000, 2100)
_ONE_DAY: Final = timedelta(days=1)
# A day is seen to begin if it was not there so long ago.
_CARRY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyEnergy:
    """What was used on one day of the device's calendar.

    Attributes:
        date: The day, where the device is.
        energy_wh: What was used, in watt-hours.
    """

    date: date
    energy_wh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyEnergy:
    """What was used in one hour.

    Attributes:
        at_utc: When the device wrote it down.
        energy_wh: What was used, in watt-hours.
    """

    at_utc: datetime
    energy_wh: float


def read_daily_energy(payload: Payload) -> tuple[DailyEnergy, ...]:
    """Read the days of `ConsumptionX` or `Consumption`, oldest first.

    What makes no sense is left out; of a day that is told twice, the last counts.
    """
    items = items_of(payload, "consumptionx") or items_of(payload, "consumption")
    days: dict[date, float] = {}
    for item in items:
        day, energy_wh = _day_of(item.get("date")), _energy_of(item.get("value"))
        if day is not None and energy_wh is not None:
            days[day] = energy_wh
    return tuple(
        DailyEnergy(date=day, energy_wh=days[day]) for day in sorted(days)[-_MAX_DAYS:]
    )


def read_hourly_energy(payload: Payload, channel: int = 0) -> tuple[HourlyEnergy, ...]:
    """Read the hours of one channel from `ConsumptionH`, oldest first."""
    hours: dict[datetime, float] = {}
    for item in items_of(payload, "consumptionH"):
        if channel_of(item) != channel:
            continue
        for sample in items_of(item, "data"):
            at_utc = utc_of(sample.get("timestamp"))
            energy_wh = _energy_of(sample.get("value"), least=-_MOST_WH)
            if at_utc is not None and energy_wh is not None:
                hours[at_utc] = energy_wh
    return tuple(
        HourlyEnergy(at_utc=at_utc, energy_wh=hours[at_utc])
        for at_utc in sorted(hours)[-_MAX_HOURS:]
    )


def zone_of(name: str | None) -> tzinfo | None:
    """Give the time zone of this name; None if there is none that we know.

    It reads a file: call it in a worker thread.
    """
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, OSError, ValueError):
        return None


class DayCounter:
    """What was used today, of days that some firmware does not begin at 0.

    Such firmware begins a day with the figure of the day before, and either counts on
    from there or goes back to 0 a little later. A day that begins so, and is seen to, is
    counted from there.

    Args:
        zone: The device's time zone; None if it is not known: the newest day that the
            device tells of is today, then.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._newest: date | None = None
        self._seen_utc: datetime | None = None
        self._carried_wh = 0.0

    def today_wh(self, days: Iterable[DailyEnergy], at_utc: datetime) -> float | None:
        """Give what was used today, in watt-hours; None if no day is known.

        Args:
            days: As `read_daily_energy` gives them.
            at_utc: When they were read.
        """
        local = at_utc.astimezone(self._zone or UTC).date()
        known = {
            day.date: day.energy_wh for day in days if day.date <= local + _ONE_DAY
        }
        if not known:
            return None
        newest = max(known)
        if newest != self._newest:
            self._begin(newest, known, at_utc)
        self._newest, self._seen_utc = newest, at_utc
        if self._zone is not None and local > newest:
            return 0.0
        if known[newest] < self._carried_wh:
            self._carried_wh = 0.0
        return known[newest] - self._carried_wh

    def _begin(
        self, newest: date, known: Mapping[date, float], at_utc: datetime
    ) -> None:
        """Look whether a day that was not there just now begins with that before it."""
        before_wh = known.get(newest - _ONE_DAY, 0.0)
        is_fresh = (
            self._newest == newest - _ONE_DAY
            and self._seen_utc is not None
            and at_utc - self._seen_utc <= _CARRY
        )
        is_carried = is_fresh and known[newest] >= before_wh
        self._carried_wh = before_wh if is_carried else 0.0


def _day_of(value: object) -> date | None:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return day if day is not None and day.year in _YEARS else None


def _energy_of(value: object, least: float = 0.0) -> float | None:
    return figure_of(value, least, _MOST_WH)
