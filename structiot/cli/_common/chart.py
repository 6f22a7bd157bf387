"""Energy by the hour, day or month: how it looks in a terminal, a line and a bar each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from structiot._kit.text import printable
from structiot.cli._common.output import figure
from structiot.cli._common.tables import has_blocks, show_table

__all__ = ["EnergyBar", "EnergyChart", "bar", "energy_shown", "show_charts"]

_CELLS = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"
_KILO_WH = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBar:
    """What was used in one span of time.

    Attributes:
        label: Names the hour, day or month.
        energy_wh: What was used; None if it is not known.
        is_complete: Whether the span is over.
    """

    label: str
    energy_wh: float | None
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyChart:
    """What something used, as it is drawn.

    Attributes:
        title: Whose energy it is.
        column: What a bar is: `"hour"`, `"day"`, `"month"`.
        bars: The spans of time, oldest first.
        summary: What it comes to, in one line.
    """

    title: str
    column: str
    bars: Sequence[EnergyBar]
    summary: str


def show_charts(charts: Sequence[EnergyChart]) -> None:
    """Print what each used: when, how much, and a bar."""
    console = Console()
    for index, one in enumerate(charts):
        if index:
            console.print()
        console.print(Text(printable(one.title), style="bold"))
        rows = _rows(one.bars, has_blocks=has_blocks(console))
        show_table((one.column, "energy", ""), rows)
        console.print(Text(printable(one.summary)), soft_wrap=True)


def _rows(bars: Sequence[EnergyBar], *, has_blocks: bool) -> list[tuple[object, ...]]:
    most_wh = max((one.energy_wh or 0.0 for one in bars), default=0.0)
    rows: list[tuple[object, ...]] = []
    for one in bars:
        # A house that feeds in has hours of less than nothing.
        share = max(0.0, one.energy_wh or 0.0) / most_wh if most_wh > 0 else 0.0
        drawn = Text(bar(share, _CELLS, has_blocks=has_blocks), style="cyan")
        if not one.is_complete:
            drawn.append("  so far", style="dim")
        rows.append((one.label, energy_shown(one.energy_wh, most_wh), drawn))
    return rows


def bar(share: float, cells: int, *, has_blocks: bool = True) -> str:
    """Draw a share from 0 to 1 as a bar; what is more than nothing is seen."""
    if not has_blocks:
        return "#" * max(round(share * cells), share > 0)
    eighths = max(round(share * cells * 8), share > 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def energy_shown(energy_wh: float | None, most_wh: float) -> str | None:
    """Write an energy in the unit that fits the largest one beside it."""
    if energy_wh is None or most_wh < _KILO_WH:
        return figure(energy_wh, "Wh", decimals=1 if most_wh >= 1 else 3)
    return figure(energy_wh / 1000, "kWh", decimals=2)
