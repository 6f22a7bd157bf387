"""What a strip's statistics are called in a chart, and what they come to."""

from __future__ import annotations

from structiot.cli._common.chart import EnergyBar, EnergyChart, energy_shown
from structiot.maxsmart import StripStatistics

__all__ = ["chart_of"]

_FORMATS = {"hourly": "%Y-%m-%d %H:%M", "daily": "%a %Y-%m-%d", "monthly": "%Y-%m"}
_COLUMNS = {"hourly": "hour", "daily": "day", "monthly": "month"}


def chart_of(title: str, series: StripStatistics) -> EnergyChart:
    """Give the chart of what a port, or all of them, used."""
    bars = [
        EnergyBar(
            label=point.start.strftime(_FORMATS[series.period]),
            energy_wh=point.energy_wh,
            is_complete=point.is_complete,
        )
        for point in series.points
    ]
    return EnergyChart(
        title=title,
        column=_COLUMNS[series.period],
        bars=bars,
        summary=_summary(series),
    )


def _summary(series: StripStatistics) -> str:
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
