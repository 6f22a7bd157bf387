"""The token: who has it is let in, who guesses is not, and nothing shows it."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot.dashboard import open_dashboard
from structiot.errors import ConfigError
from structiot.gateway.config import DashboardSection
from tests.dashboard.house import device, house

pytestmark = pytest.mark.virtual_time

TOKEN = "correct horse b\u00e4ttery"
PAGES = ("/", "/device/desk", "/gateway", "/nothing")
PROGRAMS = ("/api/session", "/api/history/desk/power", "/api/x", "/events", "/metrics")


async def test_without_the_token_nothing_is_said(environment):
    desk = device("desk")
    async with house(environment, desk, token=TOKEN) as home:
        desk.tell_state("power", 77.7)
        await anyio.sleep(1)
        for target in PAGES:
            answer = await home.browser.get(target)
            assert (answer.status, answer.headers["location"]) == (303, "/login")
            assert answer.body == b""
        for target in PROGRAMS:
            answer = await home.browser.get(target)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert b"77.7" not in answer.body
        posted = await home.browser.post("/api/set/desk/relay", {"value": True})
        login = await home.browser.get("/login")
        for target in ("/healthz", "/readyz", "/favicon.ico"):
            assert (await home.browser.get(target)).status == 200
    assert posted.status == 401
    assert desk.commands == []
    assert login.status == 200
    assert "Token" in login.text
    assert "desk" not in login.text


async def test_who_signs_in_stays_signed_in(environment, tmp_path):
    file, desk = tmp_path / "state.json", device("desk")
    async with house(environment, desk, token=TOKEN, state_file=file) as home:
        browser = home.browser
        answer = await browser.sign_in(TOKEN)
        assert (answer.status, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        for target in ("/", "/device/desk", "/gateway", "/metrics"):
            assert (await browser.get(target)).status == 200
        assert (await browser.get("/login")).headers["location"] == "/"
        assert (await browser.get("/api/session")).status == 204
        assert (await browser.set("desk/relay", True)).status == 200
        async with browser.stream() as stream:
            assert (await stream.event()).kind == "snapshot"
        kept, value = browser.headers, str(browser.headers["Cookie"]).partition("=")[2]
    async with house(environment, token=TOKEN, state_file=file) as home:
        name = f"structiot_{home.port}"
        again = await home.browser.get("/", Cookie=f"a=b; {name}={value}; c=d")
        other = f"{value[:-5]}{'1' if value[-5] == '0' else '0'}{value[-4:]}"
        bad = await home.browser.get("/", Cookie=f"{name}={other}")
    async with house(environment, token="another", state_file=file) as home:
        name = f"structiot_{home.port}"
        over = await home.browser.get("/", Cookie=f"{name}={value}")
    assert kept
    assert (again.status, bad.status, over.status) == (200, 303, 303)


async def test_each_session_has_form_tokens_of_its_own(environment):
    async with house(environment, device("desk"), token=TOKEN) as home:
        one, other = home.new_browser(), home.new_browser()
        tokens = []
        for browser in (one, other):
            await browser.sign_in(TOKEN)
            answer = await browser.get("/api/session")
            tokens.append(answer.headers["x-csrf-token"])
        stolen = await one.set("desk/relay", True, X_CSRF_Token=tokens[1])
        out = await one.ask("POST", "/logout", {"Origin": f"http://{one.place}"})
    assert tokens[0] != tokens[1]
    assert stolen.status == 403
    assert "Max-Age=0" in out.headers["set-cookie"]


async def test_a_program_shows_the_token_itself(environment):
    desk = device("desk")
    async with house(environment, desk, token=TOKEN) as home:
        shown = f"Bearer {TOKEN}".encode().decode("latin-1")
        browser = home.new_browser(Authorization=shown)
        for target in ("/", "/metrics", "/api/history/desk/power"):
            assert (await browser.get(target)).status in (200, 404)
        posted = await browser.post("/api/set/desk/relay", {"value": True})
        foreign = await browser.post(
            "/api/set/desk/relay", {"value": True}, Origin="http://evil.example"
        )
        query = await home.browser.get(f"/?token={TOKEN.replace(' ', '+')[:7]}")
        basic = await home.browser.get("/", Authorization="Basic abc")
    assert (posted.status, foreign.status) == (200, 403)
    assert desk.commands == [("relay", True)]
    assert (query.status, basic.status) == (303, 303)


async def test_five_wrong_tokens_a_minute_and_none_is_looked_at(environment):
    async with house(environment, token=TOKEN) as home:
        browser = home.browser
        for count in range(5):
            if count % 2:
                answer = await browser.get("/metrics", Authorization="Bearer wrong")
            else:
                answer = await browser.sign_in("wrong")
            assert answer.status == 401
        assert (await browser.sign_in("wrong")).status == 429
        right = await browser.sign_in(TOKEN)
        assert right.status == 429
        assert 0 < int(right.headers["retry-after"]) <= 60
        program = await browser.get("/metrics", Authorization=f"Bearer {TOKEN}")
        assert program.status == 429
        assert (await browser.get("/login")).status == 200
        await anyio.sleep(61)
        assert (await browser.sign_in(TOKEN)).status == 303


async def test_nobody_elses_form_signs_in(environment):
    async with house(environment, token=TOKEN) as home:
        for origin in ("null", "http://evil.example"):
            assert (await home.browser.sign_in(TOKEN, Origin=origin)).status == 403
        assert (await home.browser.sign_in(TOKEN, Origin=None)).status == 303


async def test_signing_in_leads_to_no_foreign_page(environment):
    async with house(environment, token=TOKEN) as home:
        for where in ("//evil.example", "/\\evil", "http://a", "/a\r\nb", "/a;b=c"):
            body = f"token={TOKEN.replace(' ', '+')}&next={where}".encode()
            answer = await home.browser.ask("POST", "/login", body=body)
            assert (answer.status, answer.headers["location"]) == (303, "/")
        asked = await home.browser.get("/device/desk?range=hour")
        cookie = asked.headers["set-cookie"].partition(";")[0]
        form = await home.browser.get("/login", Cookie=cookie)
    assert "/device/desk?range=hour" in form.text


async def test_where_no_token_is_needed_there_is_nothing_to_sign_in_to(environment):
    async with house(environment) as home:
        for answer in (
            await home.browser.get("/login"),
            await home.browser.sign_in(""),
        ):
            assert (answer.status, answer.headers["location"]) == (303, "/")
            assert "set-cookie" not in answer.headers


async def test_the_token_is_in_no_page_and_no_log(environment, caplog):
    caplog.set_level(logging.DEBUG)
    async with house(environment, device("desk"), token=TOKEN) as home:
        await home.browser.sign_in("a wrong one")
        await home.browser.sign_in(TOKEN)
        for target in (*PAGES, "/metrics", "/api/session"):
            answer = await home.browser.get(target)
            assert TOKEN not in answer.text
            assert TOKEN not in str(answer.headers)
    assert TOKEN not in caplog.text
    assert "a wrong one" not in caplog.text


@pytest.mark.parametrize("token", [None, ""])
async def test_others_are_not_let_near_without_a_token(environment, token):
    async with house(environment) as home:
        options = {} if token is None else {"token": token}
        section = DashboardSection(listen=("http://0.0.0.0:0",), **options)
        with pytest.raises(ConfigError, match=r"listen in \[dashboard\]: others"):
            async with open_dashboard(home.gateway, section, environment=environment):
                pytest.fail("it is open to everybody")
