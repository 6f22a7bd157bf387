"""TCP 80 of a simulated strip: one connection at a time, one request on each.

    connection -> read one head -> fault? -> carry out -> reply -> close

Further connections wait their turn, as on the devices. What a device reads and writes
is not quite HTTP, so both are done by hand here. Whatever a peer does costs its own
connection only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
from anyio.abc import ByteStream

from structiot._kit.http.messages import HttpReply
from structiot._kit.http.server import RawReply, peer_of, send_raw
from structiot._kit.net.network import LOST, Address
from structiot.sim.maxsmart.response_faults import MaxSmartFaults
from structiot.sim.maxsmart.responses import Question, answer, question_of_target
from structiot.sim.maxsmart.strip import Strip
from structiot.sim.shared.http_faults import faulty_reply

__all__ = ["StripHttp", "http_frame"]

_log = logging.getLogger(__name__)

_HEAD_BYTES: Final = 4096
_HEAD_S: Final = 5.0
_MAX_WAITING: Final = 64
_REQUEST_LINE = re.compile(rb"GET (?P<target>\S+) HTTP/1\.[01]\r?\n")


class StripHttp:
    """Serves the HTTP commands of one strip.

    Args:
        strip: The strip.
        faults: What it gets wrong.
        on_question: Told about each request before it is carried out.
    """

    def __init__(
        self,
        strip: Strip,
        faults: MaxSmartFaults,
        on_question: Callable[[Question, bytes, Address], None],
    ) -> None:
        self._strip = strip
        self._faults = faults
        self._on_question = on_question
        self._turn = anyio.Lock(fast_acquire=True)

    async def serve(self, stream: ByteStream) -> None:
        """Serve one connection; returns when it is closed."""
        try:
            if self._turn.statistics().tasks_waiting < _MAX_WAITING:
                async with self._turn:
                    await self._serve_one(stream)
        except LOST as exc:
            _log.debug("%s: peer gone: %r", self._strip.serial, exc)
        finally:
            await anyio.aclose_forcefully(stream)

    async def _serve_one(self, stream: ByteStream) -> None:
        head = await _read_head(stream)
        found = _REQUEST_LINE.match(head)
        if found is None:
            return
        question = question_of_target(found["target"].decode("latin-1"))
        self._on_question(question, head, peer_of(stream))
        reply = await faulty_reply(
            self._faults,
            question.words,
            partial(self._answer, question),
            partial(self._answer, question, is_refused=True),
            partial(self._framed, question),
        )
        if isinstance(reply, RawReply):
            await send_raw(stream, reply)
            await stream.aclose()

    async def _answer(  # noqa: ASYNC124 - other devices have to wait for something
        self, question: Question, *, is_refused: bool = False
    ) -> HttpReply | None:
        content = answer(self._strip, question, self._faults, is_refused=is_refused)
        return None if content is None else HttpReply(body=content)

    def _framed(self, question: Question, _: HttpReply, content: bytes) -> bytes:
        family = self._strip.family
        if family.needs_json and not question.has_json:
            return content
        return http_frame(content, is_length_padded=family.is_length_padded)


def http_frame(content: bytes, *, is_length_padded: bool = False) -> bytes:
    """Put a content into the frame that the strips use."""
    length = f":{len(content):04d}" if is_length_padded else f": {len(content)}"
    blank = "" if is_length_padded else " "
    head = f"HTTP/1.1 200 OK\r\nContent-Length{length}\r\nContent-Type:{blank}text/plain\r\n\r\n"
    return head.encode() + content


async def _read_head(stream: ByteStream) -> bytes:
    """Read up to the blank line; what is too long or too slow is given as it is."""
    with anyio.move_on_after(_HEAD_S):
        head = await stream.receive(_HEAD_BYTES)
        while len(head) < _HEAD_BYTES and b"\r\n\r\n" not in head:
            head += await stream.receive(_HEAD_BYTES)
        return head
    return b""
