"""What holds for each page, in both themes and at three widths."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, audit
from tests.browser.house import LivingHouse

WIDTHS = (320, 390, 1280)
PATHS = ("/", "/device/kitchen", "/device/everything", "/gateway", "/device/nothing")


@pytest.fixture(scope="module")
def troubled_house(shared_house: LivingHouse) -> LivingHouse:
    """The shared house with something away, so that such looks are audited, too."""
    shared_house.leave("alarm", "it does not answer")
    shared_house.devices["hall"].stale_s = 0.0
    return shared_house


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PATHS)
def test_no_serious_finding_and_no_sideways_scrolling(
    troubled_house: LivingHouse,
    open_page: OpenPage,
    axe_source: str,
    *,
    path: str,
    width: int,
    scheme: str,
) -> None:
    page = open_page(
        f"{troubled_house.url}{path}",
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        has_touch=width < 1000,
        is_mobile=width < 1000,
    )
    if path == "/device/nothing":
        expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    else:
        expect(page.locator("body")).to_have_attribute("data-connection", "live")
    if path.startswith("/device/k"):
        expect(page.locator("canvas")).to_have_role("img")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    audit(page, axe_source)
    if width < 1000:
        small = page.evaluate(
            """() => [...document.querySelectorAll(
                'main a, button, select, input:not([type=hidden]), nav a, summary')]
                .filter((e) => e.checkVisibility() && !e.closest('dialog, .uplot'))
                .map((e) => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
                .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
                .map(([text, box]) => `${text} ${box.width}x${box.height}`)"""
        )
        assert small == []


def test_the_gateway_s_page_has_all_regions_and_nested_tasks(
    troubled_house: LivingHouse, open_page: OpenPage
) -> None:
    page = open_page(f"{troubled_house.url}/gateway")
    assert page.title() == "Gateway · structiot"
    for name in ("Tasks", "Links", "Budgets", "Mailboxes", "History store"):
        expect(page.get_by_role("region", name=name)).to_be_visible()
    tasks = page.get_by_role("region", name="Tasks")
    tasks.locator("summary").filter(has_text=re.compile("^toy")).click()
    kitchen = tasks.locator("details li").filter(has_text=re.compile("^kitchen"))
    expect(kitchen).to_be_visible()
    expect(tasks).to_contain_text("it does not answer")


def test_zoom_is_not_forbidden_and_text_can_be_twice_as_large(
    troubled_house: LivingHouse, open_page: OpenPage
) -> None:
    page = open_page(troubled_house.url, viewport={"width": 640, "height": 900})
    viewport = page.locator('meta[name="viewport"]').get_attribute("content") or ""
    assert "maximum-scale" not in viewport
    assert "user-scalable" not in viewport
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
