"""The door to HTTP: how much is read, and how packed bodies are unpacked."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import anyio
import pytest
from anyio.abc import ByteStream

from structiot._kit.http.client import open_http
from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import ProtocolViolation
from tests.kit.web_site import reply, site

pytestmark = pytest.mark.virtual_time

URL = "http://strip"
PACKED = gzip.compress(b"packed", mtime=0)


def chunked(*pieces: bytes) -> bytes:
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b"")]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


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


async def test_an_endless_reply_is_not_read_to_its_end(network: MemoryNetwork):
    sent_bytes = 0

    async def send_for_ever(stream: ByteStream) -> None:
        nonlocal sent_bytes
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send(bytes(10_000))
            sent_bytes += 10_000

    async with site(send_for_ever, network=network) as strip:
        async with open_http(URL, network=network, max_body_bytes=100_000) as http:
            with pytest.raises(ProtocolViolation, match="larger than 100000 bytes"):
                await http.get("/")
            await anyio.wait_all_tasks_blocked()
            assert strip.open_connections == 0
    assert sent_bytes < 300_000


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


@pytest.mark.parametrize(
    ("packed", "body"),
    [
        (PACKED, b"packed"),
        (PACKED + gzip.compress(b" and joined", mtime=0), b"packed and joined"),
        (b"", b""),
        (gzip.compress(b"", mtime=0), b""),
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
