"""A client that knows nothing of structiot's codecs: bytes out, bytes in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from structiot._kit.net.network import Network, UdpSocket


async def ask_http(network: Network, host: str, request: str, port: int = 80) -> bytes:
    """Send a request, or the target of a GET, and give all bytes up to the end."""
    if not request.startswith("GET "):
        request = f"GET {request} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    async with await network.connect_tcp(host, port) as stream:
        await stream.send(request.encode())
        return await all_of(stream)


async def all_of(stream: anyio.abc.ByteStream) -> bytes:
    received = b""
    try:
        while True:
            received += await stream.receive()
    except anyio.EndOfStream:
        return received


def body_of(reply: bytes) -> Any:
    """Give the JSON of an HTTP reply whose length is right."""
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    fields = {
        n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines[1:])
    }
    assert fields == {
        "content-length": fields["content-length"],
        "content-type": "text/plain",
    }
    assert int(fields["content-length"]) == len(body)
    return json.loads(body)


async def http_json(network: Network, host: str, request: str, port: int = 80) -> Any:
    return body_of(await ask_http(network, host, request, port))


async def data_of(network: Network, host: str, port: int = 80) -> Any:
    """Ask for the data of all ports."""
    return (await http_json(network, host, "/?cmd=511", port))["data"]


class UdpAsker:
    """A UDP socket that asks one strip."""

    def __init__(self, udp: UdpSocket, host: str, port: int) -> None:
        self.udp = udp
        self.target = (host, port)

    async def say(self, datagram: str | bytes) -> None:
        data = datagram.encode() if isinstance(datagram, str) else datagram
        await self.udp.send(data, *self.target)

    async def hear(self, within_s: float = 2.0) -> bytes | None:
        """Give the next datagram, None after a while of silence."""
        with anyio.move_on_after(within_s):
            data, self.source = await self.udp.receive()
            return data
        return None

    async def ask(self, datagram: str | bytes, within_s: float = 2.0) -> bytes | None:
        await self.say(datagram)
        return await self.hear(within_s)


@asynccontextmanager
async def udp_asker(
    network: Network, host: str, port: int = 8888, own_host: str | None = None
) -> AsyncIterator[UdpAsker]:
    async with network.open_udp(own_host, may_broadcast=True) as udp:
        yield UdpAsker(udp, host, port)
