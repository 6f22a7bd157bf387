"""Chromium at a real page; `nox -s browser` brings Playwright and axe-core.

`STRUCTIOT_CHROMIUM` names the browser, `STRUCTIOT_AXE` the file `axe.min.js`, and
`STRUCTIOT_BACKEND` the one that the gateway runs on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.browser.house import LivingHouse, living_house, one_of_each

CHROMIUM = os.environ.get("STRUCTIOT_CHROMIUM", "/usr/bin/chromium")
PATIENCE_MS = 5000
# What a test provokes, and a browser says of it by itself.
EXPECTED = ("Failed to load resource", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE")

AUDIT = """async () => {
    const { violations } = await axe.run({ resultTypes: ['violations'] });
    return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
        .map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`);
}"""

OpenPage: TypeAlias = Callable[..., Page]


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """Say nothing of threads: the house's own come and go while a test looks at it."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe_source() -> str:
    return Path(os.environ["STRUCTIOT_AXE"]).read_text("utf-8")


@pytest.fixture(scope="module")
def shared_house() -> Iterator[LivingHouse]:
    """A house that tests only look at."""
    with living_house(*one_of_each(), places=PLACES) as found:
        yield found


PLACES = {
    "kitchen": {"room": "Kitchen", "entities": {"relay": {"confirm": True}}},
    "hall": {"room": "Hall"},
}


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Open pages; a message on the console or an error in a script fails the test."""
    complaints: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def open_one(url: str, **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 900}} | options
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    real = [one for one in complaints if not any(part in one for part in EXPECTED)]
    assert real == []


def audit(page: Page, axe_source: str) -> None:
    """See that axe finds nothing serious on a page."""
    page.evaluate(axe_source)
    assert page.evaluate(AUDIT) == []
