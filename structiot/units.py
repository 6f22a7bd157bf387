"""Scales and pure conversions between wire units and SI.

`None` stands for "not reported" and passes through `from_milli` and `from_deci`.
"""

from __future__ import annotations

from typing import overload

__all__ = [
    "from_deci",
    "from_milli",
    "kelvin_from_mired",
    "mired_from_kelvin",
    "percent_from_range",
    "to_milli",
]

# Three decimals are what every device here resolves; without rounding
# 3300 mW would read 3.3000000000000003 W.
_DECIMALS = 3


@overload
def from_milli(value: float) -> float: ...
@overload
def from_milli(value: None) -> None: ...
@overload
def from_milli(value: float | None) -> float | None: ...
def from_milli(value: float | None) -> float | None:
    """Convert a milli-quantity (mW, mA, mV) to its SI unit."""
    return None if value is None else round(value / 1000, _DECIMALS)


def to_milli(value: float) -> int:
    """Convert an SI quantity to its milli-quantity, rounded to an integer."""
    return round(value * 1000)


@overload
def from_deci(value: float) -> float: ...
@overload
def from_deci(value: None) -> None: ...
@overload
def from_deci(value: float | None) -> float | None: ...
def from_deci(value: float | None) -> float | None:
    """Convert tenths (Meross volts, valve degrees) to the SI unit."""
    return None if value is None else round(value / 10, _DECIMALS)


def percent_from_range(value: float, low: float, high: float) -> float:
    """Give the place of `value` between `low` and `high` in percent, clamped.

    Raises:
        ValueError: `low` is not below `high`.
    """
    if low >= high:
        message = f"an empty range: {low:g} to {high:g}"
        raise ValueError(message)
    return min(100.0, max(0.0, (value - low) / (high - low) * 100))


def kelvin_from_mired(mired: float) -> int:
    """Convert a colour temperature from mired to kelvin.

    Raises:
        ValueError: `mired` is not above 0.
    """
    return _reciprocal(mired)


def mired_from_kelvin(kelvin: float) -> int:
    """Convert a colour temperature from kelvin to mired.

    Raises:
        ValueError: `kelvin` is not above 0.
    """
    return _reciprocal(kelvin)


def _reciprocal(value: float) -> int:
    if not value > 0:
        message = f"a colour temperature is above 0, not {value:g}"
        raise ValueError(message)
    return round(1_000_000 / value)
