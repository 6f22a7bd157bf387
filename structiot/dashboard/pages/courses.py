"""What a chart says in words: its points, and what it is about."""

from __future__ import annotations

from structiot.dashboard.views import CardView, DeviceView, SeriesView
from structiot.model import Sensor
from structiot.model.text import figure_text

__all__ = ["decimals_of", "point_text", "summary_of"]


def decimals_of(card: CardView, series: SeriesView) -> int | None:
    """Give the decimals worth showing of a series, if its entity tells."""
    for one in card.rows:
        if one.key == series.key and isinstance(one.entity, Sensor):
            return one.entity.decimals
    return None


def point_text(view: DeviceView, series: SeriesView, value: float | None) -> str:
    """Write the value of a point as it stands on cards, too."""
    if value is None:
        return ""
    return figure_text(value, series.unit or None, decimals_of(view.card, series))


def summary_of(view: DeviceView, series: SeriesView) -> str:
    """Say what the chart shows, in one sentence."""
    title = series.name
    if title != view.card.name:
        title += f" of {view.card.name}"
    if view.range_name:
        title += f", {view.range_name}"
    return f"{title}: {', '.join(_facts(view, series)) or 'no data'}"


def _facts(view: DeviceView, series: SeriesView) -> list[str]:
    if series.is_energy:
        return [f"{one.text} {one.name.lower()}" for one in view.statistics]
    if series.is_step:
        told = [one.text for one in view.spans if one.text]
        return [f"latest {one}" for one in told[-1:]]
    means = [mean for _, mean, _, _ in view.points if mean is not None]
    if not means:
        return []
    lows = [low for _, _, low, _ in view.points if low is not None] or means
    highs = [high for _, _, _, high in view.points if high is not None] or means
    figures = {
        "lowest": min(lows),
        "highest": max(highs),
        "average": sum(means) / len(means),
    }
    texts = [f"{name} {figure_text(value, None)}" for name, value in figures.items()]
    return [f"latest {point_text(view, series, means[-1])}", *texts]
