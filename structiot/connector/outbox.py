"""Events on their way to the platform, and those that wait for a connection."""

from __future__ import annotations

import logging
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import anyio

from structiot._kit.text import printable
from structiot.connector.errors import PlatformRefused
from structiot.connector.platform import PlatformResponse

__all__ = ["Outbox", "Outgoing", "event_name"]

_MOST_BYTES: Final = 16_777_216
# What an event counts as beside its texts.
_EVENT_BYTES: Final = 512

_log: Final = logging.getLogger("structiot.connector")


def event_name(device_id: str, service: str) -> str:
    """Say which event it is, for messages."""
    return f"event {printable(service, most=100)} of device {printable(device_id)}"


@dataclass(eq=False, slots=True)
class Outgoing:
    """An event on its way.

    Attributes:
        device_id: Of which device.
        service: Of which of its services.
        data: What it says.
        metadata: What it says of that.
        settled: Set when it is decided, or nobody is to wait for it any more.
        response: The platform's, if it took it.
        refusal: The platform's, if it did not.
        is_awaited: Whether somebody waits for the response.
        is_sending: Whether it is on its way at this moment.
        was_sent: Whether it was on its way before, and what became of it is not known.
        is_dropped: Whether it was given up.
    """

    device_id: str
    service: str
    data: str | None
    metadata: str | None
    is_awaited: bool
    settled: anyio.Event = field(default_factory=anyio.Event)
    response: PlatformResponse | None = None
    refusal: PlatformRefused | None = None
    is_sending: bool = False
    was_sent: bool = False
    is_dropped: bool = False

    @property
    def name(self) -> str:
        """Which it is, for messages."""
        return event_name(self.device_id, self.service)

    @property
    def size_bytes(self) -> int:
        """What it counts as."""
        texts = (self.device_id, self.service, self.data, self.metadata)
        # What they take in memory: up to four bytes a character.
        return _EVENT_BYTES + sum(map(sys.getsizeof, filter(None, texts)))


class Outbox:
    """Keeps the events of a device in order; of each device one is under way at most.

    What somebody waits for is bounded by who waits. What nobody waits for is bounded here:
    the oldest goes.

    Args:
        max_items: So many that nobody waits for; with 0 none is kept.

    Attributes:
        dropped: How many were lost to that.
        repeated: How many were sent again, as their answer was lost with the connection.
    """

    def __init__(self, max_items: int) -> None:
        self.max_items: int = max_items
        self.dropped: int = 0
        self.repeated: int = 0
        # All of them, in the order in which they came; a dict for its order alone.
        self._all: dict[Outgoing, None] = {}
        self._queues: dict[str, deque[Outgoing]] = {}
        # Devices of which there is something to be sent, and nothing under way.
        self._turns: deque[str] = deque()
        self._kept = self._kept_bytes = 0
        self._in_burst = False
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, event: Outgoing) -> None:
        """Take an event."""
        self._all[event] = None
        queue = self._queues.setdefault(event.device_id, deque())
        if not queue:
            self._turns.append(event.device_id)
        queue.append(event)
        if not event.is_awaited:
            self._keep(event)
        self._wake()

    def abandon(self, event: Outgoing) -> None:
        """Nobody waits for an event any more; it is sent all the same."""
        if event.is_awaited and event in self._all:
            event.is_awaited = False
            self._keep(event)

    def release(self) -> None:
        """The connection is lost: nobody waits any more, and all are kept."""
        for event in list(self._all):
            self.abandon(event)
            event.settled.set()
        self._trim()

    async def take(self) -> Outgoing:
        """Wait for an event that may be sent, which is under way then."""
        while not self._turns:
            await self._changed.wait()
        event = self._queues[self._turns.popleft()][0]
        event.is_sending = True
        self.repeated += event.was_sent
        return event

    def settle(self, event: Outgoing) -> None:
        """What became of an event that was under way is known: it goes."""
        self._remove(event)
        if event.device_id in self._queues:
            self._turns.append(event.device_id)
        event.settled.set()
        self._wake()

    def put_back(self, event: Outgoing, *, was_sent: bool = True) -> None:
        """The connection was lost while an event was under way: it is the next again."""
        event.is_sending = False
        event.was_sent |= was_sent
        self._turns.appendleft(event.device_id)

    async def drained(self) -> None:
        """Wait until nothing is left."""
        while self._all:
            await self._changed.wait()

    # -- the bounds ----------------------------------------------------------------

    def _keep(self, event: Outgoing) -> None:
        if not self._kept:
            self._in_burst = False
        self._kept += 1
        self._kept_bytes += event.size_bytes
        self._trim()

    def _trim(self) -> None:
        while self._kept > self.max_items or (
            self._kept_bytes > _MOST_BYTES and self._kept > 1
        ):
            kept = (one for one in self._all if not (one.is_awaited or one.is_sending))
            oldest = next(kept, None)
            if oldest is None:
                return
            self._drop(oldest)

    def _drop(self, event: Outgoing) -> None:
        self._remove(event)
        if event.device_id not in self._queues:
            self._turns.remove(event.device_id)
        event.is_dropped = True
        event.settled.set()
        if self.max_items:
            self.dropped += 1
            if not self._in_burst:
                self._in_burst = True
                text = "%d events wait for the platform: the oldest go, %d lost so far"
                _log.warning(text, self._kept, self.dropped)

    def _remove(self, event: Outgoing) -> None:
        del self._all[event]
        if not event.is_awaited:
            self._kept -= 1
            self._kept_bytes -= event.size_bytes
        queue = self._queues[event.device_id]
        queue.remove(event)
        if not queue:
            del self._queues[event.device_id]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
