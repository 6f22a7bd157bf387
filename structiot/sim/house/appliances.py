"""What is plugged in in a house: loads that do the same every day, exactly integrable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from structiot.sim.house.day import DAY_S, hour_of
from structiot.sim.shared.loads import CyclingLoad, Load, steady

__all__ = ["APPLIANCES", "DailyLoad", "SolarPanel", "at_hours"]

_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLoad:
    """Loads that are there for some hours of each day; those that overlap add up.

    Attributes:
        parts: From which hour to which (0 to 24) which load is there.
    """

    parts: tuple[tuple[float, float, Load], ...]

    def power_w(self, at_s: float) -> float:
        """Give the power at one instant, in watts."""
        hour = hour_of(at_s)
        there = (load for begin, end, load in self.parts if begin <= hour < end)
        return sum(load.power_w(at_s) for load in there)

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Give the energy drawn between two instants, in watt-hours."""
        energy_wh = 0.0
        day_s = from_s - from_s % DAY_S
        while day_s < to_s:
            for begin, end, load in self.parts:
                first_s = max(from_s, day_s + begin * _HOUR_S)
                last_s = min(to_s, day_s + end * _HOUR_S)
                if last_s > first_s:
                    energy_wh += load.energy_wh(first_s, last_s)
            day_s += DAY_S
        return energy_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class SolarPanel:
    """A solar panel in clear weather: its power is negative, as it feeds.

    Attributes:
        peak_w: What it gives at noon, in watts.
        sunrise: Hour from which it gives something.
        sunset: Hour from which it gives nothing.
    """

    peak_w: float
    sunrise: float = 6.0
    sunset: float = 20.0

    def power_w(self, at_s: float) -> float:
        """Give the power at one instant, in watts; 0 at night."""
        share = (hour_of(at_s) - self.sunrise) / (self.sunset - self.sunrise)
        return -self.peak_w * math.sin(math.pi * share) if 0 < share < 1 else 0.0

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Give the energy between two instants, in watt-hours; negative, or 0."""
        energy_wh = 0.0
        day_s = from_s - from_s % DAY_S
        bright_h = self.sunset - self.sunrise
        while day_s < to_s:
            first, last = (
                min(1.0, max(0.0, ((at_s - day_s) / _HOUR_S - self.sunrise) / bright_h))
                for at_s in (from_s, to_s)
            )
            share = math.cos(math.pi * first) - math.cos(math.pi * last)
            energy_wh -= self.peak_w * bright_h / math.pi * share
            day_s += DAY_S
        return energy_wh


def at_hours(
    *hours: tuple[float, float, float], idle_w: float = 0.0, ripple: float = 0.01
) -> DailyLoad:
    """Make a load of some watts from one hour to another, each day, and else idle.

    Args:
        hours: From, to, and watts beyond the idle ones.
        idle_w: Watts all day.
        ripple: Relative amplitude of a small wave on top.
    """
    parts: list[tuple[float, float, Load]] = [
        (begin, end, CyclingLoad(high_w=watts, ripple=ripple))
        for begin, end, watts in hours
    ]
    if idle_w:
        parts.append((0.0, 24.0, steady(idle_w)))
    return DailyLoad(parts=tuple(parts))


def _cycling(
    high_w: float, low_w: float, minutes: float, duty: float, phase_s: float = 0.0
) -> CyclingLoad:
    return CyclingLoad(
        high_w=high_w,
        low_w=low_w,
        period_s=minutes * 60,
        duty=duty,
        phase_s=phase_s,
        ripple=0.015,
    )


def _programme(start: float, *steps: tuple[float, float]) -> DailyLoad:
    """Make a machine that is started each day at an hour: minutes and watts of each step."""
    hours: list[tuple[float, float, float]] = []
    for minutes, watts in steps:
        hours.append((start, start + minutes / 60, watts))
        start += minutes / 60
    return at_hours(*hours, idle_w=0.6, ripple=0.03)


APPLIANCES: Final[Mapping[str, Load]] = {
    "Fridge": _cycling(85, 1.2, 45, 0.35),
    "Freezer": _cycling(95, 1.5, 60, 0.45, 900),
    "Kettle": at_hours(
        (6.6, 6.75, 2050), (7.4, 7.5, 2050), (16.0, 16.15, 2050), (20.3, 20.4, 2050)
    ),
    "Toaster": at_hours((6.8, 6.9, 870), (7.3, 7.4, 870)),
    "Dishwasher": _programme(20.5, (25, 1900), (40, 130), (15, 1900), (30, 25)),
    "Microwave": at_hours((12.3, 12.45, 1150), (18.6, 18.75, 1150), idle_w=1.8),
    "Television": at_hours((6.7, 7.3, 92), (18.2, 22.9, 92), idle_w=0.5, ripple=0.08),
    "Hi-fi": at_hours((6.6, 8.0, 28), (16.5, 18.2, 28), idle_w=0.4, ripple=0.2),
    "Console": at_hours((16.8, 18.0, 130), idle_w=1.1, ripple=0.06),
    "Router": CyclingLoad(high_w=8.5, ripple=0.05, ripple_s=13.0),
    "Floor lamp": at_hours((19.2, 23.0, 9.5)),
    "Phone charger": at_hours((0.0, 2.5, 15), (22.8, 24.0, 15), idle_w=0.2),
    "Workbench light": at_hours((6.5, 12.5, 36), (14.0, 17.5, 36)),
    "Drill press": DailyLoad(
        parts=(
            (8.5, 11.5, _cycling(620, 0, 14, 0.3)),
            (14.5, 17, _cycling(620, 0, 11, 0.4)),
        )
    ),
    "Compressor": DailyLoad(parts=((7.5, 17.0, _cycling(1100, 2, 70, 0.12)),)),
    "Battery chargers": at_hours((6.5, 10.0, 62), (17.0, 21.0, 62), idle_w=1.4),
    "Extractor": DailyLoad(parts=((8.5, 17.0, _cycling(210, 0, 28, 0.35, 300)),)),
    "Radio": at_hours((7.0, 12.5, 6), (14.0, 17.5, 6), ripple=0.2),
    "Coffee machine": at_hours(
        (6.55, 6.9, 870), (9.0, 9.2, 870), (14.0, 14.2, 870), idle_w=0.9
    ),
    "Washing machine": _programme(9.0, (35, 1950), (60, 140), (12, 420)),
    "Heat pump": DailyLoad(parts=((0.0, 24.0, _cycling(640, 12, 50, 0.3, 600)),)),
    "Cooker": at_hours((11.9, 12.4, 1800), (18.3, 19.0, 2300), idle_w=0.8),
    "Floor heating": CyclingLoad(high_w=420, ripple=0.015),
    "Lights": at_hours((6.5, 7.8, 64), (18.9, 23.2, 118)),
    "Solar": SolarPanel(peak_w=760),
}
"""The appliances of the house by name."""
