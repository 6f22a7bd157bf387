"""All that a link holds, in true bytes, and what is done when it is too much.

Two kinds of messages wait in a client. Those that may be dropped (QoS 0, and what was
acknowledged on receipt) are counted by a bound that costs nothing for each message: what
has been read since they were last counted. Only when that may be too much they are counted
themselves, and the oldest of the longest queues go. Those that may not be dropped are
counted one by one; when they fill the ledger, nothing more is read until a subscriber has
taken something. What the program itself wants to send counts, too, but a quarter of the
ledger is always there for what comes: only reading brings the acknowledgements that free
the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from structiot.mqtt.events import ConnectionEvents, ReadingPaused, ReadingResumed
from structiot.mqtt.link.routing import Router
from structiot.mqtt.wire.protocol import ClientProtocol

__all__ = ["Ledger"]

_log = logging.getLogger(__name__)


class Ledger:
    """What one link holds.

    Args:
        limit_bytes: How much it may be; the packet that is just coming may add to it.
        peer: Whose messages it holds, for the log.
        router: Has the subscriptions.
        protocol: Has the rest.
        events: Where is told that reading pauses, and that it goes on.
        on_pause: Is called when reading pauses.

    Attributes:
        limit_bytes: As given.
        received_bytes: Bytes taken from the broker.
        pauses: How many times reading has paused.
        is_paused: Whether it waits at present.
    """

    def __init__(
        self,
        limit_bytes: int,
        router: Router,
        protocol: ClientProtocol,
        *,
        peer: str,
        events: ConnectionEvents,
        on_pause: Callable[[], None],
    ) -> None:
        self.limit_bytes: int = limit_bytes
        self.received_bytes: int = 0
        self.pauses: int = 0
        self.is_paused: bool = False
        self._router = router
        self._protocol = protocol
        self._peer = peer
        self._events = events
        self._on_pause = on_pause
        # What the droppable messages hold, at most.
        self._droppable_most = 0
        # For so much of them there is always room.
        self._always_bytes = limit_bytes // 16
        self._room = anyio.Event()

    @property
    def unread_bytes(self) -> int:
        """What the messages hold that wait to be taken, or to be acknowledged."""
        return self._protocol.incoming.held_bytes + self._router.droppable_bytes()

    def took(self, size_bytes: int) -> None:
        """Count what was read and handed out; drop the oldest that may be if need be."""
        protocol = self._protocol
        self.received_bytes += size_bytes
        self._droppable_most += size_bytes + protocol.input.rich_bytes
        if (
            self._droppable_most >= self._always_bytes
            and self._droppable_most >= self.limit_bytes - self._firm_bytes
        ):
            self._drop()

    @property
    def _firm_bytes(self) -> int:
        """What cannot be dropped: to be taken, sent, written, and a packet's beginning."""
        protocol = self._protocol
        out = protocol.out
        return (
            protocol.incoming.held_bytes
            + protocol.outgoing.held_bytes
            + len(out)
            + out.large_bytes
            + protocol.input.decoder.held_bytes
        )

    def _drop(self) -> None:
        limit = self.limit_bytes
        room = max(limit - self._firm_bytes, self._always_bytes)
        # A little more, or the next message would have all of them counted again.
        self._droppable_most = self._router.trim(room, room - room // 32)

    def _is_full(self, most: int) -> bool:
        held = self._protocol.incoming.held_bytes
        return held >= most // 4 and self._firm_bytes >= most

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be read at present."""
        limit = self.limit_bytes
        return self._protocol.incoming.held_bytes >= limit // 4 and self._is_full(limit)

    async def room(self) -> None:
        """Wait until enough was taken; the broker's silence meanwhile is our doing."""
        keep_alive, began_at = self._protocol.keep_alive, anyio.current_time()
        self._room = anyio.Event()
        self.is_paused = True
        keep_alive.pause()
        try:
            self._say_so()
            # Who waits for the answer to a SUBSCRIBE may be who is to take something.
            self._on_pause()
            await self._room.wait()
        finally:
            self.is_paused = False
            now = anyio.current_time()
            keep_alive.resume(now)
            self._events.tell(ReadingResumed(after_s=now - began_at))

    def _say_so(self) -> None:
        self.pauses += 1
        unread_bytes = self.unread_bytes
        if self.pauses == 1:
            _log.warning(
                "%s: %d bytes of messages wait to be taken or acknowledged; nothing more "
                "is read until a subscriber has taken something",
                self._peer,
                unread_bytes,
            )
        self._events.tell(
            ReadingPaused(unread_bytes=unread_bytes, limit_bytes=self.limit_bytes)
        )

    def freed(self) -> None:
        """Something was taken; read on if that was enough."""
        if self.is_paused and not self._is_full(self.limit_bytes * 3 // 4):
            self._room.set()
