"""Own messages of QoS 1 and 2 that wait for their turn: bounded, first come first served.

And what a client that leaves waits for, of both directions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable

import anyio

from structiot._kit.native_loop import clock, event_maker
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link.receipts import ExpiringReceipt, Receipt
from structiot.mqtt.wire.flows.expiring import ExpiringFlow, expired
from structiot.mqtt.wire.flows.flow import Flow
from structiot.mqtt.wire.protocol import ClientProtocol

__all__ = ["Outbox"]


class Outbox:
    """The way of a message into the session, waiting while too much waits already."""

    def __init__(
        self,
        protocol: ClientProtocol,
        config: MqttConfig,
        *,
        check: Callable[[], None],
        answer: Callable[[], None],
        save: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._protocol = protocol
        self._outgoing = protocol.outgoing
        self._max_items = config.outbox_items
        self._max_bytes = config.outbox_bytes
        self._check = check
        self._answer = answer
        self._save = save
        # Who waits for room, in order of arrival.
        self._queue: deque[tuple[Flow, anyio.Event]] = deque()
        # What a client that leaves waits for, the first of it last.
        self._last: list[Flow] = []
        self._is_emptied = anyio.Event()
        # Is set, if there is one, when something has come.
        self._came: anyio.Event | None = None
        self._is_over = False
        self._now = clock()
        self._make_event = event_maker()

    async def submit(self, flow: Flow) -> Receipt:
        """Accept a message, waiting while the outbox is full.

        Raises:
            StructiotError: What the link has given up with.
            MessageExpired: It has expired before there was room for it.
        """
        self._check()
        if self._has_room() and not self._queue:
            self._protocol.submit(flow)
        else:
            await self._turn_of(flow)
        self._answer()
        if self._save is not None:
            # Accepted means safe, whether there is a connection or not.
            await self._save()
        if isinstance(flow, ExpiringFlow):
            expiring = self._protocol.expiring
            expiring.watch(flow)
            return ExpiringReceipt(flow, expiring, self.release)
        return Receipt(flow, self._make_event)

    async def _turn_of(self, flow: Flow) -> None:
        turn = (flow, anyio.Event())
        self._queue.append(turn)
        lives_until = flow.expires_at if isinstance(flow, ExpiringFlow) else math.inf
        try:
            with anyio.CancelScope(deadline=lives_until):
                await turn[1].wait()
        finally:
            if turn in self._queue:
                self._queue.remove(turn)
        if not turn[1].is_set():
            raise expired(flow.topic)
        self._check()

    def _has_room(self) -> bool:
        outgoing = self._outgoing
        return (
            outgoing.held_bytes < self._max_bytes
            and len(outgoing.waiting) < self._max_items
        )

    def release(self, *, everybody: bool = False) -> None:
        """Accept as many as there is room for; wake everybody at the end."""
        # The messages are accepted here and not by who is woken: nobody can come in
        # between, and the order is that of arrival.
        while self._queue and (everybody or self._has_room()):
            flow, accepted = self._queue.popleft()
            if isinstance(flow, ExpiringFlow) and not flow.age(self._now()):
                flow.finish(expired(flow.topic))
            elif not everybody:
                self._protocol.submit(flow)
            accepted.set()
        if self._last:
            while self._last and (everybody or self._last[-1].is_done):
                self._last.pop()
            if not self._last:
                self._is_emptied.set()
        self._is_over |= everybody
        if self._came is not None:
            self._came.set()
            self._came = None

    async def emptied(self) -> None:
        """Wait until nothing is under way of what is now."""
        # Not as who waits for a receipt does: whoever waits hears of a failure.
        self._last = self._outgoing.flows()[::-1]
        if self._last:
            self._is_emptied = anyio.Event()
            await self._is_emptied.wait()

    async def released(self) -> None:
        """Wait for the end of incoming QoS 2 that the broker was told it had arrived."""
        incoming = self._protocol.incoming
        known = incoming.unreleased
        while (known := known & incoming.unreleased) and not self._is_over:
            self._came = self._came or anyio.Event()
            await self._came.wait()
