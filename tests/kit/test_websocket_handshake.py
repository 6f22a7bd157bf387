"""How websockets begin, on both sides, and all the ways in which they do not."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.net.memory import memory_pipe
from structiot._kit.websocket import accept_websocket, connect_websocket
from structiot.errors import (
    AuthRefused,
    ConfigError,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    StructiotError,
)
from tests.kit.websocket_frames import (
    BINARY,
    MASK,
    Peer,
    accepting,
    frame,
    request,
)

pytestmark = pytest.mark.virtual_time

LOOK = "; look at the port and the path"


async def refused(
    answer: bytes, *, hang_up: bool = False, path: str = "/p"
) -> StructiotError:
    """Ask for a websocket and get this answer."""
    near, far = memory_pipe()

    async def serve() -> None:
        await Peer(far).request()
        await far.send(answer)
        if hang_up:
            await far.aclose()

    async with near, far, anyio.create_task_group() as tg:
        tg.start_soon(serve)
        with pytest.raises(StructiotError) as caught:
            await connect_websocket(near, host="h:80", path=path, subprotocols=["mqtt"])
    return caught.value


def http(status: int, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Word\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


@pytest.mark.parametrize("status", [401, 403])
async def test_a_server_that_wants_a_login_is_auth_refused(status: int):
    error = await refused(http(status, b"go away"))
    assert isinstance(error, AuthRefused)
    assert error.code == status
    wanted = f"h:80 refused the websocket /p: HTTP {status}; it wants a login"
    assert str(error) == wanted


@pytest.mark.parametrize("status", [301, 400, 404, 426, 500])
async def test_a_server_that_refuses_otherwise_is_connect_failed(status: int):
    error = await refused(http(status))
    assert isinstance(error, ConnectFailed)
    assert str(error) == f"h:80 refused the websocket /p: HTTP {status}{LOOK}"


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 500])
async def test_no_message_of_a_refusal_has_the_query(status: int):
    text = str(await refused(http(status), path="/p?token=s3cret"))
    assert "HTTP" in text
    assert "token" not in text


async def test_a_query_that_http_cannot_carry_is_not_shown():
    near, far = memory_pipe()
    async with near, far:
        with pytest.raises(ConfigError) as caught:
            await connect_websocket(near, host="h", path="/p?token=s3 cret")
    assert str(caught.value) == (
        "percent-encode the query of the path '/p' of the websocket"
    )


async def test_a_server_of_web_pages_is_told_apart():
    error = await refused(http(200, b"<html>"))
    assert isinstance(error, ConnectFailed)
    assert "answers as a web server, not by websocket (HTTP 200)" in str(error)
    assert str(error).endswith(LOOK)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x20\x02\x00\x05\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        (
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        ),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 65_000,
    ],
)
async def test_an_answer_that_is_no_handshake_is_connect_failed(answer: bytes):
    error = await refused(answer, hang_up=True)
    assert isinstance(error, ConnectFailed)
    assert str(error).startswith("h:80 does not speak websocket (")
    assert str(error).endswith(LOOK)


async def test_headers_without_end_are_cut_off():
    near, far = memory_pipe()

    async def serve() -> None:
        await far.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        with pytest.raises(anyio.BrokenResourceError):
            for _ in range(100_000):
                await far.send(b"X: y\r\n")

    async with anyio.create_task_group() as tg:
        tg.start_soon(serve)
        with pytest.raises(ConnectFailed, match="does not speak websocket"):
            await connect_websocket(near, host="h:80")
        await near.aclose()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Swi"])
async def test_a_server_that_hangs_up_is_connect_failed(answer: bytes):
    error = await refused(answer, hang_up=True)
    assert isinstance(error, ConnectFailed)
    assert str(error).startswith("h:80 hung up during the websocket handshake")


@pytest.mark.parametrize(
    ("subprotocol", "words"),
    [
        (None, "speaks websocket but not mqtt in it"),
        ("chat", "does not speak websocket (unrecognized subprotocol chat)"),
    ],
)
async def test_a_server_without_our_subprotocol_is_connect_failed(subprotocol, words):
    near, far = memory_pipe()
    peer = Peer(far)

    async def serve() -> None:
        await peer.send(accepting(await peer.request() + b"\r\n", subprotocol))

    async with near, far, anyio.create_task_group() as tg:
        tg.start_soon(serve)
        with pytest.raises(ConnectFailed) as caught:
            await connect_websocket(near, host="h:80", subprotocols=["mqtt"])
    assert words in str(caught.value)


async def test_the_request_carries_path_host_and_headers():
    near, far = memory_pipe()
    peer = Peer(far)
    requests: list[bytes] = []

    async def serve() -> None:
        requests.append(await peer.request())
        await peer.send(accepting(requests[0] + b"\r\n", None))

    async with near, far, anyio.create_task_group() as tg:
        tg.start_soon(serve)
        ws = await connect_websocket(
            near, host="h:80", path="/mqtt?x=1", headers={"Authorization": "Bearer t"}
        )
        assert ws.subprotocol is None
        assert ws.path == "/mqtt?x=1"
    lines = requests[0].split(b"\r\n")
    assert lines[0] == b"GET /mqtt?x=1 HTTP/1.1"
    assert {b"Host: h:80", b"Authorization: Bearer t"} <= set(lines)


@pytest.mark.parametrize(
    "given",
    [
        {"host": "h\r\nX: y"},
        {"path": "/a b"},
        {"path": "/ä"},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X": " a"}},
        {"headers": {"X Y": "a"}},
        {"headers": {"": "a"}},
    ],
)
async def test_what_http_cannot_carry_is_refused_before_anything_is_sent(given):
    near, far = memory_pipe()
    async with near, far:
        with pytest.raises(ConfigError):
            await connect_websocket(near, **{"host": "h", **given})
        assert not far._inward.buffer


async def test_the_value_of_an_illegal_header_is_not_shown():
    near, far = memory_pipe()
    async with near, far:
        with pytest.raises(ConfigError, match="Authorization") as caught:
            await connect_websocket(
                near, host="h", headers={"Authorization": "secret\n"}
            )
    assert "secret" not in str(caught.value)


# -- the server's side ---------------------------------------------------------------


async def test_a_request_is_accepted_with_the_first_subprotocol_that_both_know():
    near, far = memory_pipe()
    async with near, far:
        fields = (b"Sec-WebSocket-Protocol: chat, mqtt, mqttv3.1", b"X-Me: you")
        await near.send(request(*fields))
        ws = await accept_websocket(far, subprotocols=["mqttv3.1", "mqtt"])
        assert (ws.subprotocol, ws.path) == ("mqtt", "/mqtt")
        assert ws.headers["x-me"] == "you"
        answer = await near.receive()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer, "the RFC's own example"
        await near.send(frame(BINARY, b"question", mask=MASK))
        assert await ws.receive() == b"question"
        await ws.send(b"x")
        assert await near.receive() == frame(BINARY, b"x"), "a server does not mask"


async def test_where_no_subprotocol_is_wanted_none_is_chosen():
    near, far = memory_pipe()
    async with near, far:
        await near.send(request(b"Sec-WebSocket-Protocol: chat"))
        ws = await accept_websocket(far)
        assert ws.subprotocol is None


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(), 400),
        (request(b"Sec-WebSocket-Protocol: chat"), 400),
        (request(version=b"8"), 426),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 400),
        (b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_for_us_is_refused_and_told(asked: bytes, status: int):
    near, far = memory_pipe()
    async with near, far:
        await near.send(asked)
        with pytest.raises(ProtocolViolation):
            await accept_websocket(far, subprotocols=["mqtt"])
        assert (await near.receive()).startswith(b"HTTP/1.1 %d " % status)


async def test_a_request_without_end_is_cut_off():
    near, far = memory_pipe(buffer_bytes=200_000)
    async with near, far:
        await near.send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
        with pytest.raises(ProtocolViolation):
            await accept_websocket(far)


async def test_a_client_that_hangs_up_is_link_lost():
    near, far = memory_pipe()
    async with near, far:
        await near.send(request()[:50])
        await near.aclose()
        with pytest.raises(LinkLost, match="hung up during the websocket handshake"):
            await accept_websocket(far)


async def test_the_refusal_of_one_who_does_not_read_is_given_up():
    near, far = memory_pipe(buffer_bytes=300)
    async with near, far:
        near._inward.buffer += b"x" * 300
        await near.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(ProtocolViolation):
            await accept_websocket(far)
        assert anyio.current_time() == 1
