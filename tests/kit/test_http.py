"""The door to HTTP: what goes out and what comes in."""

from __future__ import annotations

import logging
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from structiot._kit.http.client import open_http
from structiot._kit.http.messages import HttpReply
from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import ConfigError, UsageError
from tests.kit.web_site import hang_up, reply, site

pytestmark = pytest.mark.virtual_time

URL = "http://strip"
SECRET = "hunter2-and-more"


# ----------------------------------------------------------------------- what goes out


async def test_a_request_is_one_get_in_one_piece(network: MemoryNetwork):
    pieces: list[bytes] = []

    async def handle(stream: ByteStream) -> None:
        pieces.append(await stream.receive())
        await stream.send(reply())
        await stream.aclose()

    async with network.listen_tcp("strip", 80) as listener:
        async with (
            anyio.create_task_group() as tg,
            open_http(URL, network=network) as http,
        ):
            tg.start_soon(listener.serve, handle)
            await http.get("/?cmd=511")
            tg.cancel_scope.cancel()
    assert pieces[0].startswith(b"GET /?cmd=511 HTTP/1.1\r\nHost: strip\r\n")
    assert pieces[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?cmd=200&json=%7B%22port%22:2,%22state%22:1%7D",
        "/a/../b//c?x=a+b%20c&y='\"(){}[]|\\^`<>~!$*,;:@",
        "/%zz%",
        "/?",
        "//elsewhere/",
    ],
)
async def test_the_target_goes_on_the_wire_as_it_is(
    network: MemoryNetwork, target: str
):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network) as http:
            await http.get(target)
    assert strip.requests[0].split(b" ")[1] == target.encode()


@pytest.mark.parametrize("base", ["http://strip/api/v1", "http://strip/api/v1/"])
async def test_the_target_comes_after_the_path_of_the_base_url(
    network: MemoryNetwork, base: str
):
    async with site(reply(), network=network) as strip:
        async with open_http(base, network=network) as http:
            await http.get("/login?x=1")
    assert strip.requests[0].startswith(b"GET /api/v1/login?x=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "x",
        "?cmd=1",
        "http://elsewhere/",
        "/a b",
        "/a#b",
        "/\u00e9",
        "/\x7f",
        "/a HTTP/1.1\r\nHost: elsewhere\r\nX:",
    ],
)
async def test_what_is_no_percent_encoded_path_is_not_sent(
    network: MemoryNetwork, target: str
):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network) as http:
            with pytest.raises(UsageError, match="not a percent-encoded path"):
                await http.get(target)
    assert strip.connections == 0


async def test_a_body_is_sent_with_its_length(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network) as http:
            await http.request("POST", "/x", body=b'{"a": 1}', headers={"X-One": "1"})
    head, _, body = strip.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert b"Content-Length: 8" in head
    assert b"X-One: 1" in head
    assert body == b'{"a": 1}'


async def test_header_fields_of_every_request_and_of_one(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network, headers={"X-All": "all"}) as http:
            await http.get("/", headers={"X-One": "one"})
            await http.get("/")
    assert b"X-All: all\r\n" in strip.requests[0]
    assert b"X-One: one\r\n" in strip.requests[0]
    assert b"X-All: all\r\n" in strip.requests[1]
    assert b"X-One" not in strip.requests[1]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X": "two\r\nlines"}),
        ("GET", {"X": "\u00e9"}),
        ("GET", {"X y": "z"}),
        ("G T", {}),
    ],
)
async def test_a_request_that_cannot_be_sent_is_a_usage_error(
    network: MemoryNetwork, method: str, headers: dict[str, str]
):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network) as http:
            with pytest.raises(UsageError, match="cannot be sent"):
                await http.request(method, "/", headers=headers)
    assert strip.requests == []


async def test_name_and_password_are_sent_and_never_shown(
    network: MemoryNetwork, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    base = f"http://me:{SECRET}@strip"
    target = f"/?token={SECRET}"
    async with site(reply(), hang_up, network=network) as strip:
        async with open_http(base, network=network) as http:
            await http.get(target)
            with pytest.raises(Exception, match="hung up") as caught:
                await http.get(target)
            with pytest.raises(UsageError) as unsent:
                await http.get(target + " ")
    assert b"Authorization: Basic " in strip.requests[0]
    assert SECRET.encode() in strip.requests[0], "the query goes out"
    for error in (caught.value, unsent.value):
        assert SECRET not in f"{error} {error!r} {vars(error)} {error.__cause__}"
    assert SECRET not in caplog.text


async def test_proxies_and_netrc_of_the_environment_are_not_used(
    network: MemoryNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine strip login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy:3128")
    async with (
        site(reply(), network=network) as strip,
        site(reply(), network=network, host="proxy", port=3128) as proxy,
    ):
        async with open_http(URL, network=network) as http:
            await http.get("/")
    assert (strip.connections, proxy.connections) == (1, 0)
    assert b"authorization" not in strip.requests[0].lower()


async def test_cookies_are_not_kept(network: MemoryNetwork):
    answer = reply(b"ok", "Set-Cookie: session=1", "Set-Cookie: other=2; Path=/")
    async with site(answer, network=network) as strip:
        async with open_http(URL, network=network) as http:
            answered = await http.get("/")
            await http.get("/")
    assert "session=1" in answered.headers["set-cookie"]
    assert b"cookie" not in strip.requests[1].lower()


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "strip",
        "strip:80",
        "ftp://strip",
        "http://",
        "http:///path",
        "//strip",
        "http://strip?x=1",
        "http://strip#x",
        "http://strip:port",
        "http://[::1",
        "\x00",
    ],
)
async def test_what_is_no_url_of_http_is_a_config_error(
    network: MemoryNetwork, base_url: str
):
    with pytest.raises(ConfigError, match="not "):
        async with open_http(base_url, network=network):
            pytest.fail("opened")


async def test_a_bad_base_url_does_not_show_its_password(network: MemoryNetwork):
    with pytest.raises(ConfigError) as caught:
        async with open_http(f"ftp://me:{SECRET}@strip", network=network):
            pytest.fail("opened")
    assert SECRET not in str(caught.value)


# ------------------------------------------------------------------------ what comes in


async def test_a_reply_has_status_headers_in_lower_case_and_body(
    network: MemoryNetwork,
):
    answer = reply(b'{"code": 200}', "Content-Type: text/plain", "X-Two: 1", "X-Two: 2")
    async with site(answer, network=network):
        async with open_http(URL, network=network) as http:
            assert await http.get("/") == HttpReply(
                status=200,
                headers={
                    "content-length": "13",
                    "content-type": "text/plain",
                    "x-two": "1, 2",
                },
                body=b'{"code": 200}',
            )


FRAMINGS = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "until the end": b"HTTP/1.1 200 OK\r\n\r\nok",
    "HTTP/1.0 until the end": b"HTTP/1.0 200 OK\r\n\r\nok",
    "LF only": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "no space, zeros": b"HTTP/1.1 200 OK\r\nContent-Length:0002\r\n\r\nok",
    "length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "length repeated": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"
    ),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1;x=y\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n"
    ),
    "after a provisional one": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ),
    "identity": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: identity\r\n\r\nok"
    ),
}


@pytest.mark.parametrize("answer", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
async def test_every_framing_that_devices_use_is_understood(
    network: MemoryNetwork, answer: bytes, piece_bytes: int
):
    async def in_pieces(stream: ByteStream) -> None:
        for begin in range(0, len(answer), piece_bytes):
            await stream.send(answer[begin : begin + piece_bytes])
            await anyio.sleep(0.001)
        await stream.aclose()

    async with site(in_pieces, network=network):
        async with open_http(URL, network=network) as http:
            answered = await http.get("/")
    assert (answered.status, answered.body) == (200, b"ok")


@pytest.mark.parametrize("status", [204, 301, 304, 404, 500, 999])
async def test_a_status_is_the_callers_to_judge(network: MemoryNetwork, status: int):
    body = b"" if status in (204, 304) else b"text"
    async with site(reply(body, status=f"{status} X"), network=network):
        async with open_http(URL, network=network) as http:
            answered = await http.get("/")
    assert (answered.status, answered.body) == (status, body)


async def test_redirects_are_not_followed(network: MemoryNetwork):
    answer = reply(b"", "Location: http://elsewhere/", status="302 Found")
    async with (
        site(answer, network=network) as strip,
        site(reply(), network=network, host="elsewhere") as elsewhere,
    ):
        async with open_http(URL, network=network) as http:
            answered = await http.get("/")
    assert answered.headers["location"] == "http://elsewhere/"
    assert (len(strip.requests), elsewhere.connections) == (1, 0)


async def test_a_head_request_has_no_body_whatever_length_is_named(
    network: MemoryNetwork,
):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    async with site(answer, network=network):
        async with open_http(URL, network=network) as http:
            answered = await http.request("HEAD", "/")
    assert (answered.status, answered.body) == (200, b"")


async def test_a_reply_that_comes_before_the_whole_request_is_read(
    network: MemoryNetwork,
):
    async def handle(stream: ByteStream) -> None:
        await stream.receive(10)
        await stream.send(reply(b"", status="413 Too Large"))
        await stream.aclose()

    async with network.listen_tcp("strip", 80) as listener:
        async with (
            anyio.create_task_group() as tg,
            open_http(URL, network=network) as http,
        ):
            tg.start_soon(listener.serve, handle)
            answered = await http.request("POST", "/", body=bytes(1_000_000))
            tg.cancel_scope.cancel()
    assert answered.status == 413
