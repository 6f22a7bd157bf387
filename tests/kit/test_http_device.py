"""HTTP with a connection for each request: what goes out, and what may come back."""

from __future__ import annotations

import contextlib

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.http.device import DeviceHttp
from structiot._kit.http.messages import HttpReply
from structiot._kit.net.memory import MemoryNetwork, MemoryStream
from structiot.errors import (
    ConfigError,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
    UsageError,
)
from structiot.testing import cancel_sweep
from structiot.testing.clock import virtual_backend
from tests.kit.test_http_errors import (
    HALVES,
    VIOLATIONS,
    anything,
    drip,
    head_only,
    provisional_for_ever,
)
from tests.kit.web_site import Answer, BlackHole, fall_silent, hang_up, reply, site

pytestmark = pytest.mark.virtual_time

URL = "http://strip"


async def error_of(network: MemoryNetwork, answer: Answer) -> StructiotError:
    async with site(answer, network=network) as strip:
        with pytest.raises(StructiotError) as caught:
            await DeviceHttp(URL, network=network).get("/?cmd=511")
        await anyio.lowlevel.checkpoint()
        assert strip.open_connections == 0
    return caught.value


async def test_each_request_is_one_write_on_a_connection_of_its_own(network):
    async with site(reply(b"one", "X-Name: a"), reply(b"two"), network=network) as s:
        http = DeviceHttp(URL, network=network)
        first = await http.get("/?cmd=511&json=%7B%7D")
        assert first == HttpReply(
            status=200, headers={"content-length": "3", "x-name": "a"}, body=b"one"
        )
        assert (await http.get("/")).body == b"two"
        await anyio.wait_all_tasks_blocked()
        assert (s.connections, s.most_connections, s.open_connections) == (2, 1, 0)
        assert s.requests[0] == (
            b"GET /?cmd=511&json=%7B%7D HTTP/1.1\r\n"
            b"Host: strip\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )


@pytest.mark.parametrize(
    ("base", "host"), [("http://strip:8080/", "strip:8080"), ("http://[::1]", "[::1]")]
)
async def test_the_host_is_named_as_in_the_url(network, base, host):
    name, port = ("::1", 80) if host == "[::1]" else ("strip", 8080)
    async with site(reply(), network=network, host=name, port=port) as strip:
        await DeviceHttp(base, network=network).get("/")
        assert f"Host: {host}\r\n".encode() in strip.requests[0]


@pytest.mark.parametrize(
    "base",
    [
        "https://strip",
        "http://u:p@strip",
        "http://strip/a",
        "strip",
        "http://",
        "http://s:0",
    ],
)
def test_what_is_no_url_of_a_server_of_http_is_refused(base):
    with pytest.raises(ConfigError) as caught:
        DeviceHttp(base)
    assert ":p@" not in str(caught.value)


@pytest.mark.parametrize("target", ["?cmd=511", "/a b", "/#a", "/ü", ""])
async def test_a_target_that_cannot_be_sent_is_refused(network, target):
    with pytest.raises(UsageError, match="not a percent-encoded path"):
        await DeviceHttp(URL, network=network).get(target)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + reply(),
        reply() + b"and more",
        b"HTTP/1.1 200\r\nContent-Length:0002\r\n\r\nok",
    ],
)
async def test_replies_in_other_frames(network, answer):
    async with site(answer, network=network):
        assert (await DeviceHttp(URL, network=network).get("/")).body == b"ok"


async def test_a_reply_without_a_length_ends_with_the_connection(network):
    async def until_the_end(stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\no")
        await stream.send(b"k")
        await stream.aclose()

    async with site(until_the_end, network=network):
        assert (await DeviceHttp(URL, network=network).get("/")).body == b"ok"


async def test_nobody_there_is_connect_failed(network):
    with pytest.raises(ConnectFailed) as caught:
        await DeviceHttp("http://strip:8080", network=network).get("/")
    assert str(caught.value) == "cannot connect to strip:8080: connection refused"


async def test_no_connection_in_time_is_connect_failed_and_no_reply_timeout():
    with pytest.raises(ConnectFailed) as caught:
        await DeviceHttp(URL, reply_s=2.5, network=BlackHole()).get("/")
    assert anyio.current_time() == 2.5
    assert str(caught.value) == "cannot connect to strip:80: no answer within 2.5 s"


@pytest.mark.parametrize("answer", [fall_silent, drip, head_only, provisional_for_ever])
async def test_a_reply_that_is_not_complete_in_time_is_reply_timeout(network, answer):
    error = await error_of(network, answer)
    assert anyio.current_time() == 10
    assert isinstance(error, ReplyTimeout)
    assert str(error) == "no reply to GET http://strip/ within 10 s"
    assert (error.request, error.after_s) == ("GET http://strip/", 10)


async def test_the_callers_own_deadline_is_the_callers(network):
    async with site(fall_silent, network=network):
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(1):
            await DeviceHttp(URL, network=network).get("/")
    assert not isinstance(caught.value, StructiotError)


async def test_a_hang_up_without_a_byte_is_link_lost(network):
    error = await error_of(network, hang_up)
    assert isinstance(error, LinkLost)
    assert str(error) == "GET http://strip/: the peer hung up without a reply"
    assert error.reason == "hung up without a reply"


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_half_sent_reply_is_link_lost(network, half):
    async def send_half(stream: ByteStream) -> None:
        await stream.send(half)
        await anyio.aclose_forcefully(stream)

    error = await error_of(network, send_half)
    assert isinstance(error, LinkLost)
    assert error.reason == "hung up in the middle of a reply"


async def test_a_reset_is_link_lost(network):
    async def reset(stream: ByteStream) -> None:
        assert isinstance(stream, MemoryStream)
        stream.reset()

    error = await error_of(network, reset)
    assert isinstance(error, LinkLost)
    assert str(error) == "GET http://strip/: connection lost: connection broken"


@pytest.mark.parametrize("answer", VIOLATIONS.values(), ids=VIOLATIONS)
async def test_what_is_no_http_is_a_protocol_violation(network, answer):
    if answer == VIOLATIONS["redirect to nowhere"]:
        # A redirect is a reply like any other here.
        async with site(answer, network=network):
            reply = await DeviceHttp(URL, network=network).get("/")
        assert reply.status == 302
        return
    error = await error_of(network, answer)
    assert isinstance(error, ProtocolViolation)
    assert str(error).startswith("GET http://strip/: not a valid HTTP reply: ")


async def test_an_upgrade_that_was_not_asked_for_is_a_violation(network):
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nrubbish"
    assert isinstance(await error_of(network, answer), ProtocolViolation)


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"x" * 101),
        b"HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000,
    ],
)
async def test_a_reply_that_is_too_long_is_a_violation(network, answer):
    async with site(answer, network=network):
        http = DeviceHttp(URL, max_body_bytes=100, network=network)
        with pytest.raises(ProtocolViolation, match="larger than 100 bytes"):
            await http.get("/")


async def test_a_compressed_reply_that_is_none_is_a_violation(network):
    error = await error_of(network, reply(b"{}", "Content-Encoding: gzip"))
    assert isinstance(error, ProtocolViolation)


async def test_cancelled_anywhere_it_leaves_no_connection(network):
    async with site(reply(), network=network) as strip:

        async def flow() -> None:
            try:
                await DeviceHttp(URL, network=network).get("/")
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.wait_all_tasks_blocked()
                assert strip.open_connections == 0

        assert await cancel_sweep(flow) > 4


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(answer=anything, closes=st.booleans())
def test_whatever_a_server_sends_only_errors_of_ours_come_out(backend, answer, closes):
    async def send(stream: ByteStream) -> None:
        await stream.send(answer)
        if closes:
            await anyio.aclose_forcefully(stream)

    async def main() -> None:
        network = MemoryNetwork()
        async with site(send, network=network):
            with contextlib.suppress(StructiotError):
                await DeviceHttp(URL, network=network).get("/")

    with virtual_backend(backend) as (name, options):
        anyio.run(main, backend=name, backend_options=options)
