"""Heads of replies as some devices write them, in pieces of any size."""

from __future__ import annotations

from contextlib import suppress

import pytest
from anyio.abc import ByteStream

from structiot._kit.http.device import DeviceHttp
from structiot._kit.net.network import LOST
from structiot.errors import LinkLost, ProtocolViolation, StructiotError
from structiot.maxsmart.link.lenient_http import LenientNetwork
from structiot.testing import MemoryNetwork
from tests.kit.web_site import Answer, site

pytestmark = pytest.mark.virtual_time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length : 4\r\nX\t:\ty\r\n\r\n"


async def read(answer: Answer) -> bytes | StructiotError:
    network = MemoryNetwork()
    async with site(answer, network=network):
        http = DeviceHttp("http://strip", network=LenientNetwork(network))
        try:
            return (await http.get("/?cmd=511")).body
        except StructiotError as exc:
            return exc


def in_pieces(data: bytes, size: int) -> Answer:
    async def answer(stream: ByteStream) -> None:
        for begin in range(0, len(data), size):
            await stream.send(data[begin : begin + size])
        await stream.aclose()

    return answer


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
async def test_a_head_is_mended_wherever_it_is_cut(size: int, line_end: bytes):
    # What follows the head stays as it is.
    data = HEAD.replace(b"\r\n", line_end) + b"a : "
    assert await read(in_pieces(data, size)) == b"a : "


async def test_half_a_head_is_a_lost_connection():
    error = await read(in_pieces(HEAD[:-3], 4))
    assert isinstance(error, LinkLost)
    assert error.reason == "hung up in the middle of a reply"


async def test_a_head_without_end_is_given_up():
    sent_bytes = 0

    async def answer(stream: ByteStream) -> None:
        nonlocal sent_bytes
        await stream.send(b"HTTP/1.1 200 OK\r\n")
        with suppress(*LOST):
            while True:
                await stream.send(b"a : b\r\n" * 100)
                sent_bytes += 700

    assert isinstance(await read(answer), ProtocolViolation)
    assert sent_bytes < 500_000
