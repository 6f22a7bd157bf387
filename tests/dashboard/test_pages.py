"""The pages as the server sends them: what they have in them before any script runs."""

from __future__ import annotations

import re

import anyio
import pytest

from structiot.model import Availability, Sensor, Switch
from tests.dashboard.house import EVERYTHING, device, house
from tests.gateway.support import AT

pytestmark = pytest.mark.virtual_time


def headings(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]+)</h2>", page)


def cards(page: str) -> list[str]:
    return re.findall(r'<article[^>]* data-device="([^"]+)"', page)


async def test_cards_are_under_rooms_and_the_rest_under_systems_by_name(environment):
    rooms = {"zoe": {"room": "attic"}, "bob": {"room": "Bath"}, "amy": {"room": "Bath"}}
    names = ("zoe", "carl", "bob", "amy", "adam")
    async with house(
        environment, *map(device, names), sections={"devices": rooms}
    ) as home:
        page = (await home.browser.get("/")).text
    assert headings(page) == ["attic", "Bath", "toy"]
    assert cards(page) == ["zoe", "amy", "bob", "adam", "carl"]
    assert "<title>structiot</title>" in page


async def test_trouble_is_counted_and_is_a_filter(environment):
    devices = [device(name) for name in ("away", "old", "well")]
    async with house(environment, *devices) as home:
        for one in devices:
            one.tell_state("power", 1.0)
        devices[0].tell(Availability(is_available=False, at_utc=AT, reason="no mains"))
        for _ in range(8):
            await anyio.sleep(5)
            devices[2].tell_state("power", 1.0)
        page = (await home.browser.get("/")).text
        shown = {
            show: cards((await home.browser.get(f"/?show={show}")).text)
            for show in ("away", "stale", "nonsense")
        }
        healthy = (await home.browser.get("/device/well")).text
    assert "1 away" in page
    assert "1 stale" in page
    assert "no mains" in page
    assert cards(page) == ["away", "old", "well"]
    assert shown == {"away": ["away"], "stale": ["old"], "nonsense": cards(page)}
    assert "no mains" not in healthy


async def test_values_are_in_the_first_html(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.tell_state("power", 12.34)
        desk.tell_state("relay", True)
        await anyio.sleep(1)
        page = (await home.browser.get("/")).text
        async with home.browser.stream() as stream:
            told = (await stream.event()).data["desk/power"]
    value = re.search(
        r'<data class="value" value="([^"]+)" data-key="desk/power" '
        r'data-state="live" data-at="(\d+)">([^<]+)</data>',
        page,
    )
    assert value is not None
    assert (float(value[1]), value[3]) == (told["value"], told["text"])
    assert value[2] == str(int(told["at"]))
    assert re.search(
        r'role="switch" aria-checked="true"[^>]*data-key="desk/relay"', page
    )


async def test_what_few_want_to_see_is_on_the_device_page_only(environment):
    odd = Switch(key="odd", name="Odd", is_enabled=False)
    one = device("all", (*EVERYTHING, odd))
    async with house(environment, one) as home:
        index = (await home.browser.get("/")).text
        page = (await home.browser.get("/device/all")).text
    for key in ("signal", "odd"):
        assert f'data-key="all/{key}"' not in index
        assert f'data-key="all/{key}"' in page
    assert headings(page) == ["Now", "History", "Statistics", "Events", "Details"]
    assert "<title>all · structiot</title>" in page
    assert "structiot/all/availability" in page


async def test_the_last_value_of_what_is_away_is_on_its_own_page(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.tell_state("power", 12.3)
        desk.tell(Availability(is_available=False, at_utc=AT, reason="no mains"))
        await anyio.sleep(1)
        index = (await home.browser.get("/")).text
        page = (await home.browser.get("/device/desk")).text
    assert "12.3 W" not in index
    assert "12.3 W" in page
    assert 'data-state="unavailable"' in index


async def test_care_is_taken_of_what_is_configured_and_of_locks(environment):
    confirm = {
        "desk": {"confirm": True, "entities": {"power": {"confirm": False}}},
        "all": {"entities": {"main": {"confirm": True}}},
    }
    one, desk = device("all", EVERYTHING), device("desk")
    async with house(environment, one, desk, sections={"devices": confirm}) as home:
        page = (await home.browser.get("/")).text
    careful = {
        found[1]
        for found in re.finditer(r'<[^>]*data-key="([^"]+)"[^>]*>', page)
        if "data-confirm" in found[0]
    }
    assert {"desk/relay", "all/main", "all/door"} <= careful
    assert "all/lamp" not in careful


async def test_names_are_text(environment):
    bad = "<img src=x onerror=alert(1)>\"'&"
    entities = (Switch(key="relay", name=bad), Sensor(key="text", name="Text"))
    one = device("desk", entities)
    rooms = {"desk": {"room": bad}}
    async with house(environment, one, sections={"devices": rooms}) as home:
        one.tell_state("text", bad)
        one.tell(Availability(is_available=False, at_utc=AT, reason=bad))
        await anyio.sleep(1)
        for target in ("/", "/device/desk", "/gateway", f"/{bad.replace(' ', '%20')}"):
            page = (await home.browser.get(target)).text
            assert "<img" not in page


async def test_the_gateway_page_shows_what_runs(environment):
    async with house(environment, device("desk")) as home:
        page = (await home.browser.get("/gateway")).text
    assert headings(page) == ["Tasks", "Links", "Budgets", "Mailboxes", "History store"]
    assert "<title>Gateway · structiot</title>" in page
    assert "desk" in page


async def test_what_is_ready_and_what_is_not(environment):
    uri = "mqtt://127.0.0.1:9/"
    async with house(environment, sections={"mqtt": {"uri": uri}}) as home:
        health = await home.browser.get("/healthz")
        ready = await home.browser.get("/readyz")
        metrics = await home.browser.get("/metrics")
    assert (health.status, health.text) == (200, "ok\n")
    assert (ready.status, ready.text) == (503, "broker\n")
    assert "structiot_broker_connected 0" in metrics.text
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_sixty_devices_are_a_page_without_holding_the_loop(
    environment, watched_loop
):
    async with house(environment) as home:
        for number in range(60):
            home.add(device(f"plug_{number:03}", EVERYTHING))
        await home.until("plug_059")
        async with watched_loop(0.05):
            page = await home.browser.get("/", Accept_Encoding="gzip")
    assert len(cards(page.text)) == 60
