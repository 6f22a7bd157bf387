"""Peers that mean no good, or do not know better: they cost themselves, and little."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack

import anyio
import h11
import pytest

from structiot.dashboard.listener import Listener
from structiot.model import Text
from tests.dashboard.browser import HOST
from tests.dashboard.house import device, house

pytestmark = pytest.mark.virtual_time

HALF = [
    b"",
    b"G",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\ntoken=",
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
]


async def test_who_does_not_get_to_the_point_is_let_go(environment):
    async with house(environment) as home:
        for words in HALF:
            async with await environment.network.connect_tcp(HOST, home.port) as peer:
                began_at = anyio.current_time()
                if words:
                    await peer.send(words)
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await peer.receive()
                assert anyio.current_time() - began_at <= (11 if words else 31)


async def test_who_drips_is_let_go_all_the_same(environment):
    async with house(environment) as home:
        async with await environment.network.connect_tcp(HOST, home.port) as peer:
            began_at = anyio.current_time()
            await peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            with pytest.raises(anyio.BrokenResourceError):
                for number in range(100):
                    await peer.send(b"X-%d: y\r\n" % number)
                    await anyio.sleep(1)
            assert anyio.current_time() - began_at < 12


async def test_many_who_say_nothing_leave_room_for_others(environment):
    async with house(environment, device("desk")) as home:
        async with AsyncExitStack() as stack:
            for _ in range(200):
                peer = await environment.network.connect_tcp(HOST, home.port)
                await stack.enter_async_context(peer)
            assert (await home.browser.get("/")).status == 200
            await anyio.sleep(31)
            assert (await home.browser.get("/")).status == 200


async def test_two_hundred_idle_streams_cost_little_and_leave_nothing(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(home.browser.stream())
                for _ in range(200)
            ]
            for one in streams:
                await one.event()
            desk.tell_state("power", 5.0)
            seen = [(await one.of_kind("state")).id for one in streams]
            assert len(set(seen)) == 1
            assert (await home.browser.get("/")).status == 200
            # Nobody reads any more: it is cut off, and not a task of it is left.
        await anyio.sleep(1)
        gc.collect()
        kept = [one for one in gc.get_objects() if type(one) is Listener]
        assert kept == []


async def test_who_takes_nothing_of_a_stream_is_let_go(environment):
    notes = tuple(Text(key=f"note_{n}", name=f"Note {n}") for n in range(40))
    desk = device("desk", notes)
    async with house(environment, desk) as home:
        async with home.browser.stream() as stream:
            await stream.event()
            for number in range(10):
                for note in notes:
                    desk.tell_state(note.key, f"{number} {'x' * 240}")
                await anyio.sleep(0.5)
            await anyio.sleep(65)
            desk.tell_state("note_0", "the latest")
            heard = []
            with pytest.raises((anyio.BrokenResourceError, h11.RemoteProtocolError)):
                while True:
                    heard.append(await stream.event())
    assert 1 < len(heard) < 10


async def test_what_a_browser_says_into_its_stream_is_let_go(environment):
    async with house(environment) as home:
        async with await environment.network.connect_tcp(HOST, home.port) as peer:
            await peer.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heard = b""
            for _ in range(100):
                with anyio.move_on_after(1):
                    await peer.send(b"x" * 16_384)
                with anyio.move_on_after(1):
                    heard += await peer.receive()
            assert b"event: ping" in heard
            await peer.send_eof()
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                while True:
                    await peer.receive()


class Strange(BaseException):
    """What no device should raise."""


async def test_a_device_that_cannot_tell_costs_its_own_values(
    environment, caplog, monkeypatch
):
    desk, odd = device("desk"), device("odd")

    def raising(key: str) -> float:
        raise Strange("no")

    async with house(environment, desk, odd) as home:
        odd.tell_state("power", 1.0)
        monkeypatch.setattr(odd, "silent_s", raising)
        desk.tell_state("power", 2.0)
        await anyio.sleep(5)
        async with home.browser.stream() as stream:
            snapshot = (await stream.event()).data
            desk.tell_state("power", 3.0)
            assert (await stream.of_kind("state")).data["desk/power"]["value"] == 3
        page = await home.browser.get("/")
    assert page.status == 200
    assert snapshot["desk/power"]["value"] == 2
    assert snapshot["odd/power"]["state"] == "unknown"
    assert caplog.text.count("tells nonsense, which is ignored: Strange: no") == 1


async def test_no_path_leads_out_of_the_page(environment):
    async with house(environment, device("desk")) as home:
        for target in (
            "/assets/../../../../etc/passwd",
            "/assets/..%2f..%2fetc/passwd",
            "/assets//etc/passwd",
            "/assets/%00",
            "/assets/",
            "/assets",
            "/device/",
            "/device/../gateway",
            "/device/desk/",
            "/device/%c3%28",
            "/%ff%fe",
            "//evil.example/",
            "/device/desk%00",
            "/api/history/%ff/relay",
            "/api/history/../../etc",
            "/api/set/desk",
            "/?" + "&".join("a=1" for _ in range(2000)),
            "/device/desk?from=" + "9" * 4000,
            "*",
            "http://evil.example/",
            "evil.example:443",
        ):
            answer = await home.browser.get(target)
            assert (target[:40], answer.status // 100) == (target[:40], 4)
            assert b"root:" not in answer.body
