"""States over time and energy by the bar, as the rows of a table and in sum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise

from structiot.dashboard.bars import Bars
from structiot.dashboard.pages.texts import duration_text
from structiot.dashboard.views import SpanView, StatisticView
from structiot.gateway.history import History, Series
from structiot.model.text import figure_text

__all__ = ["energy_spans", "known_until", "silent_spans", "state_shares", "state_spans"]

# What was heard a moment after a range begins, or before it ends, leaves no gap.
_EDGE_S = 120.0
_MOST_SHARES = 8

_Held = tuple[float, float, float | str | None]


def known_until(past: History, to_utc: datetime, now_utc: datetime) -> float:
    """Give where what a history can know of a range ends, in seconds of the epoch."""
    written_utc = past.status().committed_utc or now_utc
    return min(to_utc, now_utc, written_utc).timestamp()


def _held(course: Series, from_s: float, to_s: float) -> Iterator[_Held]:
    """Give each value from its begin to its end, with None where nothing was heard."""
    if not course.t:
        return
    last = course.t[-1] + course.resolution_s
    if course.t[0] - from_s > _EDGE_S:
        yield from_s, course.t[0], None
    values = course.mean if course.texts is None else course.texts
    times = pairwise((*course.t, last))
    for (since, until), value in zip(times, values, strict=True):
        yield since, until, value
    if to_s - last > _EDGE_S:
        yield last, to_s, None


def _word(value: float | str | None, words: tuple[str, str]) -> str:
    """Say what a value is; of a switch that was both in this time, for how much of it."""
    if value is None or isinstance(value, str):
        return value or ""
    off, on = words
    return {0.0: off, 1.0: on}.get(value, f"{on} {value * 100:.0f} %")


def silent_spans(
    course: Series, bars: Bars | None, from_s: float, to_s: float
) -> list[tuple[float, float]]:
    """Give from when to when nothing was heard.

    Args:
        course: The course of a series.
        bars: Its energy, if it is a counter: what came in a gap stands for that.
        from_s: Where the range begins, in seconds of the epoch.
        to_s: Where what can be known of it ends.
    """
    held: Iterable[_Held] = _held(course, from_s, to_s)
    if bars is not None:
        held = (
            (since, min(until, to_s), energy)
            for since, until, energy in bars.bars
            if not any(gap[0] < until and since < gap[1] for gap in bars.gaps)
        )
    found: list[tuple[float, float]] = []
    for since, until, value in held:
        if value is None and found and found[-1][1] == since:
            found[-1] = found[-1][0], until
        elif value is None:
            found.append((since, until))
    return found


def state_spans(
    course: Series, words: tuple[str, str], from_s: float, to_s: float
) -> tuple[SpanView, ...]:
    """Give what a switch or a text was, from when to when.

    Args:
        course: Its course.
        words: What 0 and 1 are called.
        from_s: Where the range begins, in seconds of the epoch.
        to_s: Where what can be known of it ends.
    """
    spans: list[SpanView] = []
    for since, until, value in _held(course, from_s, to_s):
        text = _word(value, words)
        begin = spans.pop().from_s if spans and spans[-1].text == text else since
        if until > begin:
            spans.append(SpanView(from_s=begin, until_s=until, text=text))
    return tuple(spans)


def state_shares(
    course: Series, words: tuple[str, str], from_s: float, to_s: float
) -> Iterator[StatisticView]:
    """Say for how long a switch or a text was what, the longest first."""
    off, on = words
    lengths: dict[str, float] = {}
    for since, until, value in _held(course, from_s, to_s):
        shares: Iterable[tuple[str, float]] = [(_word(value, words) or "no data", 1.0)]
        if isinstance(value, float):
            shares = [(on, value), (off, 1.0 - value)]
        for word, share in shares:
            lengths[word] = lengths.get(word, 0.0) + share * (until - since)
    told = sorted(lengths.items(), key=lambda one: -one[1])
    for word, length_s in told[:_MOST_SHARES]:
        if length_s >= 1.0:
            yield StatisticView(name=word, text=duration_text(length_s))


def energy_spans(bars: Bars, unit: str | None) -> tuple[SpanView, ...]:
    """Give what came when: in bars, in gaps, and where the counter began anew."""
    spans = [
        SpanView(
            from_s=since,
            until_s=until,
            text="" if energy is None else figure_text(energy, unit),
            note=note,
        )
        for drawn, note in ((bars.bars, ""), (bars.gaps, "while nothing was heard"))
        for since, until, energy in drawn
    ]
    anew = "the counter began anew"
    spans += [SpanView(from_s=at, until_s=at, note=anew) for at in bars.resets]
    return tuple(sorted(spans, key=lambda one: one.from_s))
