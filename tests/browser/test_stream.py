"""When a page opens its stream anew: by the clock of a browser that the test holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.house import LivingHouse, living_house, made

HIDE = """(isHidden) => {
    Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""
COUNT = """() => {
    window.opened = 0;
    const before = window.EventSource;
    window.EventSource = class extends before {
        constructor(url) { super(url); window.opened += 1; window.latest = this; }
    };
}"""


@pytest.fixture(scope="module")
def house() -> Iterator[LivingHouse]:
    with living_house(made("plug")) as found:
        yield found


@pytest.fixture
def page(house: LivingHouse, open_page: OpenPage) -> Page:
    found = open_page("about:blank")
    found.clock.install()
    found.add_init_script(f"({COUNT})()")
    found.goto(house.url)
    expect(connection(found)).to_have_text("Live")
    return found


def connection(page: Page) -> Locator:
    return page.get_by_role("status", name="Connection")


def opened(page: Page) -> int:
    return int(page.evaluate("opened"))


def test_after_25_s_of_silence_it_is_opened_anew(page: Page) -> None:
    assert opened(page) == 1
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 24"))
    assert opened(page) == 1
    expect(connection(page)).to_have_text("Live")
    page.clock.run_for(1500)
    expect(connection(page)).to_have_text("Reconnecting")
    page.clock.run_for(1500)
    page.clock.resume()
    expect(connection(page)).to_have_text("Live")
    assert opened(page) == 2


def test_back_on_the_net_it_is_doubted_after_12_s(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('online'))")
    assert opened(page) == 1
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 13"))
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.resume()
    expect(connection(page)).to_have_text("Live")
    assert opened(page) == 2


def test_a_hidden_tab_gives_its_stream_back_after_60_s(page: Page) -> None:
    page.evaluate(HIDE, True)
    page.evaluate("latest.dispatchEvent(new MessageEvent('ping', { data: '{}' }))")
    page.clock.run_for(5000)
    assert page.evaluate("latest.readyState") != 2
    for _ in range(6):
        page.clock.run_for(10_000)
        page.evaluate("latest.dispatchEvent(new MessageEvent('ping', { data: '{}' }))")
    assert page.evaluate("latest.readyState") == 2
    assert opened(page) == 1
    page.evaluate(HIDE, False)
    page.clock.resume()
    expect(connection(page)).to_have_text("Live")
    assert opened(page) == 2


def test_an_answer_that_is_no_stream_ends_nothing_for_ever(
    house: LivingHouse, open_page: OpenPage
) -> None:
    page = open_page("about:blank")
    answers = [502, 503]

    def answer(route: Route) -> None:
        if answers:
            route.fulfill(status=answers.pop(0), body="a proxy's")
        else:
            route.continue_()

    page.route("**/events**", answer)
    page.goto(house.url)
    expect(connection(page)).to_have_text("Live", timeout=15_000)
    assert answers == []


def test_a_token_of_the_page_that_is_old_is_renewed_once(
    page: Page, house: LivingHouse
) -> None:
    page.clock.resume()
    meta = page.locator('meta[name="csrf-token"]')
    meta.evaluate("e => e.content = 'old'")
    page.get_by_role("switch", name="plug Relay").click()
    expect(page.get_by_role("switch", name="plug Relay")).to_be_checked()
    assert meta.get_attribute("content") != "old"
