"""Whose page asks: by the host that it asked for, and what its browser says of it."""

from __future__ import annotations

import pytest

from tests.dashboard.house import device, house

pytestmark = pytest.mark.virtual_time

EVERYWHERE = ("/", "/events", "/assets/page.css", "/api/session", "/login", "/metrics")


STRANGERS = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:8321",
    "localhost.",
    "user@localhost",
    "localhost/",
    "localhost#",
    "localhost evil.example",
    "localhost:",
    "localhost:x",
    "0.0.0.0",
    "127.0.0.2",
    "[::1]",
    "[::1",
    "lo\xe9",
    "",
]


async def test_a_host_that_is_not_ours_is_asked_for_in_vain(environment):
    async with house(environment) as home:
        for host in STRANGERS:
            for target in EVERYWHERE:
                answer = await home.browser.get(target, Host=host)
                assert (host, target, answer.status) == (host, target, 421)
                assert b"csrf" not in answer.body
        for target in ("/healthz", "/readyz"):
            assert (await home.browser.get(target, Host=host)).status == 200
        posted = await home.browser.post("/api/set/a/b", Host=host)
    assert posted.status == 421


async def test_our_names_are_ours_at_any_port(environment):
    async with house(environment, hosts=["House.example"]) as home:
        for host in (
            "localhost",
            "LOCALHOST:8321",
            "127.0.0.1",
            "127.0.0.1:1",
            "house.example:443",
        ):
            assert (await home.browser.get("/", Host=host)).status == 200


async def test_another_site_may_lead_here_and_not_read(environment):
    async with house(environment) as home:
        ask = home.browser.get
        for mode in ("navigate", "no-cors", "cors", None):
            status = 200 if mode == "navigate" else 403
            for target in ("/", "/gateway", "/favicon.ico"):
                site = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": mode}
                assert (await ask(target, **site)).status == status
        health = await ask("/healthz", Sec_Fetch_Site="cross-site")
        own = await ask("/", Sec_Fetch_Site="same-origin")
    assert (health.status, own.status) == (200, 200)


async def test_a_write_comes_from_our_page_with_its_token(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        browser, ours = home.browser, f"http://{home.browser.place}"
        for origin in (
            "null",
            "http://evil.example",
            f"https://{browser.place}",
            "http://127.0.0.1:1",
            "http://localhost",
            ours + "/",
            ours + ".evil.example",
            "",
        ):
            answer = await browser.set("desk/relay", True, Origin=origin)
            assert answer.status == 403, origin
        for site in ("cross-site", "same-site"):
            answer = await browser.set("desk/relay", True, Sec_Fetch_Site=site)
            assert answer.status == 403
        for token in ("", "x", "0" * 64, "\xe9"):
            answer = await browser.set("desk/relay", True, X_CSRF_Token=token)
            assert answer.status == 403
            answer = await browser.set(
                "desk/relay", True, X_CSRF_Token=token, Origin=ours
            )
            assert answer.status == 403
        assert desk.commands == []
        for headers in ({"Origin": ours}, {"Origin": None}, {"Origin": ours.upper()}):
            assert (await browser.set("desk/relay", True, **headers)).status == 200
    assert desk.commands == [("relay", True)] * 3


async def test_behind_a_proxy_with_tls_the_page_is_that_of_a_listed_host(environment):
    desk = device("desk")
    async with house(environment, desk, hosts=["house.example"]) as home:
        for origin, status in (
            ("https://house.example", 200),
            ("http://house.example", 200),
            ("https://house.example:8443", 403),
            ("https://evil.example", 403),
        ):
            browser = home.new_browser(Host="house.example")
            answer = await browser.set("desk/relay", True, Origin=origin)
            assert answer.status == status, origin


async def test_a_write_is_json(environment):
    form = "application/x-www-form-urlencoded"
    async with house(environment, device("desk")) as home:
        for kind in ("text/plain", form, "", None, "json"):
            answer = await home.browser.set("desk/relay", True, Content_Type=kind)
            assert answer.status == 415
        fine = await home.browser.set(
            "desk/relay", True, Content_Type="Application/JSON; charset=utf-8"
        )
    assert fine.status == 200


async def test_the_token_of_a_page_outlives_a_restart(environment, tmp_path):
    file = tmp_path / "state.json"
    tokens = []
    for _ in range(2):
        async with house(environment, state_file=file) as home:
            answer = await home.browser.get("/api/session")
            tokens.append(answer.headers["x-csrf-token"])
            assert f'content="{tokens[-1]}"' in (await home.browser.get("/")).text
    async with house(environment) as home:
        other = (await home.browser.get("/api/session")).headers["x-csrf-token"]
    assert tokens[0] == tokens[1] != other
