"""The stream of one browser: a snapshot, then what changes, and a ping when nothing does."""

from __future__ import annotations

from http import HTTPStatus

import anyio

from structiot._kit.http.server import HttpStream, SendPart
from structiot.dashboard.hub import TICK_S, Hub
from structiot.dashboard.listener import event_in_pieces
from structiot.dashboard.replies import Refusal

__all__ = ["MAX_STREAMS", "PING_S", "event_stream"]

PING_S = 10.0
# Others get an answer that says when to come again, and room for it.
MAX_STREAMS = 256
_AGAIN_S = 15
# A browser that has taken nothing for so long has gone to sleep, and comes again.
_STALL_S = 60.0
_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


def event_stream(hub: Hub, device: str | None) -> HttpStream:
    """Make the stream of what changes, of all devices or of one.

    Raises:
        Refusal: There are too many already.
    """
    if len(hub.listeners) >= MAX_STREAMS:
        why = f"{MAX_STREAMS} pages are open already"
        status = HTTPStatus.SERVICE_UNAVAILABLE
        raise Refusal(status, why, retry_after_s=_AGAIN_S)

    async def tell(send: SendPart) -> None:
        await _tell(hub, device, send)

    return HttpStream(tell=tell, headers=_HEADERS, stall_s=_STALL_S)


async def _tell(hub: Hub, device: str | None, send: SendPart) -> None:
    if len(hub.listeners) >= MAX_STREAMS:
        # Many have come at once.
        await send(b"retry: %d\n\n" % (_AGAIN_S * 1000))
        return
    with hub.listening(device) as listener:
        texts = hub.texts(device)
        await send(b"retry: 1000\n\n")
        for piece in event_in_pieces("snapshot", hub.event_id(), texts):
            await send(piece)
        del texts
        ping_at = anyio.current_time() + PING_S
        while True:
            await anyio.sleep(TICK_S)
            with anyio.CancelScope(deadline=ping_at):
                await listener.wait()
            if anyio.current_time() >= ping_at:
                await send(b"event: ping\nid: %b\ndata: {}\n\n" % hub.event_id())
                ping_at = anyio.current_time() + PING_S
                continue
            for piece in listener.take(hub.event_id()):
                await send(piece)
