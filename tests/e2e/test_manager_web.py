"""`examples/manager_web`: the page, its live list, and what it sends, as a browser has it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from structiot import open_manager_client
from tests._support.interpreter import PYTHON
from tests._support.ports import free_port
from tests._support.sources import ROOT
from tests.e2e.processes import running

pytestmark = pytest.mark.e2e
APP = ROOT / "examples" / "manager_web" / "app.py"
UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
NOBODY = "00000000-0000-0000-0000-0000000000ff"


class Browser:
    """What somebody with the page open can do."""

    def __init__(
        self, client: httpx.AsyncClient, events: BufferedByteReceiveStream
    ) -> None:
        self.client = client
        self._events = events

    async def told(self, event: str) -> dict[str, Any]:
        """Wait for an event."""
        with anyio.fail_after(15):
            while True:
                data = await self._events.receive_until(b"\n\n", 65536)
                found: dict[str, Any] = json.loads(data.removeprefix(b"data: "))
                if found["event"] == event:
                    return found

    async def send(self, uuid: str | None, text: str) -> dict[str, Any]:
        answer = await self.client.post("/send", json={"uuid": uuid, "text": text})
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        return report


@pytest.fixture
def web(anyio_backend_name):
    @asynccontextmanager
    async def start(*options: str) -> AsyncGenerator[tuple[int, str]]:
        where = ("--port=0", f"--web-port={free_port()}")
        backend = f"--backend={anyio_backend_name}"
        command = (*PYTHON, str(APP), *where, backend, *options)
        async with running(*command) as program:
            found = await program.until(
                lambda: re.search(r":(\d+)\npage: (\S+)", "\n".join(program.lines))
            )
            # Hypercorn says by its log when it listens.
            await program.until(lambda: [x for x in program.errors if "Running" in x])
            yield int(found[1]), found[2]
            program.signal(signal.SIGTERM)
            assert await program.ended() == 0
            assert not [line for line in program.errors if "Traceback" in line]

    return start


@asynccontextmanager
async def browser(url: str) -> AsyncGenerator[Browser]:
    where = httpx.URL(url)
    async with (
        httpx.AsyncClient(base_url=url, timeout=15, trust_env=False) as client,
        await anyio.connect_tcp(where.host, where.port or 80) as stream,
    ):
        await stream.send(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        events = BufferedByteReceiveStream(stream)
        head = await events.receive_until(b"\r\n\r\n", 65536)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"content-type: text/event-stream" in head
        yield Browser(client, events)


async def test_the_page_lists_devices_as_they_come_and_sends_to_them(web):
    async with web() as (port, url), browser(url) as one:
        page = (await one.client.get("/")).text
        assert 'new EventSource("/events")' in page
        async with open_manager_client(
            "127.0.0.1", port, uuid=UUID, type="test", data={"<b>": "\x1b"}
        ) as device:
            assert await one.told("connected") == {
                "event": "connected",
                "uuid": UUID,
                "type": "test",
                "data": {"<b>": "\x1b"},
            }
            report = await one.send(UUID, "hello client")
            assert report == {"delivered": [UUID], "failed": {}}
            assert await anext(aiter(device)) == b"hello client"
            await device.send("hello server")
            assert (await one.told("message"))["text"] == "hello server"
            # Who looks later sees the same.
            async with browser(url) as other:
                assert (await other.told("connected"))["uuid"] == UUID
            report = await one.send(NOBODY, "hello")
            assert report["failed"] == {NOBODY: f"{NOBODY} is not connected"}
        assert (await one.told("disconnected"))["uuid"] == UUID
        assert await one.send(None, "hello all") == {"delivered": [], "failed": {}}


async def test_simulated_lamps_are_switched_by_the_page(web):
    async with web("--simulate") as (_, url), browser(url) as one:
        for _ in range(5):
            assert (await one.told("connected"))["type"] == "lamp"
        assert len((await one.send(None, "on"))["delivered"]) == 5
        for _ in range(5):
            assert (await one.told("message"))["text"] == '{"is_on":true}'


async def test_what_the_page_would_not_send_is_refused(web):
    async with web() as (_, url), browser(url) as one:
        good = json.dumps({"uuid": None, "text": "x"})
        # So a page of somebody else would have it sent by the browser.
        # What is refused unread costs the connection, which is not to be used again.
        form = {"content-type": "text/plain", "connection": "close"}
        answer = await one.client.post("/send", content=good, headers=form)
        assert answer.status_code == 415
        for wrong in ("nonsense", "[]", "{}", '{"uuid": "lamp", "text": "x"}', "5"):
            answer = await one.client.post(
                "/send", content=wrong, headers={"content-type": "application/json"}
            )
            assert answer.status_code == 400, wrong
            assert answer.json()["error"]


def test_the_page_needs_nothing_from_elsewhere_and_takes_text_for_text():
    page = APP.with_name("page.html").read_text("utf-8")
    assert "//" not in re.sub(r"^//.*$", "", page, flags=re.MULTILINE)
    assert not re.search(
        r"\.(innerHTML|outerHTML)|insertAdjacentHTML|document\.write", page
    )
