"""TCP 80 of a simulated strip: one connection at a time, one request on each.

    connection -> read one head -> fault? -> carry out -> reply -> close

Further connections wait their turn, as on the devices. Whatever a peer does costs
its own connection only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.net.network import LOST, Address
from structiot.sim._faults import Fault, FaultKind, spoiled
from structiot.sim.maxsmart.response_faults import MaxSmartFaults, http_frame
from structiot.sim.maxsmart.responses import Question, answer, question_of_target
from structiot.sim.maxsmart.strip import Strip

__all__ = ["HttpSide"]

_log = logging.getLogger(__name__)

_HEAD_BYTES: Final = 4096
_HEAD_S: Final = 5.0
# A lost request leaves its connection open; a peer that waits longer is let go, as
# it would else keep all others from the strip for ever.
_DROPPED_S: Final = 60.0
_MAX_WAITING: Final = 64
_REQUEST_LINE = re.compile(rb"GET (?P<target>\S+) HTTP/1\.[01]\r?\n")


class HttpSide:
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
        self._on_question(question, head, _peer_of(stream))
        fault = self._faults.take(question.words)
        if fault is not None and fault.kind is FaultKind.DROP:
            await _wait_for_end(stream)
            return
        if fault is not None and fault.kind is FaultKind.HANG_UP:
            return
        is_refused = fault is not None and fault.kind is FaultKind.REFUSE
        content = answer(self._strip, question, self._faults, is_refused=is_refused)
        if content is not None:
            await self._reply(stream, question, fault, content)
            await stream.aclose()

    async def _reply(
        self,
        stream: ByteStream,
        question: Question,
        fault: Fault | None,
        content: bytes,
    ) -> None:
        delay_s = self._faults.delay_s + (fault.delay_s if fault is not None else 0.0)
        if delay_s > 0:
            await anyio.sleep(delay_s)
        if fault is not None and fault.kind is FaultKind.LOSE_REPLY:
            await _wait_for_end(stream)
            return
        family = self._strip.family
        if (
            fault is not None
            and fault.kind is FaultKind.FRAME
            and fault.change is not None
        ):
            frame = fault.change(content)
        elif family.needs_json and not question.has_json:
            frame = content
        else:
            frame = http_frame(
                spoiled(fault, content), is_length_padded=family.is_length_padded
            )
        if fault is not None and fault.kind is FaultKind.CUT:
            frame = frame[: len(frame) - len(content) // 2]
        if fault is not None and fault.kind is FaultKind.DUPLICATE:
            frame *= 2
        await stream.send(frame)


async def _read_head(stream: ByteStream) -> bytes:
    """Read up to the blank line; what is too long or too slow is given as it is."""
    with anyio.move_on_after(_HEAD_S):
        head = await stream.receive(_HEAD_BYTES)
        while len(head) < _HEAD_BYTES and b"\r\n\r\n" not in head:
            head += await stream.receive(_HEAD_BYTES)
        return head
    return b""


async def _wait_for_end(stream: ByteStream) -> None:
    with anyio.move_on_after(_DROPPED_S):
        while True:
            await stream.receive(_HEAD_BYTES)


def _peer_of(stream: ByteStream) -> Address:
    address = stream.extra(SocketAttribute.remote_address, ("", 0))
    return (str(address[0]), int(address[1]))
