"""The page on real sockets: served, encrypted, and closed whoever holds on to it."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.streams.tls import TLSStream

from structiot.dashboard import open_dashboard
from structiot.errors import ConfigError, ConnectFailed
from structiot.gateway.config import DashboardSection
from structiot.model import Text
from tests.dashboard.browser import HOST, Browser
from tests.dashboard.house import device, house

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def test_the_page_ends_at_once_with_streams_open(environment):
    notes = tuple(Text(key=f"note_{n}", name=f"Note {n}") for n in range(200))
    desk = device("desk", notes)
    left_at = 0.0
    async with AsyncExitStack() as peers:
        async with house(environment, desk) as home:
            assert home.dashboard.urls == (f"http://127.0.0.1:{home.port}/",)
            assert (await home.browser.get("/")).status == 200
            reading = await peers.enter_async_context(home.browser.stream())
            await reading.event()
            for words in (
                b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"GET / HTTP/1.1\r\n",
                b"",
            ):
                silent = await environment.network.connect_tcp(HOST, home.port)
                await peers.enter_async_context(silent)
                await silent.send(words)
            # One reads nothing: what is to be sent fills the kernel, and waits.
            for number in range(25):
                for note in notes:
                    desk.tell_state(note.key, f"{number} {'x' * 240}")
                await anyio.sleep(0.05)
            desk.command_takes_s = 10.0
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(home.browser.set, "desk/note_0", "x")
                await anyio.sleep(0.2)
                tasks.cancel_scope.cancel()
            left_at = anyio.current_time()
        assert anyio.current_time() - left_at < 4


async def test_encrypted_it_is_the_same_and_its_cookies_are_safe(
    environment, authority, tmp_path
):
    file = tmp_path / "cert.pem"
    pair = authority.issue_cert("127.0.0.1", "localhost")
    pair.private_key_and_cert_chain_pem.write_to_path(str(file))
    context = ssl.create_default_context()
    authority.configure_trust(context)

    class Encrypted:
        async def connect_tcp(self, host: str, port: int):
            stream = await environment.network.connect_tcp(host, port)
            return await TLSStream.wrap(
                stream, hostname=host, ssl_context=context, standard_compatible=False
            )

    page: dict[str, Any] = {
        "listen": ["https://127.0.0.1:0"],
        "cert_file": str(file),
        "token": "open sesame",
    }
    async with house(environment, device("desk"), **page) as home:
        assert home.dashboard.urls[0].startswith("https://127.0.0.1:")
        browser = Browser(Encrypted(), home.port)
        plain = f"http://{browser.place}"
        assert (await browser.sign_in("open sesame", Origin=plain)).status == 403
        own = f"https://{browser.place}"
        answer = await browser.sign_in("open sesame", Origin=own)
        assert answer.status == 303
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        async with browser.stream() as stream:
            assert (await stream.event()).kind == "snapshot"
        # Who speaks no TLS costs nobody anything.
        async with await environment.network.connect_tcp(HOST, home.port) as lost:
            await lost.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                while True:
                    await lost.receive()
        assert (await browser.get("/")).status == 200


async def test_what_cannot_be_served_is_said(environment, tmp_path: Path):
    async with house(environment) as home:
        taken = DashboardSection(listen=(f"http://127.0.0.1:{home.port}",))
        with pytest.raises(ConnectFailed, match=rf"127.0.0.1:{home.port}"):
            async with open_dashboard(home.gateway, taken, environment=environment):
                pytest.fail("two at one place")
        bad = tmp_path / "bad.pem"
        bad.write_text("nothing")
        section = DashboardSection(listen=("https://127.0.0.1:0",), cert_file=str(bad))
        with pytest.raises(ConfigError, match=r"bad\.pem"):
            async with open_dashboard(home.gateway, section, environment=environment):
                pytest.fail("encrypted by nothing")
        section = DashboardSection(listen=("https://127.0.0.1:0",))
        with pytest.raises(ConfigError, match="cert_file"):
            async with open_dashboard(home.gateway, section, environment=environment):
                pytest.fail("encrypted by nothing")
        assert (await home.browser.get("/")).status == 200


async def test_it_can_be_served_at_several_places(environment):
    listen = ["http://127.0.0.1:0", "http://127.0.0.2:0", "http://[::1]:0"]
    async with house(environment, listen=listen) as home:
        places = [url.split("/")[2] for url in home.dashboard.urls]
        assert places[2].startswith("[::1]:")
        port = int(places[1].rpartition(":")[2])
        async with await environment.network.connect_tcp("127.0.0.2", port) as stream:
            await stream.send(f"GET / HTTP/1.1\r\nHost: {places[1]}\r\n\r\n".encode())
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
        for host in (places[0], "127.0.0.9"):
            async with await environment.network.connect_tcp(
                "127.0.0.2", port
            ) as stream:
                await stream.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert (await stream.receive()).startswith(b"HTTP/1.1 421 ")
