"""Energy of a counter as bars: by hours, days or months, whichever are to be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from structiot.gateway.energy_totals import is_energy_total
from structiot.gateway.history import EnergyBar, History, Period
from structiot.model import Entity, Sensor

__all__ = ["Bars", "bars_of", "counter_of"]

_WH_OF: Final[Mapping[str | None, float]] = {"kWh": 1000.0, "MWh": 1_000_000.0}
_HOURS_UP_TO = timedelta(days=3)
_DAYS_UP_TO = timedelta(days=93)

# From, until, energy; None where nothing was heard.
_Drawn = tuple[float, float, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Energy in the counter's own unit, times in seconds of the epoch.

    Attributes:
        bars: One for each hour, day or month: from, until and how much.
        gaps: What came while nobody heard the counter, one for each gap.
        resets: When the counter has begun anew.
    """

    bars: tuple[_Drawn, ...]
    gaps: tuple[_Drawn, ...]
    resets: tuple[float, ...]


def counter_of(entity: Entity) -> Sensor | None:
    """Give an entity if it counts energy without an end."""
    return entity if isinstance(entity, Sensor) and is_energy_total(entity) else None


async def bars_of(
    past: History, key: str, counter: Sensor, from_utc: datetime, to_utc: datetime
) -> Bars:
    """Ask for the energy of a counter.

    Raises:
        StructiotError: As the history does.
    """
    span = to_utc - from_utc
    period: Period = "day" if span <= _DAYS_UP_TO else "month"
    if span <= _HOURS_UP_TO:
        period = "hour"
    told = await past.energy(key, from_utc, to_utc, period)
    scale = _WH_OF.get(counter.unit, 1.0)
    return Bars(
        bars=_drawn(told.bars, scale),
        gaps=_drawn(told.gaps, scale),
        resets=tuple(at.timestamp() for at in told.resets),
    )


def _drawn(bars: Iterable[EnergyBar], scale: float) -> tuple[_Drawn, ...]:
    return tuple(
        (
            one.from_utc.timestamp(),
            one.until_utc.timestamp(),
            None if one.energy_wh is None else one.energy_wh / scale,
        )
        for one in bars
    )
