"""The way through a proxy, and what a proxy can do to who takes it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import ByteStream

from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.network import LOST
from structiot._kit.net.proxy import Proxy, connect_through, parse_proxy
from structiot.errors import AuthRefused, ConfigError, ConnectFailed

pytestmark = pytest.mark.virtual_time

HTTP = Proxy(scheme="http", host="proxy", port=8080)
SOCKS = Proxy(scheme="socks5", host="proxy", port=1080)
HTTP_LOGIN = parse_proxy("http://me:s%40crt@proxy:8080")
SOCKS_LOGIN = parse_proxy("socks5://me:s%40crt@proxy:1080")

HANG_UP = b"hang up"


@asynccontextmanager
async def proxy_that(
    answers: list[bytes], port: int
) -> AsyncIterator[tuple[MemoryNetwork, list[bytes]]]:
    """Answer what comes with one after the other, and then hang up."""
    network = MemoryNetwork()
    heard: list[bytes] = []

    async def handle(stream: ByteStream) -> None:
        try:
            for answer in answers:
                if answer == HANG_UP:
                    return
                heard.append(await stream.receive(1000))
                await stream.send(answer)
            heard.append(await stream.receive(1000))
            await stream.send(b"from the far side")
        except LOST:
            pass
        finally:
            await stream.aclose()

    async with network.listen_tcp("proxy", port) as listener:
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, handle)
            yield network, heard
            tg.cancel_scope.cancel()


GRANTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"


@pytest.mark.parametrize(
    ("proxy", "host", "answers", "asked"),
    [
        (
            HTTP,
            "broker",
            [b"HTTP/1.1 200 Connection established\r\n\r\n"],
            [b"CONNECT broker:1883 HTTP/1.1\r\nHost: broker:1883\r\n\r\n"],
        ),
        (
            HTTP_LOGIN,
            "::1",
            [b"HTTP/1.0 204\r\nVia: x\r\n\r\n"],
            [
                b"CONNECT [::1]:1883 HTTP/1.1\r\nHost: [::1]:1883\r\n"
                b"Proxy-Authorization: Basic "
                + base64.b64encode(b"me:s@crt")
                + b"\r\n\r\n"
            ],
        ),
        (
            SOCKS,
            "broker",
            [b"\x05\x00", GRANTED],
            [b"\x05\x01\x00", b"\x05\x01\x00\x03\x06broker\x07\x5b"],
        ),
        (
            SOCKS_LOGIN,
            "broker",
            [b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x03\x04name\x00\x50"],
            [
                b"\x05\x02\x00\x02",
                b"\x01\x02me\x05s@crt",
                b"\x05\x01\x00\x03\x06broker\x07\x5b",
            ],
        ),
        (
            SOCKS_LOGIN,
            "broker",
            [b"\x05\x00", b"\x05\x00\x00\x04" + bytes(18)],
            [b"\x05\x02\x00\x02", b"\x05\x01\x00\x03\x06broker\x07\x5b"],
        ),
    ],
)
async def test_a_proxy_is_asked_in_its_own_words_and_then_out_of_the_way(
    proxy: Proxy, host: str, answers: list[bytes], asked: list[bytes]
):
    async with proxy_that(answers, proxy.port) as (network, heard):
        stream = await connect_through(network, proxy, host, 1883)
        await stream.send(b"to the far side")
        assert await stream.receive() == b"from the far side"
        await stream.aclose()
    assert heard == [*asked, b"to the far side"]


@pytest.mark.parametrize(
    ("proxy", "answers", "problem"),
    [
        (HTTP, [b"HTTP/1.1 502 Bad Gateway\r\n\r\n"], "502 Bad Gateway"),
        (HTTP, [b"HTTP/1.1 200 OK\r\n\r\nmore"], "more than an answer"),
        (HTTP, [b"SSH-2.0-x\r\n\r\n"], "does not speak HTTP"),
        (HTTP, [b"HTTP/1.1 abc\r\n\r\n"], "does not speak HTTP"),
        (HTTP, [HANG_UP], "hung up on the way to broker:1883"),
        (HTTP, [b"HTTP/1.1 2", HANG_UP], "hung up on the way to broker:1883"),
        (SOCKS, [b"HT"], "does not speak SOCKS 5"),
        (SOCKS, [b"\x05\x00", b"\x04\x00\x00\x01"], "does not speak SOCKS 5"),
        (SOCKS, [b"\x05\x00", b"\x05\x05\x00\x01"], "connection refused"),
        (SOCKS, [b"\x05\x00", b"\x05\x63\x00\x01"], "refusal 99"),
        (SOCKS, [b"\x05", HANG_UP], "hung up"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_named_with_its_reason(
    proxy: Proxy, answers: list[bytes], problem: str
):
    async with proxy_that(answers, proxy.port) as (network, _):
        with pytest.raises(ConnectFailed, match=problem) as caught:
            await connect_through(network, proxy, "broker", 1883)
    assert f"{proxy.scheme}://proxy:{proxy.port}" in str(caught.value)
    assert (caught.value.host, caught.value.port) == ("broker", 1883)


async def test_an_answer_that_does_not_end_is_left():
    async with proxy_that([b"HTTP/1.1 200 OK\r\n" + b"x" * 20_000] * 9, 8080) as (
        network,
        _,
    ):
        with pytest.raises(ConnectFailed, match="does not end"):
            await connect_through(network, HTTP, "broker", 1883)


@pytest.mark.parametrize(
    ("proxy", "answers"),
    [
        (HTTP, [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]),
        (HTTP_LOGIN, [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]),
        (SOCKS, [b"\x05\xff"]),
        (SOCKS, [b"\x05\x02"]),
        (SOCKS_LOGIN, [b"\x05\xff"]),
        (SOCKS_LOGIN, [b"\x05\x02", b"\x01\x01"]),
    ],
)
async def test_a_proxy_that_wants_other_credentials_is_auth_refused(
    proxy: Proxy, answers: list[bytes]
):
    async with proxy_that(answers, proxy.port) as (network, _):
        with pytest.raises(AuthRefused, match="does not take") as caught:
            await connect_through(network, proxy, "broker", 1883)
    assert caught.value.account == proxy.username
    assert "s@crt" not in str(caught.value)


async def test_a_proxy_that_is_not_there_is_named():
    with pytest.raises(ConnectFailed, match="proxy:8080"):
        await connect_through(MemoryNetwork(), HTTP, "broker", 1883)


async def test_a_name_that_socks_cannot_carry_is_refused():
    async with proxy_that([b"\x05\x00"], 1080) as (network, _):
        with pytest.raises(ConfigError, match="255 bytes"):
            await connect_through(network, SOCKS, "x" * 256, 1883)


@pytest.mark.parametrize(
    ("uri", "proxy"),
    [
        ("http://proxy", HTTP),
        ("socks5://proxy", SOCKS),
        ("http://[::1]:3128/", Proxy(scheme="http", host="::1", port=3128)),
    ],
)
def test_an_address_of_a_proxy_is_read(uri: str, proxy: Proxy):
    assert parse_proxy(uri) == proxy


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "proxy:8080",
        "https://proxy",
        "http://",
        "http://[::1",
        "http://p:x",
        "http://p:0",
    ],
)
def test_what_is_no_address_of_a_proxy_is_refused(uri: str):
    with pytest.raises(ConfigError, match="proxy"):
        parse_proxy(uri)


def test_a_proxy_is_shown_without_its_credentials():
    for shown in (str(HTTP_LOGIN), repr(HTTP_LOGIN)):
        assert "s@crt" not in shown
