"""The door to HTTP: what goes out, what comes in, when connections are kept."""

from __future__ import annotations

import gzip
import logging
import tracemalloc
import zlib
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from structiot._kit.http import HttpClient, HttpReply, open_http
from structiot._kit.memory_network import MemoryNetwork, MemoryStream
from structiot._kit.network import REAL_NETWORK
from structiot.errors import ConfigError, ProtocolViolation, UsageError
from tests._support.cancel_sweep import cancel_sweep
from tests.kit.web_site import hang_up, reply, site

URL = "http://strip"
PACKED = gzip.compress(b"packed")
SECRET = "hunter2-and-more"

virtual_time = pytest.mark.virtual_time


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


# ----------------------------------------------------------------------- what goes out


@virtual_time
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


@virtual_time
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


@virtual_time
@pytest.mark.parametrize("base", ["http://strip/api/v1", "http://strip/api/v1/"])
async def test_the_target_comes_after_the_path_of_the_base_url(
    network: MemoryNetwork, base: str
):
    async with site(reply(), network=network) as strip:
        async with open_http(base, network=network) as http:
            await http.get("/login?x=1")
    assert strip.requests[0].startswith(b"GET /api/v1/login?x=1 HTTP/1.1\r\n")


@virtual_time
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


@virtual_time
async def test_a_body_is_sent_with_its_length(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network) as http:
            await http.request("POST", "/x", body=b'{"a": 1}', headers={"X-One": "1"})
    head, _, body = strip.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert b"Content-Length: 8" in head
    assert b"X-One: 1" in head
    assert body == b'{"a": 1}'


@virtual_time
async def test_header_fields_of_every_request_and_of_one(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network, headers={"X-All": "all"}) as http:
            await http.get("/", headers={"X-One": "one"})
            await http.get("/")
    assert b"X-All: all\r\n" in strip.requests[0]
    assert b"X-One: one\r\n" in strip.requests[0]
    assert b"X-All: all\r\n" in strip.requests[1]
    assert b"X-One" not in strip.requests[1]


@virtual_time
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


@virtual_time
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


@virtual_time
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


@virtual_time
async def test_cookies_are_not_kept(network: MemoryNetwork):
    answer = reply(b"ok", "Set-Cookie: session=1", "Set-Cookie: other=2; Path=/")
    async with site(answer, network=network) as strip:
        async with open_http(URL, network=network) as http:
            answered = await http.get("/")
            await http.get("/")
    assert "session=1" in answered.headers["set-cookie"]
    assert b"cookie" not in strip.requests[1].lower()


@virtual_time
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


@virtual_time
async def test_a_bad_base_url_does_not_show_its_password(network: MemoryNetwork):
    with pytest.raises(ConfigError) as caught:
        async with open_http(f"ftp://me:{SECRET}@strip", network=network):
            pytest.fail("opened")
    assert SECRET not in str(caught.value)


# ------------------------------------------------------------------------ what comes in


@virtual_time
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


@virtual_time
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


@virtual_time
@pytest.mark.parametrize("status", [204, 301, 304, 404, 500, 999])
async def test_a_status_is_the_callers_to_judge(network: MemoryNetwork, status: int):
    body = b"" if status in (204, 304) else b"text"
    async with site(reply(body, status=f"{status} X"), network=network):
        async with open_http(URL, network=network) as http:
            answered = await http.get("/")
    assert (answered.status, answered.body) == (status, body)


@virtual_time
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


@virtual_time
async def test_a_head_request_has_no_body_whatever_length_is_named(
    network: MemoryNetwork,
):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    async with site(answer, network=network):
        async with open_http(URL, network=network) as http:
            answered = await http.request("HEAD", "/")
    assert (answered.status, answered.body) == (200, b"")


@virtual_time
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


# ------------------------------------------------------------------------------- limits


def chunked(*pieces: bytes) -> bytes:
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b"")]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


@virtual_time
@pytest.mark.parametrize("length", [100, 101])
@pytest.mark.parametrize(
    "how", ["announced", "one chunk", "chunks", "until the end", "gzip"]
)
async def test_a_reply_larger_than_allowed_is_refused(
    network: MemoryNetwork, length: int, how: str
):
    body = b"x" * length
    answer = {
        "announced": reply(body),
        "one chunk": chunked(body),
        "chunks": chunked(body[:30], body[30:], *[b"and more"] * (length - 100)),
        "until the end": b"HTTP/1.1 200 OK\r\n\r\n" + body,
        "gzip": reply(gzip.compress(body), "Content-Encoding: gzip"),
    }[how]

    async def send_and_close(stream: ByteStream) -> None:
        await stream.send(answer)
        await stream.aclose()

    async with site(send_and_close, network=network) as strip:
        async with open_http(URL, network=network, max_body_bytes=100) as http:
            if length == 100:
                assert (await http.get("/")).body == body
                return
            with pytest.raises(ProtocolViolation, match="larger than 100 bytes"):
                await http.get("/")
            await anyio.wait_all_tasks_blocked()
            assert strip.open_connections == 0


@virtual_time
async def test_a_length_that_is_too_long_is_refused_from_the_head_alone(
    network: MemoryNetwork,
):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n"
    async with site(answer, network=network):
        async with open_http(URL, network=network) as http:
            with pytest.raises(ProtocolViolation, match="268435456 bytes announced"):
                await http.get("/")
    assert anyio.current_time() == 0


def bomb(times: int) -> bytes:
    data = bytes(10_000_000)
    for _ in range(times):
        data = gzip.compress(data)
    return data


@virtual_time
async def test_a_packed_bomb_does_not_fill_the_memory(network: MemoryNetwork):
    answer = reply(bomb(1), "Content-Encoding: gzip")
    async with site(answer, network=network):
        async with open_http(URL, network=network, max_body_bytes=100_000) as http:
            tracemalloc.start()
            with pytest.raises(ProtocolViolation, match="larger than 100000 bytes"):
                await http.get("/")
            peak_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak_bytes < 2_000_000


@virtual_time
async def test_packed_bodies_joined_end_to_end_count_as_one(network: MemoryNetwork):
    async def send_and_close(stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        await stream.send(PACKED + PACKED)
        await stream.aclose()

    async with site(send_and_close, network=network):
        for max_body_bytes in (len(PACKED) * 2, len(b"packed") * 2 - 1, 5):
            async with open_http(
                URL, network=network, max_body_bytes=max_body_bytes
            ) as http:
                if max_body_bytes > len(PACKED):
                    assert (await http.get("/")).body == b"packedpacked"
                    continue
                with pytest.raises(ProtocolViolation, match="larger than"):
                    await http.get("/")


@virtual_time
@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "br", "zstd", "x"])
async def test_an_encoding_that_was_not_asked_for_is_refused(
    network: MemoryNetwork, encoding: str
):
    answer = reply(bomb(2), f"Content-Encoding: {encoding}")
    async with site(answer, network=network) as strip:
        async with open_http(URL, network=network) as http:
            with pytest.raises(ProtocolViolation, match="was not asked for"):
                await http.get("/")
    assert b"accept-encoding: gzip\r\n" in strip.requests[0].lower()


@virtual_time
@pytest.mark.parametrize(
    ("packed", "body"),
    [
        (PACKED, b"packed"),
        (PACKED + gzip.compress(b" and joined"), b"packed and joined"),
        (b"", b""),
        (gzip.compress(b""), b""),
    ],
)
async def test_a_packed_body_is_unpacked(
    network: MemoryNetwork, packed: bytes, body: bytes
):
    answer = reply(packed, "Content-Encoding: GZip")

    async def in_bytes(stream: ByteStream) -> None:
        for number in answer:
            await stream.send(bytes([number]))
            await anyio.sleep(0.001)

    async with site(in_bytes, answer, network=network):
        async with open_http(URL, network=network) as http:
            assert [(await http.get("/")).body for _ in range(2)] == [body, body]


@virtual_time
@pytest.mark.parametrize(
    ("packed", "text"),
    [
        (b"no gzip", "not a valid gzip body"),
        (zlib.compress(b"no gzip"), "not a valid gzip body"),
        (PACKED[:-4], "the compressed body is cut short"),
        (PACKED + b"rubbish", "not a valid gzip body"),
    ],
)
async def test_a_body_that_is_not_what_its_label_says_is_refused(
    network: MemoryNetwork, packed: bytes, text: str
):
    async with site(reply(packed, "Content-Encoding: gzip"), network=network):
        async with open_http(URL, network=network) as http:
            with pytest.raises(ProtocolViolation, match=text):
                await http.get("/")


# -------------------------------------------------------------------------- connections


@virtual_time
async def test_no_connection_is_made_before_the_first_request(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network):
            await anyio.wait_all_tasks_blocked()
    assert strip.connections == 0


@virtual_time
async def test_a_connection_is_kept_for_the_next_request(network: MemoryNetwork):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network) as http:
            for _ in range(3):
                await http.get("/")
        await anyio.wait_all_tasks_blocked()
        assert strip.open_connections == 0, "leaving the block closes it"
    assert strip.connections == 1
    assert b"connection: keep-alive\r\n" in strip.requests[0].lower()


@virtual_time
async def test_is_kept_alive_false_closes_the_connection_after_each_reply(
    network: MemoryNetwork,
):
    async with site(reply(), network=network) as strip:
        async with open_http(URL, network=network, is_kept_alive=False) as http:
            for number in range(1, 4):
                await http.get("/")
                await anyio.wait_all_tasks_blocked()
                assert (strip.connections, strip.open_connections) == (number, 0)
    assert b"connection: close\r\n" in strip.requests[0].lower()


async def then_close(stream: ByteStream) -> None:
    await stream.send(reply())
    await stream.aclose()


@virtual_time
async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    network: MemoryNetwork,
):
    async with site(then_close, network=network) as strip:
        async with open_http(URL, network=network) as http:
            for number in range(1, 4):
                assert (await http.get("/")).body == b"ok"
                await anyio.wait_all_tasks_blocked()
                assert strip.connections == number


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Too Late\r\n\r\n"])
async def test_a_socket_that_the_server_has_closed_is_not_used_again(farewell: bytes):
    closed = anyio.Event()

    async def then_close_later(stream: ByteStream) -> None:
        await stream.send(reply())
        await anyio.sleep(0.02)
        await stream.send(farewell)
        await stream.aclose()
        closed.set()

    async with site(
        then_close_later, reply(), network=REAL_NETWORK, host="127.0.0.1", port=0
    ) as strip:
        async with open_http(f"http://127.0.0.1:{strip.address[1]}") as http:
            await http.get("/")
            await closed.wait()
            await anyio.sleep(0.02)
            assert (await http.get("/")).body == b"ok"
            assert (await http.get("/")).body == b"ok"
        assert strip.connections == 2


@virtual_time
async def test_several_tasks_get_each_its_own_reply(network: MemoryNetwork):
    got: list[bytes] = []

    async def echo_target(stream: ByteStream) -> None:
        target = strip.requests[-1].split()[1]
        await anyio.sleep(1)
        await stream.send(reply(target))

    async def ask(http: HttpClient, target: str) -> None:
        got.append((await http.get(target)).body)

    async with site(echo_target, network=network) as strip:
        async with open_http(URL, network=network) as http:
            async with anyio.create_task_group() as tg:
                for number in range(5):
                    tg.start_soon(ask, http, f"/{number}")
                    await anyio.sleep(0.1)
    assert sorted(got) == [b"/0", b"/1", b"/2", b"/3", b"/4"]


@virtual_time
async def test_at_most_ten_connections_are_open_at_a_time(network: MemoryNetwork):
    async def slowly(stream: ByteStream) -> None:
        await anyio.sleep(1)
        await stream.send(reply())

    async with site(slowly, network=network) as strip:
        async with open_http(URL, network=network) as http:
            async with anyio.create_task_group() as tg:
                for _ in range(25):
                    tg.start_soon(http.get, "/")
    assert (strip.most_connections, len(strip.requests)) == (10, 25)
    assert anyio.current_time() == 3


@virtual_time
@pytest.mark.parametrize(
    "left_over", [b"rubbish", reply(b"forged"), b"\r\n", b"HTTP/1.1 200"]
)
async def test_bytes_after_a_reply_are_not_taken_for_the_next(
    network: MemoryNetwork, left_over: bytes
):
    """A length that is too short leaves the rest of its body on the connection."""
    async with site(reply(b"one") + left_over, reply(b"two"), network=network) as strip:
        async with open_http(URL, network=network) as http:
            assert (await http.get("/")).body == b"one"
            try:
                second = await http.get("/")
            except ProtocolViolation:
                assert (await http.get("/")).body == b"two"
                assert strip.connections == 2
            else:
                assert second.body == b"two"


@virtual_time
async def test_a_reply_that_nobody_has_asked_for_is_named(network: MemoryNetwork):
    async with site(reply(b"one") + reply(b"forged"), network=network):
        async with open_http(URL, network=network) as http:
            await http.get("/")
            with pytest.raises(ProtocolViolation, match="came before the request"):
                await http.get("/")


# ------------------------------------------------------------------------- cancellation


@virtual_time
async def test_a_cancelled_request_leaves_no_open_connection(network: MemoryNetwork):
    async def slowly(stream: ByteStream) -> None:
        for begin in range(0, len(answer), 10):
            await stream.send(answer[begin : begin + 10])
            await anyio.sleep(0.1)

    answer = reply(b"x" * 30)
    async with site(slowly, network=network) as strip:
        async with open_http(URL, network=network) as http:
            # More rounds than there are places in the pool.
            for round_ in range(1, 40):
                with anyio.move_on_after(round_ * 0.05) as scope:
                    await http.get("/")
                await anyio.wait_all_tasks_blocked()
                if not scope.cancelled_caught:
                    break
                assert strip.open_connections == 0
            assert round_ > 12
            assert (await http.get("/")).status == 200


@virtual_time
async def test_a_request_cancelled_anywhere_leaves_the_client_usable():
    rounds = 0

    async def flow() -> None:
        nonlocal rounds
        rounds += 1
        with anyio.fail_after(100):
            await http.get("/?x=1")

    network = MemoryNetwork()
    async with site(then_close, network=network) as strip:
        async with open_http(URL, network=network) as http:
            assert await cancel_sweep(flow) > 4
            await anyio.wait_all_tasks_blocked()
            assert strip.open_connections == 0
            assert (await http.get("/")).body == b"ok"
    assert rounds > 4


@virtual_time
async def test_a_client_cancelled_anywhere_closes_all_its_connections(
    network: MemoryNetwork,
):
    async def flow() -> None:
        async with open_http(URL, network=network) as http:
            async with anyio.create_task_group() as tg:
                tg.start_soon(http.get, "/1")
                tg.start_soon(http.get, "/2")
            await http.get("/3")

    async with site(reply(), network=network) as strip:
        assert await cancel_sweep(flow, steps_of="all") > 10
        await anyio.wait_all_tasks_blocked()
        assert strip.open_connections == 0
    assert strip.connections > 10


@virtual_time
async def test_a_connection_may_be_closed_while_a_request_waits(network: MemoryNetwork):
    async def reset(stream: ByteStream) -> None:
        assert isinstance(stream, MemoryStream)
        stream.reset()

    async with site(reset, reply(), network=network):
        async with open_http(URL, network=network) as http:
            with pytest.raises(Exception, match="connection broken"):
                await http.get("/")
            assert (await http.get("/")).body == b"ok"
