"""States over time and energy by the bar, in words."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from structiot.dashboard.bars import Bars
from structiot.dashboard.pages.texts import duration_text, time_text
from structiot.dashboard.spans import (
    energy_spans,
    silent_spans,
    state_shares,
    state_spans,
)
from structiot.dashboard.zones import offset_min, system_zone
from structiot.gateway.history import Series
from tests.dashboard.views import NOW, page

DOOR = ("closed", "open")


def course(
    t: Sequence[float],
    mean: Sequence[float | None] = (),
    texts: Sequence[str | None] | None = None,
    resolution_s: int = 0,
) -> Series:
    return Series(
        key="it/door",
        is_step=True,
        t=tuple(t),
        mean=tuple(mean),
        texts=None if texts is None else tuple(texts),
        resolution_s=resolution_s,
    )


def told(one: Series, to_s: float = 1000.0) -> list[tuple[float, float, str]]:
    spans = state_spans(one, DOOR, 0.0, to_s)
    return [(span.from_s, span.until_s, span.text) for span in spans]


def test_a_switch_is_told_from_when_to_when():
    one = course((0, 100, 100.5, 400, 1000), (0.0, 0.0, None, 1.0, 1.0))
    assert told(one) == [(0, 100.5, "closed"), (100.5, 400, ""), (400, 1000, "open")]
    shares = {one.name: one.text for one in state_shares(one, DOOR, 0.0, 1000.0)}
    assert shares == {"open": "10 min", "closed": "2 min", "no data": "5 min"}
    assert silent_spans(one, None, 0.0, 1000.0) == [(100.5, 400)]


def test_a_text_is_told_from_when_to_when():
    one = course((0, 600, 900), texts=("auto", "eco", "eco"))
    assert told(one) == [(0, 600, "auto"), (600, 900, "eco")]
    assert [one.name for one in state_shares(one, DOOR, 0.0, 900.0)] == ["auto", "eco"]


def test_what_was_not_heard_at_the_edges_is_a_gap():
    one = course((500, 600), (1.0, 1.0))
    assert told(one) == [(0, 500, ""), (500, 600, "open"), (600, 1000, "")]
    assert told(one, 610.0) == [(0, 500, ""), (500, 600, "open")]
    assert told(course(())) == []


def test_of_a_switch_that_was_both_is_told_how_much():
    one = course((0, 300, 600), (0.25, 0.25, 1.0), resolution_s=300)
    assert told(one, 900.0) == [(0, 600, "open 25 %"), (600, 900, "open")]
    shares = {one.name: one.text for one in state_shares(one, DOOR, 0.0, 900.0)}
    assert shares == {"open": "8 min", "closed": "8 min"}


def test_energy_of_a_gap_and_a_counter_that_began_anew_are_among_the_bars():
    bars = Bars(
        bars=((0, 100, 0.5), (100, 200, None), (200, 300, None), (300, 400, None)),
        gaps=((90, 150, 0.25),),
        resets=(50.0,),
    )
    spans = energy_spans(bars, "kWh")
    assert [(one.from_s, one.text, one.note) for one in spans] == [
        (0, "0.5 kWh", ""),
        (50, "", "the counter began anew"),
        (90, "0.25 kWh", "while nothing was heard"),
        (100, "", ""),
        (200, "", ""),
        (300, "", ""),
    ]
    silent = silent_spans(course(()), bars, 0.0, 350.0)
    assert silent == [(200, 350.0)]


@pytest.mark.parametrize(
    ("length_s", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (3600, "1 h"),
        (86_399, "1 d"),
        (4 * 3600 + 720, "4 h 12 min"),
        (3 * 86_400 + 4 * 3600 + 59, "3 d 4 h"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(length_s, text):
    assert duration_text(length_s) == text


@pytest.mark.parametrize(
    ("given", "name"),
    [("Europe/Berlin", "Europe/Berlin"), (":Etc/UTC", "UTC"), ("CET-1CEST", None)],
)
def test_the_zone_of_the_computer_is_named_as_it_is_set(monkeypatch, given, name):
    monkeypatch.setitem(os.environ, "TZ", given)
    assert system_zone() == name


def test_without_a_setting_the_zone_is_that_of_the_link(monkeypatch):
    monkeypatch.delenv("TZ", raising=False)
    time.tzset()
    found = ZoneInfo(system_zone() or "UTC")
    now = datetime.now(UTC)
    assert now.astimezone(found).utcoffset() == now.astimezone().utcoffset()


@pytest.mark.parametrize(
    ("zone", "text"),
    [("Europe/Berlin", "13:00:00"), ("CEST", "14:00:00"), ("nonsense", "14:00:00")],
)
def test_a_zone_without_a_name_with_rules_has_its_present_offset(zone, text):
    summer = replace(page(), zone=zone, zone_offset_min=120)
    assert time_text(NOW, summer) == text


def test_an_offset_is_in_minutes():
    zone = timezone(timedelta(hours=5, minutes=30))
    assert offset_min(datetime(2026, 1, 1, tzinfo=zone)) == 330
    assert offset_min(datetime(2026, 1, 1)) == 0  # noqa: DTZ001 - the case
