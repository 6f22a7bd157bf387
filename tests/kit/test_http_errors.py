"""The door to HTTP, when things go wrong: one error of ours, and the right one."""

from __future__ import annotations

import contextlib

import anyio
import pytest
from anyio.abc import ByteStream
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.http.client import open_http
from structiot._kit.http.messages import HttpReply
from structiot._kit.net.memory import MemoryNetwork, MemoryStream
from structiot.errors import (
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
)
from structiot.testing.clock import virtual_backend
from tests.kit.web_site import Answer, BlackHole, fall_silent, hang_up, reply, site

pytestmark = pytest.mark.virtual_time

URL = "http://strip"


async def error_of(network: MemoryNetwork, *answers: Answer) -> StructiotError:
    async with site(*answers, network=network) as strip:
        async with open_http(URL, network=network) as http:
            with pytest.raises(StructiotError) as caught:
                await http.get("/?cmd=511")
            await anyio.wait_all_tasks_blocked()
            assert strip.open_connections == 0
    return caught.value


# -------------------------------------------------------------------------- connecting


async def test_nobody_there_is_connect_failed(network: MemoryNetwork):
    async with open_http("http://strip:8080", network=network) as http:
        with pytest.raises(ConnectFailed) as caught:
            await http.get("/")
    assert str(caught.value) == "cannot connect to strip:8080: connection refused"
    assert (caught.value.host, caught.value.port) == ("strip", 8080)


@pytest.mark.parametrize(
    ("base", "port"),
    [("http://strip", 80), ("https://strip", 443), ("http://strip:8", 8)],
)
async def test_no_connection_in_time_is_connect_failed_and_no_reply_timeout(
    base: str, port: int
):
    async with open_http(base, reply_s=2.5, network=BlackHole()) as http:
        with pytest.raises(ConnectFailed) as caught:
            await http.get("/")
    assert anyio.current_time() == 2.5
    text = f"cannot connect to strip:{port}: no answer within 2.5 s"
    assert str(caught.value) == text
    assert (caught.value.host, caught.value.port) == ("strip", port)


# --------------------------------------------------------------------------- too late


async def drip(stream: ByteStream) -> None:
    for number in reply(b"x" * 1000):
        await stream.send(bytes([number]))
        await anyio.sleep(1)


async def head_only(stream: ByteStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await anyio.sleep_forever()


async def provisional_for_ever(stream: ByteStream) -> None:
    while True:
        await stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await anyio.sleep(0.5)


@pytest.mark.parametrize(
    "answer",
    [fall_silent, drip, head_only, provisional_for_ever],
    ids=lambda f: f.__name__,
)
async def test_a_reply_that_is_not_complete_in_time_is_reply_timeout(
    network: MemoryNetwork, answer: Answer
):
    error = await error_of(network, answer)
    assert anyio.current_time() == 10
    assert isinstance(error, ReplyTimeout)
    assert str(error) == "no reply to GET http://strip/ within 10 s"
    assert (error.request, error.after_s) == ("GET http://strip/", 10)


async def test_each_request_has_the_whole_time(network: MemoryNetwork):
    async def slowly(stream: ByteStream) -> None:
        await anyio.sleep(9)
        await stream.send(reply())

    async with site(slowly, network=network):
        async with open_http(URL, network=network) as http:
            for _ in range(3):
                assert (await http.get("/")).body == b"ok"
    assert anyio.current_time() == 27


async def test_a_place_in_the_queue_counts_as_waiting_for_the_reply(
    network: MemoryNetwork,
):
    errors: list[StructiotError] = []

    async with site(fall_silent, network=network):
        async with open_http(URL, network=network) as http:

            async def ask() -> None:
                with pytest.raises(ReplyTimeout) as caught:
                    await http.get("/")
                errors.append(caught.value)

            async with anyio.create_task_group() as tg:
                for _ in range(15):
                    tg.start_soon(ask)
    assert len(errors) == 15
    assert anyio.current_time() == 10


async def test_the_callers_own_deadline_is_the_callers(network: MemoryNetwork):
    async with site(fall_silent, network=network):
        async with open_http(URL, network=network) as http:
            with pytest.raises(TimeoutError) as caught, anyio.fail_after(1):
                await http.get("/")
    assert not isinstance(caught.value, StructiotError)


# ---------------------------------------------------------------------------- hung up


async def test_a_hang_up_without_a_byte_is_link_lost(network: MemoryNetwork):
    error = await error_of(network, hang_up)
    assert isinstance(error, LinkLost)
    assert str(error) == "GET http://strip/: the peer hung up without a reply"
    assert error.reason == "hung up without a reply"


HALVES = {
    "status line": b"HTTP/1.1 2",
    "head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf",
    "last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_half_sent_reply_is_link_lost(network: MemoryNetwork, half: bytes):
    async def send_half(stream: ByteStream) -> None:
        await stream.send(half)
        await anyio.aclose_forcefully(stream)

    error = await error_of(network, send_half)
    assert isinstance(error, LinkLost)
    assert error.reason == "hung up in the middle of a reply"
    assert str(error) == f"GET http://strip/: the peer {error.reason}"


@pytest.mark.parametrize(
    "begin", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"]
)
async def test_a_reset_is_link_lost(network: MemoryNetwork, begin: bytes):
    async def reset(stream: ByteStream) -> None:
        assert isinstance(stream, MemoryStream)
        await stream.send(begin)
        await anyio.wait_all_tasks_blocked()
        stream.reset()

    error = await error_of(network, reset)
    assert isinstance(error, LinkLost)
    assert str(error) == "GET http://strip/: connection lost: connection broken"
    assert error.reason == "connection broken"


async def test_a_hang_up_on_a_kept_connection_is_link_lost(network: MemoryNetwork):
    async with site(reply(), hang_up, network=network) as strip:
        async with open_http(URL, network=network) as http:
            await http.get("/")
            with pytest.raises(LinkLost) as caught:
                await http.get("/")
    assert caught.value.reason == "hung up without a reply"
    assert strip.connections == 1


# --------------------------------------------------------------------- no HTTP at all


VIOLATIONS = {
    "rubbish": b"\x00\x01\x02rubbish\r\n\r\n",
    "body without head": b'{"response": 511}\r\n\r\n',
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
    "length below zero": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
    ),
    "endless length": b"HTTP/1.1 200 OK\r\nContent-Length: "
    + b"9" * 5000
    + b"\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "unknown transfer encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n",
    "chunk length that is no number": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
    "head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    "redirect to nowhere": reply(
        b"", "Location: http://strip:port", status="302 Found"
    ),
}


@pytest.mark.parametrize("answer", VIOLATIONS.values(), ids=VIOLATIONS)
async def test_what_is_no_http_is_a_protocol_violation(
    network: MemoryNetwork, answer: bytes
):
    error = await error_of(network, answer)
    assert isinstance(error, ProtocolViolation)
    assert str(error).startswith("GET http://strip/: not a valid HTTP reply: ")
    assert anyio.current_time() == 0


async def test_an_upgrade_that_was_not_asked_for_is_an_empty_reply(
    network: MemoryNetwork,
):
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nrubbish"
    error = await error_of(network, answer)
    assert isinstance(error, ProtocolViolation)


anything = st.binary(max_size=300) | st.builds(
    lambda head, body: b"HTTP/1.1 " + head + b"\r\n\r\n" + body,
    st.lists(
        st.sampled_from(
            [
                b"200 OK",
                b"100 x",
                b"\r\nContent-Length: 3",
                b"\r\nContent-Encoding: gzip",
                b"\r\nTransfer-Encoding: chunked",
                b"\r\nConnection: close",
                b"\r\nLocation: \xff",
            ]
        ),
        max_size=4,
    ).map(b"".join),
    st.binary(max_size=20),
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(answers=st.lists(anything, min_size=1, max_size=3))
def test_whatever_a_server_sends_only_errors_of_ours_come_out(
    backend: str, answers: list[bytes]
):
    async def main() -> None:
        network = MemoryNetwork()

        async def send_and_close(stream: ByteStream) -> None:
            await stream.send(answers[-1])
            await anyio.aclose_forcefully(stream)

        async with site(*answers[:-1], send_and_close, network=network):
            async with open_http(URL, network=network) as http:
                for _ in answers:
                    with contextlib.suppress(StructiotError):
                        assert isinstance(await http.get("/"), HttpReply)

    with virtual_backend(backend) as (name, options):
        anyio.run(main, backend=name, backend_options=options)
