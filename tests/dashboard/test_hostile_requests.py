"""Requests made to break the page: each has its answer, and nobody else notices."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import pytest

from structiot.dashboard.stream import MAX_STREAMS
from structiot.model import Sensor, Text
from tests.dashboard.browser import HOST
from tests.dashboard.house import EVERYTHING, device, house
from tests.dashboard.test_headers import check, said

pytestmark = pytest.mark.virtual_time


def kept(tmp_path: Any) -> dict[str, Any]:
    return {"history": {"path": str(tmp_path / "history.sqlite"), "commit_s": 1}}


PARTS = [
    "power.%0d%0aSet-Cookie:%20x=1",
    "power.%e2%82%ac",
    "power.%22;x=%22",
    "power.%00",
    "power.",
    "power." + "x" * 200,
]


async def test_no_value_of_an_entity_becomes_a_header_field(environment, tmp_path):
    async with house(environment, device("desk"), sections=kept(tmp_path)) as home:
        for part in PARTS:
            for ending in ("", ".csv"):
                answer = await home.browser.get(f"/api/history/desk/{part}{ending}")
                assert (part, answer.status) == (part, 404)
                check(answer.headers)
        table = await home.browser.get("/api/history/desk/power.csv")
    assert table.headers["content-disposition"] == (
        'attachment; filename="desk-power.csv"'
    )


TIMES = [
    "to=0001-01-01T00:00:00Z",
    "from=0001-01-01",
    "to=9999-12-31T23:59:59Z",
    "from=1e308",
    "from=-1e20",
    "from=nan",
    "to=0",
]


async def test_no_time_is_too_early_or_too_late_to_be_refused(environment, tmp_path):
    async with house(environment, device("desk"), sections=kept(tmp_path)) as home:
        for time in TIMES:
            for target in ("/api/history/desk/power", "/device/desk"):
                answer = await home.browser.get(f"{target}?{time}")
                assert (time, answer.status) == (time, 400)


NUMBERS = ["9" * 400, '{"brightness": 1e999}', '{"a": [1e999]}', "-" + "9" * 400]


async def test_a_number_that_is_none_is_nonsense(environment):
    async with house(environment, device("all", EVERYTHING)) as home:
        token = (await home.browser.get("/api/session")).headers["x-csrf-token"]
        headers = {"X-CSRF-Token": token, "Content-Type": "application/json"}
        for number in NUMBERS:
            body = f'{{"value": {number}}}'.encode()
            for key in ("main", "limit", "lamp"):
                target = f"/api/set/all/{key}"
                answer = await home.browser.ask("POST", target, headers, body)
                assert (number[:9], answer.status) == (number[:9], 400)


async def test_a_body_with_two_lengths_ends_its_connection(environment):
    request = (
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /gateway HTTP/1.1\r\n"
        b"Host: localhost\r\n\r\n"
    )
    async with house(environment) as home:
        status, headers = await said(home.browser, request)
    assert (status, headers["connection"]) == (400, "close")
    check(headers)


@pytest.mark.parametrize("site", ["cross-site, same-origin", "Cross-Site", "x"])
async def test_what_no_browser_says_of_a_page_is_not_taken_for_ours(environment, site):
    async with house(environment) as home:
        answer = await home.browser.get("/", Sec_Fetch_Site=site)
        linked = await home.browser.get(
            "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate"
        )
    assert (answer.status, linked.status) == (403, 200)


async def test_only_an_address_of_ipv6_has_a_zone(environment):
    async with house(environment) as home:
        for host, status in (("127.0.0.1%evil", 421), ("[::ffff:127.0.0.1]", 200)):
            answer = await home.browser.get("/", Host=host)
            assert (host, answer.status) == (host, status)


async def test_who_comes_with_many_streams_at_once_has_no_more_than_others(environment):
    async with house(environment) as home:
        heard = []

        async def hear() -> None:
            async with await environment.network.connect_tcp(HOST, home.port) as peer:
                await peer.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                text = b""
                while b"snapshot" not in text:
                    text += await peer.receive()
                heard.append(peer)
                await anyio.sleep_forever()

        async def try_to_hear() -> None:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await hear()

        async with anyio.create_task_group() as tasks:
            for _ in range(MAX_STREAMS + 60):
                tasks.start_soon(try_to_hear)
            await anyio.sleep(2)
            assert len(heard) == MAX_STREAMS
            tasks.cancel_scope.cancel()


async def test_one_address_cannot_have_all_places(environment):
    network = environment.network
    async with house(environment, device("desk")) as home, AsyncExitStack() as stack:
        for _ in range(600):
            peer = await network.connect_tcp(HOST, home.port)
            await stack.enter_async_context(peer)
        await anyio.sleep(1)
        network.host = "127.0.0.2"
        assert (await home.browser.get("/")).status == 200


NAMES = ["=cmd()", "\ud800", "\u202eabc", "a\r\nb", "x" * 500_000, "a\0b"]


async def test_names_of_entities_come_to_a_page_fit_to_be_shown(environment):
    sensors = tuple(
        Sensor(key=f"s{number}", name=name, unit=name[:5], decimals=10**9)
        for number, name in enumerate(NAMES)
    )
    async with house(environment, device("odd", sensors)) as home:
        page = (await home.browser.get("/device/odd")).text
        async with home.browser.stream() as stream:
            snapshot = (await stream.event()).data
    assert len(page) < 60_000
    assert not set(page) & set("\u202e\0\r")
    assert len(snapshot) == len(sensors)


async def test_a_table_begins_no_formula(environment, tmp_path):
    note = Text(key="note", name="Note")
    desk = device("desk", (note,))
    async with house(environment, desk, sections=kept(tmp_path)) as home:
        desk.tell_state("note", "=cmd()")
        await anyio.sleep(5)
        table = (await home.browser.get("/api/history/desk/note.csv")).text
    assert "'=cmd()" in table


async def test_a_page_of_very_many_rows_lets_others_have_their_turn(
    environment, watched_loop
):
    notes = [
        tuple(Text(key=f"n{n}", name=f"Note {n}") for n in range(512)) for _ in range(9)
    ]
    devices = [device(f"d{n}", some) for n, some in enumerate(notes)]
    async with house(environment, *devices) as home:
        await anyio.sleep(1)
        async with watched_loop(0.05):
            assert (await home.browser.get("/")).status == 200
