"""`structiot run` and its page: there by default, where it is said to be, or not at all."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest

from structiot._kit.http.client import open_http
from tests._support.ports import free_port
from tests.e2e.processes import Running, running, structiot
from tests.e2e.test_run_signals import arguments, said

pytestmark = [
    pytest.mark.e2e,
    # The program starts several times slower on a busy machine.
    pytest.mark.timeout(90),
]

CONNECTED = "connected to the broker"
AT = "the page is at http://127.0.0.1:"


def written(folder: Path, dashboard: str) -> Path:
    file = folder / "structiot.toml"
    listen = f"['mqtt://127.0.0.1:{free_port()}']"
    state = f"[gateway]\nstate_file = 'state.json'\n[broker]\nlisten = {listen}\n"
    file.write_text(f"{state}{dashboard}")
    return file


async def ended(program: Running) -> int:
    program.signal(signal.SIGTERM)
    return await program.ended()


async def test_the_page_is_where_the_log_says(tmp_path: Path, backend: str):
    port = free_port()
    file = written(tmp_path, f"[dashboard]\nlisten = ['http://127.0.0.1:{port}']\n")
    async with running(*structiot(*arguments(file, backend))) as program:
        await program.until(lambda: said(program, f"{AT}{port}/"))
        url = f"http://127.0.0.1:{port}"
        async with open_http(url) as http:
            answer = await http.get("/")
            assert answer.status == 200
            assert b"<title>structiot</title>" in answer.body
        # A browser that does not let go keeps nobody.
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await stream.receive()
            assert await ended(program) == 0


async def test_a_port_that_is_taken_costs_the_page_or_the_start(
    tmp_path: Path, backend: str
):
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as taken:
        port = taken.extra(anyio.abc.SocketAttribute.local_port)
        file = written(tmp_path, f"[dashboard]\nlisten = ['http://127.0.0.1:{port}']\n")
        async with running(*structiot(*arguments(file, backend))) as program:
            assert await program.ended() == 1
            assert said(program, f"127.0.0.1:{port}")


async def test_without_a_page(tmp_path: Path, backend: str):
    file = written(tmp_path, "[dashboard]\nenabled = false\n")
    async with running(*structiot(*arguments(file, backend))) as program:
        await program.until(lambda: said(program, CONNECTED))
        assert not said(program, "page")
        assert await ended(program) == 0
