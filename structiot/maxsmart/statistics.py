"""Energy as a device counted it, by hour, day or month, with the dates it means.

A device sorts what it meters into the hours, days and months of its own wall clock
and names the newest bucket. All boundaries follow from that name by the calendar. A
wall clock knows no zone: on the day on which clocks are put forward an hour exists
that never passes, on the other one an hour takes two. `EnergyPoint.utc_span` tells
when a bucket really was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import zip_longest
from typing import Final, Literal, TypeAlias

from structiot._kit.json_text import number_of
from structiot.errors import UsageError
from structiot.maxsmart.wire.messages import ALL_PORTS, Statistics, StatisticsPeriod

__all__ = [
    "DatedBy",
    "EnergyPoint",
    "PeriodName",
    "StripStatistics",
    "bucket_start",
    "newest_start",
    "period_of",
    "statistics_from",
    "was_set",
]

PeriodName: TypeAlias = Literal["hourly", "daily", "monthly"]
DatedBy: TypeAlias = Literal["reply", "device_clock", "client_clock"]

_PERIODS: Final[dict[PeriodName, StatisticsPeriod]] = {
    "hourly": StatisticsPeriod.HOUR,
    "daily": StatisticsPeriod.DAY,
    "monthly": StatisticsPeriod.MONTH,
}
_NAMES: Final = {period: name for name, period in _PERIODS.items()}
_CURRENCIES: Final = {
    0: ("EUR", "€"),
    1: ("USD", "$"),
    2: ("JPY", "¥"),
    3: ("CHF", "CHF"),
}
_LABEL = re.compile(r"\d{4}(?:[-, T:]\d{1,2}){1,5}", re.ASCII)
# A clock that shows another year has never been set; dates stay far from both ends
# of the calendar.
_YEARS: Final = range(1990, 2200)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPoint:
    """Energy of one hour, day or month.

    Attributes:
        start: When it began, by the device's wall clock, without a zone.
        end: When the next one begins.
        energy_wh: Energy in watt-hours; None where the device gave no number. The
            protocol names no unit: it is the device's figure as it is, and watt-hours
            by all that is known.
        is_complete: Whether it is over; the newest one still runs.
    """

    start: datetime
    end: datetime
    energy_wh: float | None
    is_complete: bool

    def utc_span(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """Give begin and end in UTC, for a device whose clock shows this zone's time.

        Both changes of clock are heeded: in `zoneinfo.ZoneInfo("Europe/Zurich")` a
        day has 23 hours in March and 25 in October, and the hour that the clock
        leaves out in March takes no time.
        """
        begin, end = (at.replace(tzinfo=zone, fold=0) for at in (self.start, self.end))
        return begin.astimezone(UTC), end.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StripStatistics:
    """Energy of one port, or of all, over the last 24 hours, 31 days or 12 months.

    Attributes:
        device: `StripInfo.id` of the device.
        port: Port from 1; 0 is the sum of all.
        period: `"hourly"`, `"daily"` or `"monthly"`.
        points: Oldest first, without a gap in time; the last one still runs.
        price_per_kwh: Price that is set in the device, if it tells one.
        currency: `"EUR"`, `"USD"`, `"JPY"` or `"CHF"`; None for others.
        currency_symbol: `"€"`, `"$"`, `"¥"` or `"CHF"`; None for others.
        currency_number: The device's own number of the currency.
        dated_by: What the dates follow from: the `"reply"`; the `"device_clock"` for
            a device whose reply has no date, as those of plugs; the `"client_clock"`
            if that cannot be read either.
    """

    device: str
    port: int
    period: PeriodName
    points: tuple[EnergyPoint, ...]
    price_per_kwh: float | None
    currency: str | None
    currency_symbol: str | None
    currency_number: int | None
    dated_by: DatedBy

    @property
    def start(self) -> datetime | None:
        """When the first point began; None if there are none."""
        return self.points[0].start if self.points else None

    @property
    def end(self) -> datetime | None:
        """When the last point, which still runs, will end; None if there are none."""
        return self.points[-1].end if self.points else None

    @property
    def energy_wh(self) -> float | None:
        """Energy of all points; None when that of any is not known."""
        return _sum([point.energy_wh for point in self.points])

    @property
    def cost(self) -> float | None:
        """What that costs at the device's price; None when either is not known."""
        energy_wh = self.energy_wh
        if energy_wh is None or self.price_per_kwh is None:
            return None
        return round(energy_wh / 1000 * self.price_per_kwh, 4)


def period_of(period: object) -> StatisticsPeriod:
    """Give the period of a name, or of its number on the wire.

    Raises:
        UsageError: It is neither.
    """
    for name, known in _PERIODS.items():
        if period == name or (not isinstance(period, bool) and period == known):
            return known
    message = f"a period is 'hourly', 'daily' or 'monthly', not {period!r}"
    raise UsageError(message)


def bucket_start(period: StatisticsPeriod, local: datetime) -> datetime:
    """Give the beginning of the hour, day or month that a wall clock is in."""
    start = local.replace(minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
    if period is not StatisticsPeriod.HOUR:
        start = start.replace(hour=0)
    return start.replace(day=1) if period is StatisticsPeriod.MONTH else start


def was_set(local: datetime) -> bool:
    """Whether a device's clock shows a time that somebody can have set."""
    return local.year in _YEARS


def newest_start(period: StatisticsPeriod, label: str | None) -> datetime | None:
    """Read the date of the newest bucket: `2024-05-01-13`, `2024-05-01`, `2024-05`.

    None if it is none, if it is not as fine as the period, or if its year shows that
    the device's clock was never set.
    """
    if label is None or not _LABEL.fullmatch(label):
        return None
    parts = [int(part) for part in re.split(r"\D", label)]
    # A month has a year and a month, a day one part more, an hour two.
    count = 4 - period
    if len(parts) < count:
        return None
    year, month, day, hour = (*parts[:count], *(1, 0)[count - 2 :])
    try:
        # The device's wall clock; its zone is not part of the text.
        start = datetime(year, month, day, hour)  # noqa: DTZ001
    except ValueError:
        return None
    return start if was_set(start) else None


def statistics_from(
    wire: Statistics, *, device: str, port: int, newest: datetime, dated_by: DatedBy
) -> StripStatistics:
    """Pick a port, or sum them all, and date every point.

    Rows of different lengths are taken to end together, in the newest bucket; where
    any of them has no figure the sum has none either.
    """
    if port == ALL_PORTS:
        backwards = zip_longest(*(reversed(row) for row in wire.energy_raw))
        row: Sequence[float | None] = [_sum(column) for column in backwards][::-1]
    else:
        row = wire.energy_raw[port - 1]
    last = len(row) - 1
    number = wire.currency
    currency, symbol = _CURRENCIES.get(-1 if number is None else number, (None, None))
    return StripStatistics(
        device=device,
        port=port,
        period=_NAMES[wire.period],
        points=tuple(
            EnergyPoint(
                start=_moved(wire.period, newest, index - last),
                end=_moved(wire.period, newest, index - last + 1),
                energy_wh=energy_wh,
                is_complete=index < last,
            )
            for index, energy_wh in enumerate(row)
        ),
        price_per_kwh=number_of(wire.price),
        currency=currency,
        currency_symbol=symbol,
        currency_number=number,
        dated_by=dated_by,
    )


def _moved(period: StatisticsPeriod, start: datetime, count: int) -> datetime:
    if period is not StatisticsPeriod.MONTH:
        is_hour = period is StatisticsPeriod.HOUR
        return start + count * timedelta(hours=1 if is_hour else 24)
    months = start.year * 12 + start.month - 1 + count
    return start.replace(year=months // 12, month=months % 12 + 1)


def _sum(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return round(sum(known), 3) if known and len(known) == len(figures) else None
