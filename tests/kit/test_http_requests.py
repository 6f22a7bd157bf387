"""Requests of any kind, by either client: what goes out, and limits of what comes in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream

from structiot._kit.http.client import HttpClient, open_http
from structiot._kit.http.device import DeviceHttp
from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import ConfigError, LinkLost, ProtocolViolation, UsageError
from tests.kit.web_site import reply, site

pytestmark = pytest.mark.virtual_time

URL = "http://strip"
Client = HttpClient | DeviceHttp
OpenClient = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def open_device_http(url: str, **options: Any) -> AsyncIterator[DeviceHttp]:
    yield DeviceHttp(url, **options)


@pytest.fixture(params=[open_http, open_device_http], ids=["cloud", "device"])
def open_client(request: pytest.FixtureRequest) -> OpenClient:
    opener: OpenClient = request.param
    return opener


async def sent_by(
    open_client: OpenClient, network: MemoryNetwork, method: str, target: str, **more
) -> tuple[str, dict[str, str], bytes]:
    """Send a request; give its first line, its header fields and its body."""
    async with site(reply(), network=network) as strip:
        async with open_client(URL, network=network) as http:
            assert (await http.request(method, target, **more)).body == b"ok"
    head, _, body = strip.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in fields}) == len(fields)
    return first, {name.lower(): value for name, value in fields}, body


# ----------------------------------------------------------------------- what goes out


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PROPFIND"])
async def test_a_request_without_a_body_names_no_length(open_client, network, method):
    first, fields, body = await sent_by(open_client, network, method, "/a?b=c")
    assert first == f"{method} /a?b=c HTTP/1.1"
    assert fields["host"] == "strip"
    assert "content-length" not in fields
    assert body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_method_that_has_a_body_says_that_there_is_none(
    open_client, network, method
):
    _, fields, body = await sent_by(open_client, network, method, "/")
    assert (fields["content-length"], body) == ("0", b"")


async def test_bytes_go_out_as_they_are(open_client, network):
    headers = {"Content-Type": "image/png", "X-One": "a  b"}
    _, fields, body = await sent_by(
        open_client, network, "PUT", "/", body=b"\x00\xff\r\n\r\n", headers=headers
    )
    assert body == b"\x00\xff\r\n\r\n"
    assert (fields["content-type"], fields["x-one"]) == ("image/png", "a  b")
    assert fields["content-length"] == "6"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"header": {"method": "SET"}, "on": [1, 2.5, True, None]}, None),
        ({}, b"{}"),
        (False, b"false"),
        ("é", b'"\\u00e9"'),
    ],
)
async def test_json_goes_out_without_blanks_and_says_what_it_is(
    open_client, network, value, text
):
    text = text or b'{"header":{"method":"SET"},"on":[1,2.5,true,null]}'
    _, fields, body = await sent_by(open_client, network, "POST", "/config", json=value)
    assert (fields["content-type"], body) == ("application/json", text)
    assert fields["content-length"] == str(len(text))


async def test_a_kind_of_content_that_is_given_stays(open_client, network):
    _, fields, _ = await sent_by(
        open_client,
        network,
        "POST",
        "/",
        json=1,
        headers={"content-type": "application/merge-patch+json"},
    )
    assert fields["content-type"] == "application/merge-patch+json"


async def test_a_form_is_encoded(open_client, network):
    form = {"name": "a b&c", "é": "="}
    _, fields, body = await sent_by(open_client, network, "POST", "/", form=form)
    assert fields["content-type"] == "application/x-www-form-urlencoded"
    assert body == b"name=a+b%26c&%C3%A9=%3D"


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/cm", "/cm?cmnd=Power%20On&n=%26%3F"),
        ("/cm?user=me", "/cm?user=me&cmnd=Power%20On&n=%26%3F"),
    ],
)
async def test_a_query_is_encoded_and_added(open_client, network, target, sent):
    query = {"cmnd": "Power On", "n": "&?"}
    first, _, _ = await sent_by(open_client, network, "GET", target, query=query)
    assert first == f"GET {sent} HTTP/1.1"


async def test_fields_of_one_request_replace_those_of_every_request(
    open_client, network
):
    async with site(reply(), network=network) as strip:
        async with open_client(
            URL, network=network, headers={"X-A": "1", "Accept": "text/plain"}
        ) as http:
            await http.get("/", headers={"x-a": "2"})
            await http.get("/")
    first, second = (request.lower() for request in strip.requests)
    assert first.count(b"x-a: ") == 1
    assert b"x-a: 2\r\n" in first
    assert b"x-a: 1\r\n" in second
    assert b"accept: text/plain\r\n" in second
    assert b"accept: */*\r\n" not in second


@pytest.mark.parametrize(
    ("method", "options", "why"),
    [
        ("G T", {}, "a method that cannot be sent"),
        ("", {}, "a method that cannot be sent"),
        ("GET", {"headers": {"X": "a\r\nY: b"}}, "cannot be sent: 'X'"),
        ("GET", {"headers": {"X": " a"}}, "cannot be sent"),
        ("GET", {"headers": {"X": "é"}}, "cannot be sent"),
        ("GET", {"headers": {"X:": "a"}}, "cannot be sent"),
        ("GET", {"headers": {"content-length": "1"}}, "for the client itself to say"),
        ("GET", {"headers": {"Transfer-Encoding": "chunked"}}, "for the client itself"),
        ("POST", {"json": {1, 2}}, "cannot be sent as JSON"),
        ("POST", {"json": float("nan")}, "cannot be sent as JSON"),
        ("POST", {"json": 1, "body": b""}, "a request has one body"),
        ("POST", {"json": 0, "form": {}}, "a request has one body"),
    ],
)
async def test_what_cannot_be_sent_is_a_usage_error_before_a_byte_is(
    open_client, network, method, options, why
):
    async with site(reply(), network=network) as strip:
        async with open_client(URL, network=network) as http:
            with pytest.raises(UsageError, match=why) as caught:
                await http.request(method, "/?pw=secret", **options)
    assert strip.connections == 0
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("headers", [{"X": "\n"}, {"Connection": "close"}])
async def test_fields_of_every_request_are_checked_when_they_are_given(
    open_client, network, headers
):
    with pytest.raises(UsageError):
        async with open_client(URL, network=network, headers=headers):
            pytest.fail("opened")


# ------------------------------------------------------------------------ what comes in


async def test_a_head_request_has_no_body_whatever_length_is_named(
    open_client, network
):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nX-A: 1\r\n\r\n"
    async with site(answer, network=network):
        async with open_client(URL, network=network) as http:
            answered = await http.request("HEAD", "/")
    assert (answered.status, answered.body) == (200, b"")
    assert answered.headers == {"content-length": "99999999", "x-a": "1"}


@pytest.mark.parametrize("status", [201, 204, 304, 401, 404, 500, 599])
async def test_a_status_is_the_callers_to_judge(open_client, network, status):
    body = b"" if status in (204, 304) else b"why"
    async with site(
        reply(body, "X-A: 1", "X-A: 2", status=f"{status} X"), network=network
    ):
        async with open_client(URL, network=network) as http:
            answered = await http.request("POST", "/", json={})
    assert (answered.status, answered.body) == (status, body)
    assert answered.headers["x-a"] == "1, 2"


async def test_a_reply_that_comes_before_the_whole_request_is_read(
    open_client, network
):
    async def handle(stream: ByteStream) -> None:
        await stream.receive(10)
        await stream.send(reply(b"", status="413 Too Large"))
        await stream.aclose()

    async with network.listen_tcp("strip", 80) as listener:
        async with (
            anyio.create_task_group() as tg,
            open_client(URL, network=network) as http,
        ):
            tg.start_soon(listener.serve, handle)
            answered = await http.request("POST", "/", body=bytes(1_000_000))
            tg.cancel_scope.cancel()
    assert answered.status == 413


# ------------------------------------------------------------------------------- limits


def one_byte_chunks(count: int) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"1\r\nx\r\n" * count + b"0\r\n\r\n"


async def test_a_reply_in_a_thousand_chunks_is_read(open_client, network):
    async with site(one_byte_chunks(1000), network=network):
        async with open_client(URL, network=network) as http:
            assert (await http.get("/")).body == b"x" * 1000


async def test_a_reply_in_chunks_of_one_byte_is_refused_and_holds_nobody_up(
    open_client, network, watched_loop
):
    async with site(one_byte_chunks(200_000), network=network) as strip:
        async with open_client(URL, network=network) as http, watched_loop(0.05):
            with pytest.raises(
                ProtocolViolation, match=r"comes in (1225 chunks|5097 pieces)"
            ):
                await http.get("/")
        await anyio.wait_all_tasks_blocked()
        assert strip.open_connections == 0


@pytest.mark.parametrize(
    "head",
    [
        b"a:\r\n" * 4000,
        b"a:\r\n" * 40_000,
        b"a: b\r\n" + b" c\r\n" * 4000,
        b"Content-Length: 1\r\n" * 850,
    ],
    ids=["many", "too many", "folded", "lengths"],
)
async def test_a_head_of_many_fields_holds_nobody_up(
    open_client, network, watched_loop, head
):
    async def send_and_close(stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        await stream.aclose()

    async with site(send_and_close, network=network):
        async with open_client(URL, network=network) as http, watched_loop(0.05):
            with suppress(ProtocolViolation, LinkLost):
                await http.get("/")


async def test_a_cloud_may_not_send_lines_without_end_before_its_reply(network):
    head = b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 20_000
    async with site(head + b"Content-Length: 0\r\n\r\n", network=network):
        async with open_http(URL, network=network) as http:
            with pytest.raises(ProtocolViolation, match="more than 1000 lines"):
                await http.get("/")


async def test_a_body_may_have_any_number_of_lines(network):
    body = b"\n" * 100_000
    async with site(reply(body), network=network):
        async with open_http(URL, network=network) as http:
            assert (await http.get("/")).body == body


async def test_more_than_a_hundred_fields_are_refused(network):
    def answer(count: int) -> bytes:
        fields = [f"X-{number}: 1" for number in range(count - 1)]
        return reply(b"ok", *fields)

    async with site(answer(100), answer(101), network=network):
        http = DeviceHttp(URL, network=network)
        assert len((await http.get("/")).headers) == 100
        with pytest.raises(ProtocolViolation, match="more than 100 header fields"):
            await http.get("/")


async def test_provisional_replies_without_end_are_refused(network, watched_loop):
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000
    async with site(answer, network=network):
        async with watched_loop(0.05):
            with pytest.raises(ProtocolViolation, match="more than 100 provisional"):
                await DeviceHttp(URL, network=network).get("/")


async def test_nor_does_the_client_of_clouds_read_them_for_ever(network, watched_loop):
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000
    async with site(answer, network=network), open_http(URL, network=network) as http:
        async with watched_loop(0.05):
            with pytest.raises(ProtocolViolation, match="before the reply itself"):
                await http.get("/")


@pytest.mark.parametrize("fields", [100, 101])
async def test_as_many_fields_may_follow_a_body_in_chunks(network, fields):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = head + b"2\r\nok\r\n0\r\n" + b"a:\r\n" * fields + b"\r\n"
    async with site(answer, network=network):
        http = DeviceHttp(URL, network=network)
        if fields == 100:
            assert (await http.get("/")).body == b"ok"
            return
        with pytest.raises(ProtocolViolation, match="more than 100 header fields"):
            await http.get("/")


@pytest.mark.parametrize(
    "chunk",
    [b"1\r\nx\r\n", b"1;" + b"e" * 8000 + b"\r\nx\r\n"],
    ids=["bare", "with extensions"],
)
async def test_a_small_reply_may_have_few_chunks(network, chunk):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    limit = 65_536
    answers = (head + chunk * n + b"0\r\n\r\n" for n in (264, 265))
    async with site(*answers, network=network):
        http = DeviceHttp(URL, network=network, max_body_bytes=limit)
        assert len((await http.get("/")).body) == 264
        with pytest.raises(ProtocolViolation, match="comes in 265 chunks"):
            await http.get("/")


async def test_others_have_their_turn_while_a_reply_in_chunks_is_read(network):
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with site(one_byte_chunks(1000), network=network):
        async with anyio.create_task_group() as tg:
            tg.start_soon(count_turns)
            await DeviceHttp(URL, network=network).get("/")
            tg.cancel_scope.cancel()
    # After each 32 events at the latest.
    assert turns >= 1000 // 32


@pytest.mark.parametrize("url", ["http://strip:0", "strip", "http://strip/?a=b"])
async def test_a_url_of_no_server_is_refused_before_anything_is_sent(url: str):
    with pytest.raises(ConfigError, match="not the base URL of a server"):
        async with open_http(url):
            pytest.fail("it is none")
