"""Energy from readings of power, and totals from counters that may begin anew.

    meter = EnergyMeter()
    async with strip.readings() as readings:
        async for reading in readings:
            meter.add(reading)
            print(reading.channel, meter.energy_wh(channel=reading.channel))

What happened while nothing was read is not known, and not made up: it is counted as
time without energy, and `EnergyMeter.unknown_s` says how much of it there was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import final

from structiot.errors import UsageError
from structiot.model import Reading

__all__ = ["EnergyMeter", "EnergyTotal"]

_HOUR_S = 3600.0
_MINUTE_S = 60.0


@dataclass(slots=True)
class _Channel:
    """What is known of one channel."""

    latest: Reading
    energy_wh: float = 0.0
    measured_s: float = 0.0
    unknown_s: float = 0.0


@final
class EnergyMeter:
    """Integrates power over time, channel by channel, of any number of devices.

    Between two readings power is taken to have changed evenly; where the outlet was
    switched between them, to have stayed as it was until the second, as commands are
    read back at once. Energy that is fed back counts as negative. Channels are those of
    `Reading.channel`, which power strips call ports.

    Args:
        max_gap_s: Readings that lie further apart leave the time between them unknown.
            Twice the time between polls tolerates a lost one.

    Raises:
        UsageError: `max_gap_s` is not above 0.
    """

    def __init__(self, *, max_gap_s: float = 60.0) -> None:
        if not max_gap_s > 0:
            message = f"max_gap_s is above 0, not {max_gap_s:g}"
            raise UsageError(message)
        self.max_gap_s = max_gap_s
        self._channels: dict[tuple[str, int], _Channel] = {}

    def add(self, reading: Reading) -> float:
        """Take the next reading of a channel and give the energy since the last, in Wh.

        A reading without power ends what is known; so does a gap. A reading that is
        older than the last (the computer's clock was set back) begins anew and counts
        neither as energy nor as time.
        """
        outlet = self._channels.get((reading.device, reading.channel))
        if outlet is None:
            self._channels[reading.device, reading.channel] = _Channel(reading)
            return 0.0
        before, outlet.latest = outlet.latest, reading
        elapsed_s = _seconds(before.at_utc, reading.at_utc)
        if elapsed_s <= 0:
            return 0.0
        power_w = _mean_power_w(before, reading)
        if power_w is None or elapsed_s > self.max_gap_s:
            outlet.unknown_s += elapsed_s
            return 0.0
        energy_wh = power_w * elapsed_s / _HOUR_S
        outlet.energy_wh += energy_wh
        outlet.measured_s += elapsed_s
        return energy_wh

    def energy_wh(self, device: str | None = None, channel: int | None = None) -> float:
        """Give the energy so far, in watt-hours: of one channel, one device, or all."""
        return sum(outlet.energy_wh for outlet in self._matching(device, channel))

    def measured_s(
        self, device: str | None = None, channel: int | None = None
    ) -> float:
        """Give for how long the power was known, in seconds, all channels added up."""
        return sum(outlet.measured_s for outlet in self._matching(device, channel))

    def unknown_s(self, device: str | None = None, channel: int | None = None) -> float:
        """Give for how long it was not known, in seconds, all channels added up."""
        return sum(outlet.unknown_s for outlet in self._matching(device, channel))

    def _matching(self, device: str | None, channel: int | None) -> list[_Channel]:
        return [
            outlet
            for (its_device, its_channel), outlet in self._channels.items()
            if device in {None, its_device} and channel in {None, its_channel}
        ]


@final
class EnergyTotal:
    """A total that never decreases, from a counter that may begin anew.

    A counter that shows less than before has been reset: what it shows was counted since.
    One that jumps by more than anything can have taken in that time is not believed; it
    is counted on from there. What is not known is not made up.

    Args:
        total_wh: The total so far; None for one that begins, as the counter then stands.
        counter_wh: What the counter showed last.
        at_utc: When that was.
        max_power_w: The most that it can be. A counter that is read more often than once
            a minute may gain as much as in a minute.

    Attributes:
        total_wh: The total, in watt-hours; None before there was anything to count.
        counter_wh: What the counter showed last.
        at_utc: When that was.
    """

    def __init__(
        self,
        total_wh: float | None = None,
        *,
        counter_wh: float | None = None,
        at_utc: datetime | None = None,
        max_power_w: float = 100_000.0,
    ) -> None:
        self.total_wh: float | None = total_wh
        self.counter_wh: float | None = counter_wh
        self.at_utc: datetime | None = at_utc
        self.max_power_w = max_power_w

    def add(self, counter_wh: float | None, at_utc: datetime) -> float | None:
        """Take what the counter shows and give the total.

        None, a figure below 0 and one that is no finite number change nothing.
        """
        if counter_wh is None or not 0 <= counter_wh < math.inf:
            return self.total_wh
        before, then = self.counter_wh, self.at_utc
        self.counter_wh, self.at_utc = counter_wh, at_utc
        if self.total_wh is None:
            self.total_wh = counter_wh
        elif before is not None:
            gained_wh = counter_wh - before if counter_wh >= before else counter_wh
            elapsed_s = 0.0 if then is None else _seconds(then, at_utc)
            most_wh = self.max_power_w * max(elapsed_s, _MINUTE_S) / _HOUR_S
            if gained_wh <= most_wh:
                self.total_wh += gained_wh
        return self.total_wh


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()


def _mean_power_w(before: Reading, after: Reading) -> float | None:
    if before.power_w is None or after.power_w is None:
        return None
    if not (math.isfinite(before.power_w) and math.isfinite(after.power_w)):
        return None
    if before.is_on is not after.is_on:
        return before.power_w
    return (before.power_w + after.power_w) / 2
