"""Figures from outside, believed only where they can be true."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from structiot._kit.json_text import clean_text, integer_of, number_of

__all__ = ["figure_of", "label_of", "on_off_of", "utc_of", "whole_of"]

_EARLIEST_S: Final = 1_000_000_000
_LATEST_S: Final = 4_000_000_000


def figure_of(value: object, low: float, high: float) -> float | None:
    """Read a number from `low` to `high`; None for anything else."""
    number = number_of(value)
    return number if number is not None and low <= number <= high else None


def whole_of(value: object, low: int, high: int) -> int | None:
    """Read an integer from `low` to `high`; None for anything else."""
    number = integer_of(value)
    return number if number is not None and low <= number <= high else None


def on_off_of(value: object) -> bool | None:
    """Read the wire's 0 or 1; None for anything else."""
    number = whole_of(value, 0, 1)
    return None if number is None else number == 1


def label_of(value: object, longest: int = 64) -> str | None:
    """Read a text for people, cut; None for anything else and for blanks."""
    text = clean_text(value[: 4 * longest])[:longest] if isinstance(value, str) else ""
    return text.strip() or None


def utc_of(value: object) -> datetime | None:
    """Read seconds since 1970; None for what no device of today can mean."""
    seconds = whole_of(value, _EARLIEST_S, _LATEST_S)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
