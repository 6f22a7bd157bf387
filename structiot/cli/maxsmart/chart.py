"""How statistics look in a terminal: a line and a bar an hour, day or month."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from structiot.cli._common.output import figure, has_blocks, show_table
from structiot.maxsmart import EnergyPoint, StripStatistics

__all__ = ["bar", "energy_shown", "label_of", "show_chart", "summary"]

_CELLS = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FORMATS = {"hourly": "%Y-%m-%d %H:%M", "daily": "%a %Y-%m-%d", "monthly": "%Y-%m"}
_COLUMNS = {"hourly": "hour", "daily": "day", "monthly": "month"}
_KILO_WH = 10_000.0


def show_chart(title: str, series: StripStatistics) -> None:
    """Print what a port, or all of them, used: when, how much, and a bar."""
    console = Console()
    console.print(Text(title, style="bold"))
    rows = _rows(series.points, series.period, has_blocks=has_blocks(console))
    show_table((_COLUMNS[series.period], "energy", ""), rows)
    console.print(Text(summary(series)), soft_wrap=True)


def _rows(
    points: Sequence[EnergyPoint], period: str, *, has_blocks: bool
) -> list[tuple[object, ...]]:
    most_wh = max((point.energy_wh or 0.0 for point in points), default=0.0)
    rows: list[tuple[object, ...]] = []
    for point in points:
        share = (point.energy_wh or 0.0) / most_wh if most_wh else 0.0
        drawn = Text(bar(share, _CELLS, has_blocks=has_blocks), style="cyan")
        if not point.is_complete:
            drawn.append("  so far", style="dim")
        energy = energy_shown(point.energy_wh, most_wh)
        rows.append((label_of(point, period), energy, drawn))
    return rows


def label_of(point: EnergyPoint, period: str) -> str:
    """Name the hour, day or month of a point."""
    return point.start.strftime(_FORMATS[period])


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


def summary(series: StripStatistics) -> str:
    """Say in one line what it comes to."""
    if not series.points:
        return "the device has no figures"
    total = energy_shown(series.energy_wh, series.energy_wh or 0.0)
    text = f"{total or 'an unknown energy'} in all"
    if series.cost is not None and series.price_per_kwh:
        money = series.currency or ""
        text += f", {series.cost:.2f} {money}".rstrip()
        text += f" at {series.price_per_kwh:g} {money}".rstrip() + " a kWh"
    if series.dated_by != "reply":
        whose = "its" if series.dated_by == "device_clock" else "this machine's"
        text += f"; the device names no dates, these follow from {whose} clock"
    return text
