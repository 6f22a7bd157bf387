"""Switching in a browser: what is reported, wished for, refused and out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from structiot.errors import CommandRefused
from structiot.model import FanState, LightState
from tests.browser.conftest import PLACES, OpenPage
from tests.browser.house import LivingHouse, living_house, one_of_each


@pytest.fixture(scope="module")
def house() -> Iterator[LivingHouse]:
    with living_house(*one_of_each(), places=PLACES) as found:
        yield found


@pytest.fixture
def page(house: LivingHouse, open_page: OpenPage) -> Page:
    found = open_page(house.url)
    expect(found.locator("body")).to_have_attribute("data-connection", "live")
    return found


def last_command(house: LivingHouse, name: str) -> Any:
    return house.commands(name)[-1][1]


def test_a_switch_follows_the_report_and_keeps_its_name(
    page: Page, house: LivingHouse
) -> None:
    switch = page.get_by_role("switch", name="hall", exact=True)
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    expect(switch).to_have_attribute("data-state", "live")
    expect(switch).to_contain_text("off")
    expect(page.get_by_role("status", name="Messages")).to_contain_text("hall: off")
    switch.press("Space")
    expect(switch).to_be_checked()
    switch.press("Enter")
    expect(switch).not_to_be_checked()


def test_what_is_not_reported_is_pending_and_the_newest_wish_wins(
    page: Page, house: LivingHouse
) -> None:
    device = house.devices["attic"]
    device.reports = False
    device.commands.clear()
    switch = page.get_by_role("switch", name="attic", exact=True)
    switch.click()
    expect(switch).to_have_attribute("aria-busy", "true")
    expect(switch).to_have_attribute("data-state", "pending")
    expect(switch).to_be_checked()  # as reported
    switch.click()
    switch.click()
    switch.click()  # on again, in the end
    page.wait_for_timeout(300)
    assert [told.is_on for _, told in house.commands("attic")] == [False]
    device.reports = True
    house.tell("attic", "fan", FanState(is_on=False))
    expect(switch).to_be_checked()
    expect(switch).not_to_have_attribute("aria-busy", "true")
    assert [told.is_on for _, told in house.commands("attic")] == [False, True]


def test_a_refusal_is_an_alert_in_the_card_with_retry(
    page: Page, house: LivingHouse
) -> None:
    house.refuse("hall", CommandRefused("too hot <b>now</b>"))
    switch = page.get_by_role("switch", name="hall", exact=True)
    before = switch.get_attribute("aria-checked")
    switch.click()
    card = page.get_by_role("article", name="hall")
    alert = card.get_by_role("alert")
    expect(alert).to_contain_text("too hot <b>now</b>")
    expect(switch).to_have_attribute("data-state", "failed")
    expect(switch).to_have_attribute("aria-checked", before or "")
    house.refuse("hall", None)
    alert.get_by_role("button", name="Retry").click()
    expect(alert).to_have_count(0)
    expect(switch).not_to_have_attribute("aria-checked", before or "")
    expect(switch).to_have_attribute("data-state", "live")


def test_a_device_that_is_away_says_so_and_a_press_says_why(
    page: Page, house: LivingHouse
) -> None:
    house.leave("alarm", "nobody <i>answers</i>")
    switch = page.get_by_role("switch", name="alarm", exact=True)
    expect(switch).to_have_attribute("data-state", "unavailable")
    expect(switch).to_have_attribute("aria-disabled", "true")
    expect(switch).to_contain_text("unavailable")
    card = page.get_by_role("article", name="alarm")
    expect(card).to_contain_text("nobody <i>answers</i>")
    switch.focus()
    expect(switch).to_be_focused()
    switch.press("Enter")
    messages = page.get_by_role("status", name="Messages")
    expect(messages).to_contain_text("alarm is unavailable")
    expect(messages).to_contain_text("nobody <i>answers</i>")
    house.come_back("alarm")
    expect(switch).to_have_attribute("data-state", "live")
    expect(card).not_to_contain_text("nobody")


def test_what_is_confirmed_is_asked_with_cancel_focused(
    page: Page, house: LivingHouse
) -> None:
    device = house.devices["kitchen"]
    device.commands.clear()
    switch = page.get_by_role("switch", name="kitchen Relay")
    switch.click()
    dialog = page.get_by_role("dialog", name="Switch on kitchen Relay?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert device.commands == []
    switch.click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert device.commands == []
    switch.click()
    dialog.get_by_role("button", name="Switch on").click()
    expect(switch).to_be_checked()


def test_a_lock_asks_before_it_opens_and_not_before_it_locks(
    page: Page, house: LivingHouse
) -> None:
    lock = page.get_by_role("switch", name="everything Door")
    expect(lock).to_contain_text("locked")
    lock.click()
    dialog = page.get_by_role("dialog", name="Unlock everything Door?")
    dialog.get_by_role("button", name="Unlock").click()
    expect(lock).to_contain_text("unlocked")
    expect(lock).not_to_be_checked()
    lock.click()
    expect(lock).to_be_checked()
    expect(lock).to_contain_text("locked")


def test_a_slider_sends_on_release_and_is_not_moved_while_held(
    page: Page, house: LivingHouse
) -> None:
    device = house.devices["hall"]
    device.commands.clear()
    slider = page.get_by_role("slider", name="hall brightness")
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=5)
    held = slider.input_value()
    house.tell("hall", "light", LightState(is_on=True, brightness_percent=5))
    page.wait_for_timeout(600)
    assert slider.input_value() == held
    assert device.commands == []
    page.mouse.up()
    expect(slider).to_have_attribute("data-state", "live")
    assert [told.brightness_percent for _, told in house.commands("hall")] == [
        float(held)
    ]
    assert slider.get_attribute("aria-valuetext") == f"{held} %"
    slider.press("ArrowRight")
    expect(slider).to_have_value(str(int(held) + 1))


def test_each_kind_of_control_sends_what_the_topics_take(
    page: Page, house: LivingHouse
) -> None:
    page.get_by_role("combobox", name="hall effect").select_option("party")
    page.get_by_role("combobox", name="valve mode").select_option("off")
    page.get_by_role("slider", name="valve target").press("ArrowRight")
    page.get_by_role("switch", name="attic oscillation").click()
    page.get_by_role("combobox", name="box Mode").select_option("eco")
    page.get_by_role("slider", name="box Limit").press("ArrowLeft")
    blind = page.get_by_role("article", name="blind")
    blind.get_by_role("button", name="Close").click()
    expect(blind.locator("data.value")).to_contain_text("closing")
    page.get_by_role("slider", name="blind position").press("ArrowLeft")
    note = page.get_by_role("textbox", name="everything Note")
    note.fill("hello")
    note.press("Enter")
    page.get_by_role("button", name="everything Restart").click()
    page.get_by_label("hall colour", exact=True).fill("#ff0080")
    expect(page.locator('[aria-busy="true"]')).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.wait_for_timeout(300)
    assert last_command(house, "valve").target_c == 21.5
    assert last_command(house, "attic").is_oscillating is True
    assert ("mode", "eco") in house.devices["box"].commands
    assert ("limit", 3.0) in house.devices["box"].commands
    assert last_command(house, "blind") == 59
    assert ("note", "hello") in house.devices["everything"].commands
    assert ("restart", None) in house.devices["everything"].commands
    assert last_command(house, "hall").rgb == (255, 0, 128)


def test_a_secret_is_nowhere_on_the_page_and_can_be_set(
    page: Page, house: LivingHouse
) -> None:
    assert "welcome" not in (
        page.locator('[data-key="everything/pin"]').first.evaluate("e => e.outerHTML")
    )
    pin = page.get_by_label("everything Pin", exact=True)
    assert pin.get_attribute("type") == "password"
    pin.fill("4711-secret")
    pin.press("Enter")
    expect(page.get_by_role("status", name="Messages")).to_contain_text("Pin")
    expect(pin).to_have_value("")
    assert ("pin", "4711-secret") in house.devices["everything"].commands
    assert "4711-secret" not in page.content()
