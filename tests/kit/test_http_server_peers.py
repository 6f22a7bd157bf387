"""The server's side of HTTP: clients that behave badly, and TLS."""

from __future__ import annotations

import ssl
from contextlib import suppress

import anyio
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.http.client import open_http
from structiot._kit.http.device import DeviceHttp
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import RawReply
from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.network import LOST
from structiot.errors import LinkLost
from structiot.testing import cancel_sweep
from structiot.testing.clock import virtual_backend
from tests.kit.web_server import GET, URL, say, serving

pytestmark = pytest.mark.virtual_time

# ------------------------------------------------------------------------ hostile peers

REFUSED = {
    "rubbish": (b"\x00\x01\r\n\r\n", 400),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a blank before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    ),
    "odd encoding": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        501,
    ),
    "endless head": (b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, 431),
    "many fields": (GET[:-2] + b"X: y\r\n" * 100 + b"\r\n", 431),
    "long body": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
        413,
    ),
    "long body in chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"fff\r\n" + b"x" * 0xFFF,
        413,
    ),
    "body in many chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1;x=y\r\nx\r\n" * 2000,
        413,
    ),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED)
async def test_what_is_not_allowed_is_refused_and_the_connection_ends(
    network, data, status
):
    async with serving(network, max_body_bytes=1000, max_connections=1):
        answered = await say(network, data)
        assert answered.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"Connection: close\r\n" in answered
        assert (await DeviceHttp(URL, network=network).get("/")).status == 200


async def test_a_request_that_takes_too_long_ends_its_connection(network):
    async with serving(network, request_s=3, idle_s=20):
        assert await say(network, b"G", b"E", gap_s=1) == b""
        assert anyio.current_time() == 3
        assert await say(network) == b""
        assert anyio.current_time() == 23


@pytest.mark.parametrize("is_raw", [False, True], ids=["reply", "raw reply"])
async def test_a_client_that_never_reads_loses_its_place(network, is_raw):
    async def much(request: HttpRequest) -> HttpReply | RawReply:
        if request.path == "/b":
            return HttpReply()
        body = bytes(10_000_000)
        return RawReply(data=body) if is_raw else HttpReply(body=body)

    async with serving(network, much, request_s=3, max_connections=1):
        async with await network.connect_tcp("cloud", 80) as stream:
            await stream.send(GET)
            await anyio.sleep(3.1)
            assert (await DeviceHttp(URL, network=network).get("/b")).status == 200


async def test_a_client_that_reads_slowly_gets_all_of_its_reply(network):
    async def much(request: HttpRequest) -> RawReply:
        return RawReply(data=bytes(1_000_000))

    async with serving(network, much, request_s=3):
        async with await network.connect_tcp("cloud", 80) as stream:
            await stream.send(GET)
            left = 1_000_000
            while left:
                await anyio.sleep(1)
                left -= len(await stream.receive(65_536))
    assert anyio.current_time() > 12


async def test_who_asks_for_a_tunnel_is_told_that_there_is_none(network):
    connect = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(network):
        answered = await say(network, connect + b"GET / HTTP/1.0\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 501 ")
        assert b"HTTP/1.1 200 " in answered


async def test_a_form_or_query_of_very_many_fields_is_refused(network, watched_loop):
    async def read(request: HttpRequest) -> HttpReply:
        return HttpReply.of_json(len(request.form()) + len(request.query))

    forms = {
        count: "&".join(f"{number}=1" for number in range(count)).encode()
        for count in (1000, 1001, 100_000)
    }
    async with serving(network, read), watched_loop(0.05):
        http = DeviceHttp(URL, network=network)
        for count, form in forms.items():
            answered = await http.request("POST", "/", body=form)
            assert answered.status == (200 if count == 1000 else 400)
        long = await http.request("POST", "/", body=b"a=" + b"%41" * 340_000)
        assert long.status == 400
        query = await http.get("/?" + "&" * 1000)
        assert query.status == 400


async def test_more_connections_than_allowed_are_closed_after_a_moment(network):
    async with serving(network, max_connections=1):
        async with await network.connect_tcp("cloud", 80):
            await anyio.wait_all_tasks_blocked()
            before = anyio.current_time()
            assert await say(network) == b""
            # The other may just have been leaving.
            assert anyio.current_time() == pytest.approx(before + 0.1)
        await anyio.wait_all_tasks_blocked()
        assert (await DeviceHttp(URL, network=network).get("/")).status == 200


async def test_a_request_in_chunks_of_one_byte_holds_nobody_up(network, watched_loop):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(network), watched_loop(0.05):
        with suppress(*LOST):
            await say(network, head + b"1\r\nx\r\n" * 30_000)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(
    data=st.lists(
        st.sampled_from(
            [
                GET,
                b"POST / HTTP/1.1\r\n",
                b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
                b"Content-Length: 3\r\n",
                b"\r\n",
            ]
        )
        | st.binary(max_size=20),
        max_size=8,
    ).map(b"".join)
)
def test_whatever_a_client_sends_the_server_goes_on(backend, data):
    async def main() -> None:
        network = MemoryNetwork()
        async with serving(network):
            with suppress(*LOST):
                await say(network, data)
            assert (await DeviceHttp(URL, network=network).get("/")).status == 200

    with virtual_backend(backend) as (name, options):
        anyio.run(main, backend=name, backend_options=options)


async def test_a_server_cancelled_anywhere_leaves_no_connection():
    async def flow() -> None:
        network = MemoryNetwork()
        async with serving(network), open_http(URL, network=network) as http:
            # Server and client are cancelled together; either may see the other go.
            with suppress(LinkLost, *LOST):
                await http.request("POST", "/", json={})
                await say(network, REFUSED["rubbish"][0])

    assert await cancel_sweep(flow) > 10


# ---------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("cloud").configure_cert(context)
    return context


async def test_https_is_spoken(network, authority, server_context):
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with (
        serving(network, port=443, ssl_context=server_context),
        open_http("https://cloud", network=network, ssl_context=trusting) as http,
    ):
        for _ in range(2):
            assert (await http.request("POST", "/", json={})).status == 200


async def test_who_speaks_no_tls_or_nothing_is_let_go(network, server_context):
    async with serving(network, ssl_context=server_context, max_connections=1):
        with suppress(*LOST):
            await say(network, GET)
        with suppress(*LOST):
            await say(network)
        assert anyio.current_time() == 10
