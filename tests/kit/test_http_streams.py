"""Replies that go on: piece by piece, for as long as somebody hears them."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import HttpStream, SendPart
from tests.kit.web_server import GET, all_of, say, serving

pytestmark = pytest.mark.virtual_time


class Teller:
    """Tells a few pieces, or for ever; knows how it ended."""

    def __init__(self, pieces: int | None = 3, *, stall_s: float = 5.0) -> None:
        self.pieces = pieces
        self.stall_s = stall_s
        self.told = 0
        self.is_over = False

    async def handle(self, request: HttpRequest) -> HttpStream:
        headers = {"Content-Type": "text/plain"}
        return HttpStream(tell=self.tell, headers=headers, stall_s=self.stall_s)

    async def tell(self, send: SendPart) -> None:
        try:
            while self.told != self.pieces:
                await send(b"piece %d;" % self.told)
                self.told += 1
                await anyio.sleep(1)
        finally:
            self.is_over = True


async def test_bytes_on_the_wire(network):
    async with serving(network, Teller(2).handle, headers={"X-A": "b"}):
        told = await say(network, GET)
    assert told == (
        b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Type: text/plain\r\n"
        b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"8\r\npiece 0;\r\n8\r\npiece 1;\r\n0\r\n\r\n"
    )


async def test_who_asks_for_the_head_gets_no_more(network):
    teller = Teller()
    async with serving(network, teller.handle):
        told = await say(network, GET.replace(b"GET", b"HEAD"))
    assert told.endswith(b"\r\n\r\n")
    assert teller.told == 0


async def test_an_old_client_gets_it_without_chunks(network):
    async with serving(network, Teller(2).handle):
        told = await say(network, GET.replace(b"/1.1", b"/1.0"))
    assert told.endswith(b"\r\n\r\npiece 0;piece 1;")


@pytest.mark.parametrize("is_half", [False, True])
async def test_it_ends_when_the_client_leaves(network, is_half):
    teller = Teller(None)
    async with serving(network, teller.handle):
        stream = await network.connect_tcp("cloud", 80)
        await stream.send(GET)
        await anyio.sleep(3.5)
        assert (teller.told, teller.is_over) == (4, False)
        await (stream.send_eof() if is_half else stream.aclose())
        await anyio.sleep(0.1)
        assert teller.is_over
        await stream.aclose()


async def test_who_takes_nothing_counts_as_gone(network):
    ended_at = []

    async def flood(send: SendPart) -> None:
        try:
            while True:
                await send(b"x" * 10_000)
        finally:
            ended_at.append(anyio.current_time())

    async def handle(request: HttpRequest) -> HttpStream:
        return HttpStream(tell=flood, stall_s=7.0)

    async with serving(network, handle):
        async with await network.connect_tcp("cloud", 80) as stream:
            await stream.send(GET)
            began_at = anyio.current_time()
            await anyio.sleep(20)
    assert ended_at == [pytest.approx(began_at + 7, abs=0.1)]


async def test_each_reply_has_the_fields_of_the_server(network):
    async def handle(request: HttpRequest) -> HttpReply:
        return HttpReply(headers={"X-B": "own"})

    fields = {"X-A": "all", "X-B": "all"}
    async with serving(network, handle, headers=fields):
        close = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        told = await say(network, close)
        refused = await say(network, b"NONSENSE\r\n\r\n")
    assert b"\r\nX-A: all\r\nX-B: own\r\n" in told
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nX-A: all\r\nX-B: all\r\n" in refused


async def test_a_request_knows_where_it_was_sent_to(network):
    places = []

    async def handle(request: HttpRequest) -> HttpReply:
        places.append(request.local)
        return HttpReply()

    async with serving(network, handle):
        async with await network.connect_tcp("cloud", 80) as stream:
            await stream.send(GET)
            await stream.receive()
            await stream.send_eof()
            assert await all_of(stream) == b""
    assert places == [("cloud", 80)]
