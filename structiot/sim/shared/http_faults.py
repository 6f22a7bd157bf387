"""What a simulated HTTP service gets wrong: replies cut, late, or in an odd frame.

    http = HttpServer(faulty(self._answer, self.faults))

`HTTP_FRAMES` says how a reply can be framed, `HttpFaults` lets one be asked for by name:

    sim.faults.frame_next("chunked")
    sim.faults.lie_next("half")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar

import anyio

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import Handler, RawReply
from structiot.errors import UsageError
from structiot.sim.shared.faults import Change, Fault, FaultKind, Faults, framed
from structiot.sim.shared.http_frames import HTTP_FRAMES, http_frame
from structiot.sim.shared.json_lies import JSON_LIES

__all__ = ["HttpFaults", "faulty", "faulty_reply"]

# What changes nothing in the bytes of a reply.
_HONEST = (None, FaultKind.REFUSE, FaultKind.DELAY)


class HttpFaults(Faults):
    """What a service gets wrong that answers by HTTP, with JSON.

    Attributes:
        lies: The wrong contents that it knows, by name.
    """

    lies: ClassVar[Mapping[str, Change]] = JSON_LIES

    def lie_next(self, lie: str, times: int = 1, *, on: str | None = None) -> None:
        """Tell one of the `lies` in the next replies.

        Raises:
            UsageError: No such lie.
        """
        change = _named(lie, self.lies)
        self.add(Fault(kind=FaultKind.CHANGE, on=on, change=change), times)

    def frame_next(self, frame: str, times: int = 1, *, on: str | None = None) -> None:
        """Frame the next HTTP replies as one of the `HTTP_FRAMES`.

        Raises:
            UsageError: No such frame.
        """
        change = _named(frame, HTTP_FRAMES)
        self.add(Fault(kind=FaultKind.FRAME, on=on or "http", change=change), times)


def _named(name: str, table: Mapping[str, Change]) -> Change:
    if name not in table:
        message = f"no fault {name!r}; there are {', '.join(table)}"
        raise UsageError(message)
    return table[name]


Answer = Callable[[], Awaitable[HttpReply | None]]


async def faulty_reply(
    faults: Faults,
    words: Collection[str],
    answer: Answer,
    refuse: Answer,
    frame: Callable[[HttpReply, bytes], bytes] | None = None,
    *,
    encode: Change | None = None,
) -> HttpReply | RawReply | None:
    """Reply to one request as the faults will have it.

    Args:
        faults: What the simulator gets wrong.
        words: What describes the request.
        answer: Carries the request out and gives the right reply.
        refuse: Gives the reply of a refusal; nothing is carried out.
        frame: Makes the bytes of a reply with this content, for devices whose frames are
            odd of themselves; by default the server writes them.
        encode: Makes what goes into the frame of a content, such as by encrypting it;
            what is wrong with the content is wrong before that.
    """
    fault = faults.take(words)
    kind = None if fault is None else fault.kind
    if kind is FaultKind.DROP:
        return RawReply(is_left_open=True)
    if kind is FaultKind.HANG_UP:
        return None
    reply = await (refuse() if kind is FaultKind.REFUSE else answer())
    if reply is None:
        return None
    if delay_s := faults.delay_for(fault):
        await anyio.sleep(delay_s)
    if kind is FaultKind.LOSE_REPLY:
        return RawReply(is_left_open=True)
    if kind in _HONEST and frame is None:
        return reply if encode is None else replace(reply, body=encode(reply.body))
    framing = partial(frame or http_frame, reply)
    whole = framing if encode is None else lambda body: framing(encode(body))
    data = framed(fault, reply.body, whole)
    if kind is FaultKind.DUPLICATE:
        data *= 2
    over_s = fault.delay_s if fault is not None and kind is FaultKind.TRICKLE else 0.0
    return RawReply(data=data, over_s=over_s)


async def _refused(_: HttpRequest) -> HttpReply:  # noqa: ASYNC124 - others may wait
    return HttpReply(status=400)


def _words_of(request: HttpRequest) -> Collection[str]:
    return {"http", request.method, request.path, *request.path.split("/")}


def faulty(
    answer: Callable[[HttpRequest], Awaitable[HttpReply | None]],
    faults: Faults,
    *,
    words: Callable[[HttpRequest], Collection[str]] = _words_of,
    refuse: Callable[[HttpRequest], Awaitable[HttpReply | None]] = _refused,
) -> Handler:
    """Make the handler of an `HttpServer` that gets wrong what it is told to.

    Args:
        answer: Carries a request out and gives the right reply, or None to hang up.
        faults: What the simulator gets wrong.
        words: What describes a request, for `Fault.on`; by default `"http"`, the method,
            the path and its parts.
        refuse: Gives the reply of a refusal; status 400 by default.
    """

    async def handle(request: HttpRequest) -> HttpReply | RawReply | None:
        answered, refused = partial(answer, request), partial(refuse, request)
        return await faulty_reply(faults, words(request), answered, refused)

    return handle
