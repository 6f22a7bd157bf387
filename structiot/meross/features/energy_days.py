"""Energy by day and by hour, by the count of devices that remember it.

Facts: reference 4.6. A day is the device's own, so that its time zone matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import ClassVar, Final

from structiot.meross.features.channels import MAX_CHANNELS
from structiot.meross.features.feature import About, Feature, Poll, Request, Update
from structiot.meross.features.figures import figure_of, utc_of
from structiot.meross.features.requests import question
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import channel_of, items_of, key_of
from structiot.model import Entity, Sensor

__all__ = [
    "DailyEnergy",
    "DayConsumption",
    "DayCounter",
    "HourConsumption",
    "HourlyEnergy",
    "days_request",
    "read_daily_energy",
    "read_hourly_energy",
]

CONSUMPTION: Final = "Appliance.Control.Consumption"
CONSUMPTION_H: Final = "Appliance.Control.ConsumptionH"
CONSUMPTION_X: Final = "Appliance.Control.ConsumptionX"
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
        day = _day_of(item.get("date"))
        energy_wh = figure_of(item.get("value"), 0.0, _MOST_WH)
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
            energy_wh = figure_of(sample.get("value"), -_MOST_WH, _MOST_WH)
            if at_utc is not None and energy_wh is not None:
                hours[at_utc] = energy_wh
    return tuple(
        HourlyEnergy(at_utc=at_utc, energy_wh=hours[at_utc])
        for at_utc in sorted(hours)[-_MAX_HOURS:]
    )


class DayCounter:
    """What was used today, of days that some firmware does not begin at 0.

    Such firmware begins a day with the figure of the day before, and either counts on
    from there or goes back to 0 a little later. A day that begins so, and is seen to, is
    counted from there.

    Args:
        zone: As the attribute.

    Attributes:
        zone: The device's time zone; None if it is not known: the newest day that the
            device tells of is today, then.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone: tzinfo | None = zone
        self._newest: date | None = None
        self._seen_utc: datetime | None = None
        self._carried_wh = 0.0

    def today_wh(self, days: Iterable[DailyEnergy], at_utc: datetime) -> float | None:
        """Give what was used today, in watt-hours; None if no day is known.

        Args:
            days: As `read_daily_energy` gives them.
            at_utc: When they were read.
        """
        local = at_utc.astimezone(self.zone or UTC).date()
        # A clock that is ahead is believed from one day to the next, and no leap.
        last = max(local, self._newest or local) + _ONE_DAY
        known = {day.date: day.energy_wh for day in days if day.date <= last}
        if not known:
            return None
        newest = max(known)
        if newest != self._newest:
            self._begin(newest, known, at_utc)
        self._newest, self._seen_utc = newest, at_utc
        if self.zone is not None and local > newest:
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


def days_request(about: About) -> Request | None:
    """Give the question for the energy of each day; None if it has no such memory."""
    found = (each for each in DayConsumption.abilities if each in about.abilities)
    namespace = next(found, None)
    return None if namespace is None else question(namespace, [])


class DayConsumption(Feature):
    """The energy of today, and of the days before.

    Attributes:
        days: What the device told last, oldest first.
    """

    name = "energy_today_wh"
    abilities: ClassVar[tuple[str, ...]] = (CONSUMPTION_X, CONSUMPTION)
    fixed: ClassVar[tuple[Entity, ...]] = (
        Sensor(
            key="energy_today_wh",
            name="Energy today",
            device_class="energy",
            unit="Wh",
            # It begins anew with each day of the device.
            state_class="total_increasing",
            decimals=0,
            is_periodic=True,
        ),
    )

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.days: tuple[DailyEnergy, ...] = ()
        self._counter = DayCounter(about.zone)

    @property
    def polls(self) -> Sequence[Poll]:
        """The days, less often than the power: it counts slowly."""
        request = days_request(self.about)
        return [Poll(request=request, pace="counting")] if request else []

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the days."""
        days = read_daily_energy(payload)
        self.days = days or self.days
        self._counter.zone = self.about.zone
        today_wh = self._counter.today_wh(days, at_utc)
        return Update() if today_wh is None else Update(states={self.name: today_wh})


class HourConsumption(Feature):
    """The energy of the last hours; it is only remembered, no entity tells it.

    Attributes:
        hours: What the device told last, by channel, oldest first.
    """

    name = "energy_hours"
    abilities: ClassVar[tuple[str, ...]] = (CONSUMPTION_H,)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.hours: dict[int, tuple[HourlyEnergy, ...]] = {}

    @staticmethod
    def request(channel: int = 0) -> Request:
        """Give the question for the hours of one channel."""
        return question(CONSUMPTION_H, [{"channel": channel}])

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the hours."""
        items = items_of(payload, key_of(namespace))
        for channel in sorted({channel_of(item) for item in items})[:MAX_CHANNELS]:
            if channel in self.hours or len(self.hours) < MAX_CHANNELS:
                self.hours[channel] = read_hourly_energy(payload, channel)
        return Update()


def _day_of(value: object) -> date | None:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return day if day is not None and day.year in _YEARS else None
