"""The server's side of HTTP: whole requests to a handler, its replies in turn."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.http.client import open_http
from structiot._kit.http.device import DeviceHttp
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import RawReply
from structiot.errors import ReplyTimeout, UsageError
from tests.kit.web_server import GET, URL, all_of, say, serving

pytestmark = pytest.mark.virtual_time

# -------------------------------------------------------------------- requests, replies


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"body": b"raw"},
        {"json": {"a": 1}},
        {"form": {"a": "b c"}},
        {"query": {"cmnd": "Power On"}},
        {"body": b"x" * 200_000},
    ],
    ids=["nothing", "bytes", "json", "form", "query", "long"],
)
async def test_whole_requests_reach_the_handler_and_its_reply_the_client(
    network, options
):
    requests = []

    async def handle(request: HttpRequest) -> HttpReply:
        requests.append(request)
        return HttpReply(status=201, headers={"X-A": "b"}, body=request.body)

    async with serving(network, handle), open_http(URL, network=network) as cloud:
        for http in (cloud, DeviceHttp(URL, network=network)):
            answered = await http.request("POST", "/a?x=1", **options)
            assert answered.status == 201
            assert answered.headers["x-a"] == "b"
            assert answered.body == requests[-1].body
    assert requests[0].body == requests[1].body
    one = requests[0]
    assert (one.method, one.path, one.peer[0]) == ("POST", "/a", "127.0.0.1")
    assert one.query == {"x": "1", **options.get("query", {})}
    if "json" in options:
        assert one.json() == options["json"]
    if "form" in options:
        assert one.form() == options["form"]


async def test_bytes_on_the_wire(network):
    async def handle(request: HttpRequest) -> HttpReply:
        return HttpReply(headers={"Content-Type": "text/plain"}, body=b"ok")

    async with serving(network, handle):
        answered = await say(
            network, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
    assert answered == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n"
        b"Connection: close\r\n\r\nok"
    )


async def test_a_connection_is_kept_for_the_next_request(network):
    peers = set()

    async def handle(request: HttpRequest) -> HttpReply:
        peers.add(request.peer)
        return HttpReply()

    async with serving(network, handle), open_http(URL, network=network) as http:
        for _ in range(3):
            await http.get("/")
    assert len(peers) == 1


async def test_requests_sent_ahead_are_answered_in_order(network):
    async def handle(request: HttpRequest) -> HttpReply:
        await anyio.sleep(3 - int(request.path[1:]))
        return HttpReply(body=request.path.encode())

    ahead = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(3))
    async with serving(network, handle, idle_s=5):
        answered = await say(network, ahead)
    bodies = [part.partition(b"HTTP")[0] for part in answered.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"/0", b"/1", b"/2"]


async def test_head_and_empty_statuses_have_no_body(network):
    async def handle(request: HttpRequest) -> HttpReply:
        return HttpReply(status=int(request.path[1:]), body=b"body")

    async with serving(network, handle), open_http(URL, network=network) as http:
        head = await http.request("HEAD", "/200")
        assert (head.body, head.headers["content-length"]) == (b"", "4")
        assert (await http.get("/304")).body == b""
        assert (await http.get("/204")).headers == {}
        assert (await http.get("/599")).body == b"body"


async def test_a_client_that_asks_first_is_told_to_go_on(network):
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with serving(network):
        async with await network.connect_tcp("cloud", 80) as stream:
            await stream.send(head)
            assert await stream.receive() == b"HTTP/1.1 100 \r\n\r\n"
            await stream.send(b"ok")
            assert b'"body":"ok"' in await stream.receive()


async def test_an_old_client_gets_its_reply_and_the_end(network):
    async with serving(network):
        answered = await say(network, b"GET /old HTTP/1.0\r\n\r\n")
    assert b'"path":"/old"' in answered


async def test_none_hangs_up_and_raw_bytes_go_out_as_they_are(network):
    async def handle(request: HttpRequest) -> RawReply | None:
        return RawReply(data=b"\x00rubbish") if request.path == "/a" else None

    async with serving(network, handle):
        assert await say(network, GET + GET) == b"\x00rubbish"
        assert await say(network, GET.replace(b"/a", b"/")) == b""


async def test_a_raw_reply_may_trickle(network):
    async def handle(request: HttpRequest) -> RawReply:
        return RawReply(data=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100, over_s=10)

    async with serving(network, handle):
        async with await network.connect_tcp("cloud", 80) as stream:
            await stream.send(GET)
            first = await stream.receive()
            assert anyio.current_time() == 0.5
            assert 0 < len(first) < 10
            assert len(first + await all_of(stream)) == 119
    assert anyio.current_time() == 10


async def test_a_connection_left_open_ends_with_the_client_or_after_a_minute(network):
    async def handle(request: HttpRequest) -> RawReply:
        return RawReply(is_left_open=True)

    async with serving(network, handle, max_connections=1):
        with pytest.raises(ReplyTimeout):
            await DeviceHttp(URL, reply_s=5, network=network).get("/")
        await anyio.wait_all_tasks_blocked()
        assert await say(network, GET) == b""
    assert anyio.current_time() == 65


@pytest.mark.parametrize(
    "reply",
    [
        HttpReply(status=99),
        HttpReply(headers={"X y": "z"}),
        HttpReply(headers={"X": "two\r\nlines"}),
        HttpReply(headers={"X": "é"}),
        HttpReply(headers={"content-length": "7"}, body=b"ok"),
    ],
)
async def test_a_reply_that_cannot_be_sent_is_the_handlers_mistake(network, reply):
    async def handle(request: HttpRequest) -> HttpReply:
        assert isinstance(reply, HttpReply)
        return reply

    with pytest.RaisesGroup(pytest.RaisesExc(UsageError, match="cannot be sent")):
        async with serving(network, handle):
            await say(network, GET)
            await anyio.sleep_forever()


async def test_what_a_handler_raises_ends_the_server(network):
    async def handle(request: HttpRequest) -> HttpReply:
        raise OSError("the disk is full")

    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="disk is full")):
        async with serving(network, handle):
            await say(network, GET)
            await anyio.sleep_forever()


async def test_a_body_that_makes_no_sense_to_the_handler_is_status_400(network):
    async def handle(request: HttpRequest) -> HttpReply:
        return HttpReply.of_json(request.json())

    async with serving(network, handle), open_http(URL, network=network) as http:
        assert (await http.request("POST", "/", body=b"{")).status == 400
        assert (await http.request("POST", "/", body=b"[1]")).body == b"[1]"


async def test_who_comes_just_after_others_have_left_is_served(network):
    async def handle(_request: HttpRequest) -> HttpReply:
        return HttpReply(body=b"ok")

    async with serving(network, handle, max_connections=1):
        for _ in range(50):
            assert (await DeviceHttp(URL, network=network).get("/")).body == b"ok"
