"""A strip that answers with the words of a golden file, and nothing of our own codec."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import unquote

import anyio
from anyio.abc import ByteStream

from structiot._kit.net.network import Network, UdpSocket

_TARGET = re.compile(r"GET /\?cmd=(\d+)(?:&json=(\S*))? HTTP/1\.1\r\n")
_V3 = re.compile(r'V3\{.*"cmd":(\d+)')


class GoldenStrip:
    """Plays one of `tests/golden/maxsmart/families`.

    Attributes:
        sent: What it was asked, in plain words: HTTP as `511 {"sn":...}`, datagrams
            as they came.
    """

    def __init__(self, sample: dict[str, Any]) -> None:
        self.sent: list[str] = []
        self._head: str | None = sample["head"]
        self._answers: dict[str, str] = dict(sample["answers"])
        self._then: list[dict[str, Any]] = sample["then"]

    def _answer(self, key: str, asked: str) -> bytes | None:
        self.sent.append(asked)
        for step in self._then:
            if step["asked"] in asked:
                self._answers |= step["answers"]
        text = self._answers.get(key)
        return None if text is None else text.encode()

    async def serve_http(self, stream: ByteStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            found = _TARGET.match(head.decode())
            assert found is not None, head
            # Everything is encoded: decoding must not be needed to find the end.
            assert re.fullmatch(r"[\w%.~-]*", found[2] or ""), head
            asked = f"{found[1]} {unquote(found[2] or '')}"
            body = self._answer(f"http {found[1]}", asked)
            if body is not None and self._head is not None:
                frame = self._head.format(length=len(body)).encode()
                await stream.send(frame + body)

    async def serve_udp(self, udp: UdpSocket) -> None:
        while True:
            data, peer = await udp.receive()
            asked = data.decode()
            found = _V3.match(asked)
            is_discovery = asked.startswith(("00dv=all", "00sw=all"))
            key = "discovery" if is_discovery else f"v3 {found[1] if found else '?'}"
            answer = self._answer(key, asked)
            if answer is not None:
                await udp.send(answer, *peer)


@asynccontextmanager
async def golden_strip(
    sample: dict[str, Any], host: str, network: Network
) -> AsyncGenerator[GoldenStrip]:
    """Play a golden file at an address, at the usual ports."""
    strip = GoldenStrip(sample)
    async with AsyncExitStack() as sockets, anyio.create_task_group() as tg:
        udp = await sockets.enter_async_context(network.open_udp(host, 8888))
        tg.start_soon(strip.serve_udp, udp)
        if sample["head"] is not None:
            tcp = await sockets.enter_async_context(network.listen_tcp(host, 80))
            tg.start_soon(tcp.serve, strip.serve_http)
        yield strip
        tg.cancel_scope.cancel()
