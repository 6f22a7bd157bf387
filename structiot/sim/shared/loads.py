"""What is plugged into a simulated outlet: power as a pure function of time.

Each load also gives its energy between two instants as the exact integral of its
power, so that a meter never samples and a simulated year costs no more than a day.
Times are seconds since 1970, UTC.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["CyclingLoad", "Load", "household", "seeded_fraction", "steady"]

_HOUR_S = 3600.0
_DAY_S = 86400.0
# Two sines whose periods have no common multiple look like noise to a poll.
_RIPPLES = ((0.7, 1.0), (0.3, 0.2360679775))


@runtime_checkable
class Load(Protocol):
    """Something that draws power."""

    def power_w(self, at_s: float) -> float:
        """Give the power at one instant, in watts."""
        ...

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Give the energy drawn between two instants, in watt-hours."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclingLoad:
    """A load that takes turns between a high and a low power.

    Attributes:
        high_w: Power in the first part of each period.
        low_w: Power in the rest.
        period_s: Length of one turn; 86400 repeats daily.
        duty: Share of the period at the high power, 0 to 1; 1 is a steady load.
        phase_s: Where the turns begin, in seconds after midnight UTC.
        ripple: Relative amplitude of a small wave on top, 0 to 1.
        ripple_s: Period of that wave.
    """

    high_w: float
    low_w: float = 0.0
    period_s: float = _HOUR_S
    duty: float = 1.0
    phase_s: float = 0.0
    ripple: float = 0.0
    ripple_s: float = 97.0

    def power_w(self, at_s: float) -> float:
        """Give the power at one instant, in watts."""
        is_high = (at_s - self.phase_s) % self.period_s < self.duty * self.period_s
        wave = sum(
            share * math.sin(math.tau * at_s / (self.ripple_s * stretch))
            for share, stretch in _RIPPLES
        )
        return (self.high_w if is_high else self.low_w) * (1 + self.ripple * wave)

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Give the energy drawn between two instants, in watt-hours."""
        if to_s <= from_s:
            return 0.0
        if self.duty >= 1:
            return self._part_wh(self.high_w, from_s, to_s)
        turn = math.floor((from_s - self.phase_s) / self.period_s)
        energy_wh = 0.0
        while (begin := self.phase_s + turn * self.period_s) < to_s:
            change, end = begin + self.duty * self.period_s, begin + self.period_s
            energy_wh += self._part_wh(
                self.high_w, max(begin, from_s), min(change, to_s)
            )
            energy_wh += self._part_wh(self.low_w, max(change, from_s), min(end, to_s))
            turn += 1
        return energy_wh

    def _part_wh(self, power_w: float, from_s: float, to_s: float) -> float:
        if to_s <= from_s:
            return 0.0
        wave_s = 0.0
        for share, stretch in _RIPPLES:
            omega = math.tau / (self.ripple_s * stretch)
            wave_s += (
                share * (math.cos(omega * from_s) - math.cos(omega * to_s)) / omega
            )
        return power_w * (to_s - from_s + self.ripple * wave_s) / _HOUR_S


def steady(power_w: float) -> CyclingLoad:
    """Make a load that draws exactly this power."""
    return CyclingLoad(high_w=power_w)


def seeded_fraction(*seed: object) -> float:
    """Give a number from 0 to below 1 that depends on nothing but the seed."""
    digest = hashlib.sha256(repr(seed).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _lamp(chance: float) -> CyclingLoad:
    return CyclingLoad(high_w=6 + 9 * chance, ripple=0.004)


def _screen(chance: float) -> CyclingLoad:
    return CyclingLoad(
        high_w=48 + 30 * chance,
        low_w=0.9,
        period_s=_DAY_S,
        duty=9.5 / 24,
        phase_s=(6.5 + chance) * _HOUR_S,
        ripple=0.06,
        ripple_s=41.0,
    )


def _fridge(chance: float) -> CyclingLoad:
    return CyclingLoad(
        high_w=70 + 30 * chance,
        low_w=1.2,
        period_s=2700 + 600 * chance,
        duty=0.3 + 0.1 * chance,
        phase_s=chance * 2700,
        ripple=0.015,
    )


def _television(chance: float) -> CyclingLoad:
    return CyclingLoad(
        high_w=80 + 40 * chance,
        low_w=0.5,
        period_s=_DAY_S,
        duty=4.5 / 24,
        phase_s=(16.5 + chance) * _HOUR_S,
        ripple=0.08,
        ripple_s=23.0,
    )


def _router(chance: float) -> CyclingLoad:
    return CyclingLoad(high_w=6 + 4 * chance, ripple=0.05, ripple_s=13.0)


def _heater(chance: float) -> CyclingLoad:
    return CyclingLoad(
        high_w=900 + 900 * chance,
        period_s=600 + 300 * chance,
        duty=0.25,
        phase_s=chance * 600,
        ripple=0.003,
    )


_APPLIANCES: tuple[Callable[[float], CyclingLoad], ...] = (
    _lamp,
    _screen,
    _fridge,
    _television,
    _router,
    _heater,
)


def household(outlets: int, seed: int) -> tuple[CyclingLoad, ...]:
    """Plug an appliance into each outlet: lamp, screen, fridge, television, router, heater.

    The same seed gives the same appliances; another seed begins with another one.
    """
    first = seed % len(_APPLIANCES)
    return tuple(
        _APPLIANCES[(first + index) % len(_APPLIANCES)](
            seeded_fraction("load", seed, index)
        )
        for index in range(outlets)
    )
