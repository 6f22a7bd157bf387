"""The history of a device in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.house import LivingHouse, living_house, one_of_each
from tests.browser.past import AWAY, MODES

LIT = """(canvas) => {
    const context = canvas.getContext('2d');
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let lit = 0;
    for (let at = 3; at < data.length; at += 4) lit += data[at] > 0;
    return lit;
}"""


@pytest.fixture(scope="module")
def house() -> Iterator[LivingHouse]:
    with living_house(*one_of_each()) as found:
        yield found


@pytest.fixture
def page(house: LivingHouse, open_page: OpenPage) -> Page:
    found = open_page(f"{house.url}/device/kitchen", timezone_id="Asia/Kolkata")
    expect(found.locator("canvas")).to_be_visible()
    return found


def history(page: Page) -> Locator:
    return page.get_by_role("region", name="History")


def span(page: Page) -> tuple[float, float]:
    figure = page.locator("figure")
    begin, end = (figure.get_attribute(f"data-{one}") for one in ("from", "to"))
    return float(begin or 0), float(end or 0)


def length(page: Page) -> float:
    begin, end = span(page)
    return end - begin


def press(page: Page, name: str) -> None:
    with page.expect_response(re.compile("/api/history/")):
        history(page).get_by_role("button", name=name, exact=True).click()
    page.wait_for_timeout(100)


def test_the_picture_says_all_in_its_name_and_is_drawn(page: Page) -> None:
    canvas = history(page).locator("canvas")
    expect(canvas).to_have_role("img")
    wanted = r"Power of kitchen, day: latest .* W, lowest \S+, highest \S+, average \S+"
    expect(canvas).to_have_accessible_name(re.compile(wanted))
    assert canvas.evaluate(LIT) > 5000
    assert abs(length(page) - 86400) < 5
    assert float(page.locator("figure").get_attribute("data-resolution") or 0) > 0


def test_ranges_are_radios_and_live_in_the_address(page: Page) -> None:
    group = page.get_by_role("radiogroup", name="Range")
    for name, days in (("Hour", 1 / 24), ("Month", 31), ("Year", 366)):
        with page.expect_response(re.compile("/api/history/")):
            group.get_by_role("radio", name=name).check(force=True)
        page.wait_for_timeout(100)
        assert abs(length(page) - days * 86400) < 5
        assert f"range={name.lower()}" in page.url
    page.reload()
    expect(group.get_by_role("radio", name="Year")).to_be_checked()
    page.go_back()
    expect(group.get_by_role("radio", name="Month")).to_be_checked()


def test_buttons_zoom_and_move_and_a_zoomed_chart_stays(
    page: Page, house: LivingHouse
) -> None:
    press(page, "Zoom in")
    assert abs(length(page) - 43200) < 5
    assert "from=" in page.url
    assert "to=" in page.url
    later = history(page).get_by_role("button", name="Later")
    expect(later).to_have_class(re.compile("marked"))
    before = span(page)
    house.tell("kitchen", "power", 999.0)
    page.wait_for_timeout(1500)
    assert span(page) == before
    press(page, "Earlier")
    assert abs(span(page)[1] - before[0]) < 2
    press(page, "Zoom out")
    assert abs(length(page) - 86400) < 5
    page.go_back()
    page.wait_for_timeout(500)
    assert abs(length(page) - 43200) < 5
    page.reload()
    expect(page.locator("canvas")).to_be_visible()
    assert abs(length(page) - 43200) < 5
    press(page, "Reset zoom")
    assert abs(length(page) - 86400) < 5
    expect(later).not_to_have_class(re.compile("marked"))


def test_dragging_selects(page: Page) -> None:
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
    with page.expect_response(re.compile("/api/history/")):
        page.mouse.up()
    page.wait_for_timeout(100)
    assert abs(length(page) - 21600) < 600


def test_a_finger_selects_sideways(house: LivingHouse, open_page: OpenPage) -> None:
    page = open_page(
        f"{house.url}/device/kitchen",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    over = page.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    assert over.evaluate("e => getComputedStyle(e).touchAction") == "pan-y"
    y = box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    places = [box["x"] + box["width"] * part for part in (0.25, 0.3, 0.4, 0.5)]
    for kind, x in zip(("Start", "Move", "Move", "Move"), places, strict=True):
        session.send(
            "Input.dispatchTouchEvent",
            {"type": f"touch{kind}", "touchPoints": [{"x": x, "y": y}]},
        )
    with page.expect_response(re.compile("/api/history/")):
        session.send(
            "Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []}
        )
    page.wait_for_timeout(100)
    assert abs(length(page) - 21600) < 1500


def test_the_cursor_tells_the_gap_and_both_times(page: Page) -> None:
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.42, middle)
    cursor = page.locator(".cursor")
    expect(cursor).to_have_text(re.compile(r"no data .*\d\d:\d\d to .*\d\d:\d\d"))
    page.mouse.move(box["x"] + box["width"] * 0.7, middle)
    expect(cursor).to_have_text(re.compile(r"^[\d.]+ W, .* \(.* here\)$"))


def test_it_grows_at_the_right_edge(page: Page, house: LivingHouse) -> None:
    before = span(page)
    page.wait_for_timeout(1100)
    house.tell("kitchen", "power", 500.0)
    page.wait_for_timeout(1500)
    after = span(page)
    assert after[1] > before[1]
    assert abs(length(page) - 86400) < 5


def test_another_series_is_drawn_as_steps(page: Page) -> None:
    choice = history(page).get_by_role("combobox", name="Series")
    assert choice.locator("option").first.inner_text() == "Power"
    with page.expect_response(re.compile("/api/history/kitchen/relay")):
        choice.select_option("Relay")
    expect(page.locator("canvas")).to_have_accessible_name(
        re.compile("Relay of kitchen, day: latest (on|off)")
    )
    assert "series=kitchen" in page.url


def test_the_points_are_a_table_too(page: Page) -> None:
    history(page).get_by_text("Data table").click()
    rows = history(page).locator("tbody tr")
    assert rows.count() > 100
    expect(rows.first).to_contain_text(" W")
    silent = rows.filter(has_text="no data").count()
    length_h = (AWAY[0] - AWAY[1]) - 1 / 60
    assert abs(silent - length_h * 12) < 3


def test_a_text_is_drawn_and_told_as_it_was_over_time(
    house: LivingHouse, open_page: OpenPage
) -> None:
    page = open_page(f"{house.url}/device/meter?series=meter/program")
    canvas = history(page).locator("canvas")
    latest = re.compile("Program of meter, day: latest (auto|eco|boost)$")
    expect(canvas).to_have_accessible_name(latest)
    assert canvas.evaluate(LIT) > 2000
    history(page).get_by_text("Data table").click()
    rows = history(page).locator("tbody tr").all_inner_texts()
    assert 12 <= len(rows) <= 18
    # The third gap is that from the written past to the gateway's start.
    assert sum("no data" in row for row in rows) in (2, 3)
    assert {row.split()[-1] for row in rows} == {*MODES, "data"}
    shares = page.get_by_role("region", name="Statistics")
    expect(shares).to_contain_text(re.compile(r"no data\s*2 h 2\d min"))
    before = span(page)
    house.tell("meter", "program", "a thorough rinse")
    page.wait_for_timeout(1500)
    assert span(page)[1] > before[1]
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    expect(page.locator(".cursor")).to_have_text(re.compile("a thorough rinse, "))
    house.tell("meter", "program", "eco")


def test_energy_is_bars_with_its_gaps_and_resets(
    house: LivingHouse, open_page: OpenPage
) -> None:
    page = open_page(f"{house.url}/device/meter")
    canvas = history(page).locator("canvas")
    expect(canvas).to_have_accessible_name(
        re.compile(r"^Energy of meter, day: 7\.\d+ kWh in all$")
    )
    assert canvas.evaluate(LIT) > 20_000
    history(page).get_by_text("Data table").click()
    table = history(page).locator("tbody")
    expect(table).to_contain_text("0.3 kWh")
    assert table.get_by_text("while nothing was heard").count() == 2
    assert table.get_by_text("the counter began anew").count() == 1
    over = page.locator(".u-over").bounding_box()
    assert over is not None
    middle = over["y"] + over["height"] / 2
    cursor = page.locator(".cursor")
    page.mouse.move(over["x"] + over["width"] * (1 - 6.5 / 24), middle)
    expect(cursor).to_have_text(re.compile("kWh .* to .*, the counter began anew"))
    with page.expect_response(re.compile("range=month|/api/history/")):
        page.get_by_role("radio", name="Month").check(force=True)
    page.wait_for_timeout(100)
    page.mouse.move(over["x"] + over["width"] / 3, middle)
    expect(cursor).to_have_text(re.compile(r"^no data \d+ .* to 2\d "))


def test_what_was_is_readable_without_scripts(
    house: LivingHouse, open_page: OpenPage
) -> None:
    page = open_page(f"{house.url}/device/meter", java_script_enabled=False)
    region = history(page)
    region.get_by_role("link", name="Program").click()
    expect(page.locator("figcaption")).to_contain_text("Program of meter, day: latest")
    expect(page.locator(".plot")).to_be_hidden()
    region.get_by_role("link", name="Hour").click()
    expect(page.locator("figcaption")).to_contain_text("Program of meter, hour: latest")
    region.get_by_text("Data table").click()
    row = region.locator("tbody tr").first
    expect(row).to_have_text(re.compile(r"\d\d:\d\d:\d\d.*(auto|eco|boost)"))


def test_a_window_is_open_or_closed_in_its_history_too(
    house: LivingHouse, open_page: OpenPage
) -> None:
    page = open_page(f"{house.url}/device/everything?series=everything/window")
    expect(page.locator("canvas")).to_have_accessible_name(
        re.compile("Window of everything, day: latest (open|closed)$")
    )
    over = page.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    expect(page.locator(".cursor")).to_have_text(re.compile("^(open|closed), "))


def test_events_stand_below_each_other(house: LivingHouse, open_page: OpenPage) -> None:
    page = open_page(f"{house.url}/device/everything")
    events = page.get_by_role("region", name="Events").get_by_role("listitem")
    first, second = (events.nth(i).bounding_box() for i in range(2))
    assert first is not None
    assert second is not None
    assert second["y"] >= first["y"] + first["height"]


def test_the_other_regions_say_who_it_is_and_what_happened(page: Page) -> None:
    assert page.title() == "kitchen · structiot"
    for name in ("Now", "History", "Statistics", "Events", "Details"):
        expect(page.get_by_role("region", name=name)).to_be_visible()
    details = page.get_by_role("region", name="Details")
    expect(details).to_contain_text("Serial number")
    details.get_by_text("Topics").click()
    expect(details).to_contain_text("structiot/kitchen/+/state")
    details.get_by_text("Raw data").click()
    expect(details.get_by_role("link", name="Power as CSV")).to_be_visible()
