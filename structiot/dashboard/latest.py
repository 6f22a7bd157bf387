"""What a series was last: as it is now, or at the end of a range that is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from structiot.dashboard.api import MAX_POINTS
from structiot.dashboard.pages.courses import decimals_of
from structiot.dashboard.spans import state_word
from structiot.dashboard.views import CardView, SeriesView
from structiot.gateway import GatewayDevice
from structiot.gateway.history import History, Series, recorded_of
from structiot.gateway.history.recorded import Value
from structiot.model.text import figure_text

__all__ = ["as_drawn"]

# A year is told by hours, those by seconds, those as they came.
_TIMES_FINER = 3


async def as_drawn(
    past: History,
    one: SeriesView,
    course: Series,
    card: CardView,
    *,
    to_utc: datetime,
    now: GatewayDevice | None,
) -> SeriesView:
    """Say of a series how it is drawn, and what it was last.

    Its entity may tell nothing now. A point of the course is the mean of many readings:
    the last of these is asked for by itself.

    Args:
        past: What was.
        one: The series.
        course: Its course.
        card: The device's card.
        to_utc: Where the course ends.
        now: The device, if that is now; what it is now counts then.

    Raises:
        StructiotError: As the history does.
    """
    if course.t:
        one = replace(one, is_step=course.is_step)
    if one.is_energy:
        return one
    row = next(row for row in card.rows if row.key == one.key.partition(".")[0])
    if now is None or row.value.state not in ("live", "stale"):
        value = await _last(past, one.key, course, to_utc)
    elif row.value.fields is None:
        return replace(one, latest=row.value.text, is_live=True)
    else:
        name = one.key.removeprefix(row.key)
        told = recorded_of(row.entity, now.states.get(row.entity.key))
        value = next((value for suffix, *_, value in told if suffix == name), None)
    return replace(one, latest=_text(value, one, decimals_of(card, one)))


async def _last(past: History, key: str, course: Series, to_utc: datetime) -> Value:
    """Give what was told last, as exactly as it is kept."""
    found: Value = None
    for _ in range(_TIMES_FINER):
        values = course.mean if course.texts is None else course.texts
        known = [at for at, value in enumerate(values) if value is not None]
        if not known:
            break
        found = values[known[-1]]
        begin_utc = datetime.fromtimestamp(course.t[known[-1]], UTC)
        until_utc = min(to_utc, begin_utc + timedelta(seconds=course.resolution_s))
        if course.resolution_s <= 1 or begin_utc >= until_utc:
            break
        course = await past.series(key, begin_utc, until_utc, MAX_POINTS)
    return found


def _text(value: Value, one: SeriesView, decimals: int | None) -> str:
    if value is None or isinstance(value, str) or one.is_step:
        return state_word(value, one.words)
    return figure_text(value, one.unit or None, decimals)
