"""The last hour of a figure as the path of an svg; gaps stay open."""

from __future__ import annotations

from structiot.dashboard.views import SparklineView

__all__ = ["SPARK_HEIGHT", "SPARK_WIDTH", "spark_path"]

SPARK_WIDTH = 240
SPARK_HEIGHT = 40
_EDGE = 2
# A path is sent with each card; nobody sees more columns in a card.
_MOST_POINTS = 48
# Nobody takes for a line what is shorter than this part of it.
_LEAST_PART = 1 / 20
# What varies less than this part of itself is drawn as level.
_LEAST_SPAN = 0.02

_Spot = tuple[int, int]


def spark_path(view: SparklineView) -> str:
    """Draw the line within `SPARK_WIDTH` by `SPARK_HEIGHT`; empty if that only begins.

    A point between two gaps is drawn as a dot: a line of no length, with round ends.
    """
    pieces = _pieces(view)
    told = [value for piece in pieces for _, value in piece]
    if not told or view.to_s <= view.from_s:
        return ""
    if view.to_s - pieces[0][0][0] < (view.to_s - view.from_s) * _LEAST_PART:
        return ""
    low, high = min(told), max(told)
    least = max(abs(low), abs(high)) * _LEAST_SPAN or 1.0
    if high - low < least:
        # All nothing lies on the ground, all else in the middle.
        low -= (least - (high - low)) / 2 if high else 0.0
        high = low + least
    across = SPARK_WIDTH / (view.to_s - view.from_s)
    up = (SPARK_HEIGHT - 2 * _EDGE) / (high - low)

    def spot(at_s: float, value: float) -> _Spot:
        x = round((at_s - view.from_s) * across)
        return x, round(SPARK_HEIGHT - _EDGE - (value - low) * up)

    return "".join(_drawn([spot(*point) for point in piece]) for piece in pieces)


def _pieces(view: SparklineView) -> list[list[tuple[float, float]]]:
    """Give the parts between gaps, with not too many points in all."""
    width_s = (view.to_s - view.from_s) / _MOST_POINTS
    pieces: list[list[tuple[float, float]]] = []
    last: tuple[float, float] | None = None
    for at_s, value in view.points:
        if value is None:
            last = None
        elif last is None:
            last = (at_s, value)
            pieces.append([last])
        elif at_s - pieces[-1][-1][0] >= width_s:
            last = (at_s, value)
            pieces[-1].append(last)
    return pieces


def _drawn(spots: list[_Spot]) -> str:
    (x, y), *others = spots
    path = f"M{x} {y}"
    if not others:
        return f"{path}h0"
    for next_x, next_y in others:
        across, down = next_x - x, next_y - y
        path += f"h{across}" if not down else f"l{across} {down}"
        x, y = next_x, next_y
    return path
