"""The door: the token is asked for, and without a session the page stops."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, audit
from tests.browser.house import living_house, made

TOKEN = "a-token-of-the-page"


def test_signing_in_leads_back_and_the_page_without_a_session_stops(
    open_page: OpenPage, axe_source: str
) -> None:
    with living_house(made("plug"), token=TOKEN) as house:
        page = open_page(f"{house.url}/device/plug")
        expect(page).to_have_title("Sign in · structiot")
        audit(page, axe_source)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        audit(page, axe_source)
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_title("plug · structiot")
        connection = page.get_by_role("status", name="Connection")
        expect(connection).to_have_text("Live")
        page.context.clear_cookies()
        house.stop_page()
        expect(connection).to_have_text("Reconnecting")
        house.start_page()
        expect(connection).to_contain_text("Stopped", timeout=15_000)
        expect(connection.get_by_role("link", name="Sign in")).to_be_visible()
