"""The first page in a browser: cards, search, connection, theme, keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from structiot.model import Switch
from tests.browser.conftest import PLACES, OpenPage
from tests.browser.house import LivingHouse, living_house, made, one_of_each

EVIL = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def house() -> Iterator[LivingHouse]:
    evil = made("evil", Switch(key="relay", name=EVIL))
    evil.info = replace(evil.info, model=EVIL)
    with living_house(*one_of_each(), evil, places=PLACES) as found:
        yield found


@pytest.fixture
def page(house: LivingHouse, open_page: OpenPage) -> Page:
    found = open_page(house.url)
    expect(found.get_by_role("status", name="Connection")).to_have_text("Live")
    return found


def names(page: Page) -> list[str]:
    return page.locator("article h3:visible").all_inner_texts()


def test_the_first_answer_has_all_values_and_scripts_change_none(
    house: LivingHouse, page: Page, open_page: OpenPage
) -> None:
    without = open_page(house.url, java_script_enabled=False)

    def values(one: Page) -> list[str]:
        return one.locator("data.value, .word").all_inner_texts()

    assert values(without) == values(page)
    assert "12.3 W" in values(page)
    # Playwright's Chromium runs no script then, and yet shows no noscript either.
    assert "need JavaScript" in (without.locator("noscript").text_content() or "")
    expect(without.get_by_role("radiogroup")).to_have_count(0)


def test_devices_are_articles_in_regions_of_rooms(page: Page) -> None:
    assert page.title() == "structiot"
    for landmark in ("banner", "navigation", "search", "main"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    room = page.get_by_role("region", name="Kitchen")
    card = room.get_by_role("article", name="kitchen")
    assert card.get_attribute("data-device") == "kitchen"
    assert card.get_attribute("data-system") == "toy"
    value = card.locator("data.value")
    assert value.get_attribute("value") == "12.3"
    assert value.get_attribute("data-key") == "kitchen/power"
    assert value.get_attribute("data-state") == "live"
    card.get_by_role("link", name="kitchen").click()
    expect(page).to_have_title("kitchen · structiot")
    page.go_back()
    expect(page).to_have_title("structiot")


def test_a_value_is_renewed_and_its_states_are_told_in_words(
    page: Page, house: LivingHouse
) -> None:
    value = page.locator('data[data-key="kitchen/power"]')
    house.tell("kitchen", "power", 1240.0)
    expect(value).to_have_text("1.24 kW")
    assert value.get_attribute("value") == "1240"
    house.devices["kitchen"].stale_s = 0.5
    expect(value).to_have_attribute("data-state", "stale")
    card = page.get_by_role("article", name="kitchen")
    expect(card.locator(".age").first).to_have_text(re.compile(r"\d+ s ago"))
    house.devices["kitchen"].stale_s = 3600.0
    house.tell("kitchen", "power", 12.3)
    expect(value).to_have_attribute("data-state", "live")
    expect(value).to_have_text("12.3 W")
    expect(card.locator(".age")).to_have_count(0)
    house.happen("everything", "bell", "ring")
    bell = page.locator('data[data-key="everything/bell"]')
    expect(bell).to_have_text("ring")
    expect(bell.locator("+ .age")).to_have_text(re.compile(r"\d+ s ago"))
    unknown = page.locator('data[data-state="unknown"]').first
    assert unknown.get_attribute("aria-label") == "unknown"


def test_names_are_text_wherever_they_come_from(page: Page) -> None:
    card = page.get_by_role("article", name="evil")
    expect(card.locator(".about")).to_have_text(f"Toys {EVIL}")
    expect(card.get_by_role("switch", name=f"evil {EVIL}")).to_be_visible()
    page.goto(page.url + "device/evil")
    expect(page.get_by_role("switch", name=f"evil {EVIL}")).to_be_visible()
    expect(page.get_by_role("region", name="Details")).to_contain_text(EVIL)
    assert page.locator("main img").count() == 0
    assert page.title() == "evil · structiot"


def test_a_search_hides_what_has_not_all_words_and_stays_on_the_way_back(
    page: Page,
) -> None:
    total = len(names(page))
    page.keyboard.press("/")
    box = page.get_by_role("searchbox", name="Search devices")
    expect(box).to_be_focused()
    page.keyboard.type("KITCHEN toys")
    assert names(page) == ["kitchen"]
    results = page.get_by_role("status", name="Results")
    expect(results).to_have_text(f"1 of {total} devices")
    assert page.url.endswith("#q=KITCHEN+toys")
    page.get_by_role("link", name="kitchen").click()
    expect(page).to_have_title("kitchen · structiot")
    page.go_back()
    expect(box).to_have_value("KITCHEN toys")
    assert names(page) == ["kitchen"]
    box.press("Escape")
    assert len(names(page)) == total
    assert "#" not in page.url


def test_the_filters_on_top_lead_to_the_devices_with_trouble(
    page: Page, house: LivingHouse
) -> None:
    house.leave("valve")
    link = page.get_by_role("link", name="1 away")
    link.click()
    expect(page.locator("article")).to_have_count(1)
    assert "show=away" in page.url
    house.come_back("valve")


def test_a_restart_needs_no_reload_switches_included(
    page: Page, house: LivingHouse
) -> None:
    page.evaluate("window.isSame = true")
    house.stop_page()
    connection = page.get_by_role("status", name="Connection")
    expect(connection).to_have_text("Reconnecting")
    expect(page.locator("body")).to_have_attribute("data-connection", "reconnecting")
    value = page.locator('data[data-key="kitchen/power"]')
    expect(value).to_have_attribute("data-state", "stale")
    house.tell("kitchen", "power", 55.0)
    switch = page.get_by_role("switch", name="hall", exact=True)
    switch.click()
    alert = page.get_by_role("article", name="hall").get_by_role("alert")
    expect(alert).to_contain_text("cannot be reached")
    house.start_page()
    expect(connection).to_have_text("Live", timeout=10_000)
    expect(value).to_have_text("55.0 W")
    expect(value).to_have_attribute("data-state", "live")
    alert.get_by_role("button", name="Retry").click()
    expect(alert).to_have_count(0)
    assert page.evaluate("window.isSame") is True


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_system_s_until_one_is_chosen(
    house: LivingHouse, open_page: OpenPage, scheme: str
) -> None:
    page = open_page(house.url, color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    grounds = {"light": "rgb(246, 245, 241)", "dark": "rgb(19, 22, 27)"}
    assert page.evaluate(ground) == grounds[scheme]
    other = "dark" if scheme == "light" else "light"
    group = page.get_by_role("radiogroup", name="Theme")
    group.get_by_role("radio", name=other.capitalize()).check(force=True)
    assert page.evaluate(ground) == grounds[other]
    page.goto(f"{house.url}/gateway")
    assert page.evaluate(ground) == grounds[other]
    expect(page.get_by_role("radio", name=other.capitalize())).to_be_checked()
    page.get_by_role("radio", name="System").check(force=True)
    assert page.evaluate(ground) == grounds[scheme]


def test_everything_is_reached_by_keyboard_in_reading_order(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    seen = []
    for _ in range(120):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
                const e = document.activeElement;
                const box = e.getBoundingClientRect();
                const style = getComputedStyle(e.matches('[type=radio]') ? e.nextElementSibling : e);
                return [`${e.tagName} ${e.ariaLabel || e.textContent.trim() || e.value}`, style.outlineStyle,
                    parseFloat(style.outlineWidth), box.width];
            }"""
        )
        if found[0] in seen:
            break
        if page.evaluate("document.activeElement === document.body"):
            break
        seen.append(found[0])
        assert found[1] != "none", found
        assert found[2] >= 2, found
    wanted = [
        "A structiot",
        "A Devices",
        "A Gateway",
        "INPUT system",
        "INPUT Search devices",
        "A hall",
        "BUTTON hall",
        "INPUT hall brightness",
        "SELECT hall effect",
        "A kitchen",
        "BUTTON kitchen Relay",
    ]
    assert [one for one in seen if one in wanted] == wanted


def test_the_skip_link_leads_to_the_content_and_leaves_the_search(page: Page) -> None:
    page.get_by_role("searchbox").fill("kitchen")
    skip = page.get_by_role("link", name="Skip to content")
    skip.focus()
    skip.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    assert names(page) == ["kitchen"]


def test_one_batch_a_frame_touches_what_has_changed_alone(
    page: Page, house: LivingHouse
) -> None:
    page.evaluate(
        """() => {
            window.touched = new Set();
            new MutationObserver((all) => all.forEach(({ target }) => {
                const one = target.nodeType === 1 ? target : target.parentElement;
                if (one) touched.add(one.closest('[data-key]')?.dataset.key ?? one.className);
            })).observe(document.querySelector('main'),
                { subtree: true, childList: true, characterData: true, attributes: true });
        }"""
    )
    house.tell("kitchen", "power", 77.0)
    expect(page.locator('data[data-key="kitchen/power"]')).to_have_text("77.0 W")
    assert page.evaluate("[...touched]") == ["kitchen/power"]
