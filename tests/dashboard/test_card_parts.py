"""Parts of cards: sparklines, the names of buttons, what is said where nothing happened."""

from __future__ import annotations

import pytest

from structiot.dashboard.pages import render_device, render_index
from structiot.dashboard.views import SparklineView
from tests.dashboard import views
from tests.dashboard.reader import Reader
from tests.dashboard.views import card, device, index


def read_card(kind: str) -> Reader:
    return Reader(render_index(index(card(kind))))


def test_a_sparkline_is_hidden_from_readers_and_open_at_gaps():
    read = Reader(render_index(index(card("strip", sparkline=views.sparkline("it")))))
    drawn = read.one(tag="svg", class_="spark")
    assert drawn["aria-hidden"] == "true"
    (path,) = [one["d"] for one in read.find(tag="path") if "M" in one["d"]][-1:]
    assert path.count("M") == 2


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([], ""),
        ([None, None], ""),
        ([None, 5.0, None], "M80 20h0"),
        ([0.0, 0.0, 0.0], "M0 38h80h80"),
        ([None] * 58 + [1.0, 2.0], ""),
        ([1.0, None, 3.0], "M0 38h0M160 2h0"),
    ],
)
def test_lines_are_drawn_from_what_was_heard_alone(
    values: list[float | None], path: str
):
    line = SparklineView(
        key="it/power",
        points=tuple((float(i), value) for i, value in enumerate(values)),
        from_s=0.0,
        to_s=float(max(3, len(values))),
    )
    read = Reader(render_index(index(card("strip", sparkline=line))))
    strip = read.one(class_="spark")
    assert strip["aria-hidden"] == "true"
    if path:
        assert read.find(tag="path")[-1]["d"] == path
    else:
        assert strip.text == "The last hour is drawn here."


def test_each_button_says_whose_it_is():
    read = read_card("box")
    for name, text in (("Restart", "Restart"), ("Sign Set", "Set")):
        assert read.one(tag="button", aria_label=f"It {name}").text == text
    assert read.one(tag="button", aria_label="It Firmware Install").text == "Install"
    assert read_card("door").one(aria_label="It Open latch").text == "Open latch"
    assert len(read_card("blind").find(role="group", aria_label="It")) == 1


def test_without_events_the_page_says_what_they_are():
    strip = render_device(device(card("strip"), events=()))
    assert "It has nothing that tells of events" in strip
    assert "What was switched is in" in strip
    assert "No event yet." in render_device(device(card("bell"), events=()))
