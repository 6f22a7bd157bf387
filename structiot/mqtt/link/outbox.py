"""Own messages of QoS 1 and 2 that wait for their turn: bounded, first come first served."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from copy import copy

import anyio

from structiot.mqtt.config import MqttConfig
from structiot.mqtt.wire.flows.expiring import Expiring, ExpiringFlow, expired
from structiot.mqtt.wire.flows.flow import DONE, Flow
from structiot.mqtt.wire.protocol import ClientProtocol

__all__ = ["Outbox", "Receipt", "finished"]


async def finished(flow: Flow) -> None:
    """Wait for the end of a flow, whatever it is."""
    if flow.is_done:
        return
    done = flow.waiter
    if not isinstance(done, anyio.Event):
        flow.waiter = done = anyio.Event()
    await done.wait()


class Receipt:
    """A message of QoS 1 or 2 that was accepted for sending.

    It is sent, and sent again after a lost connection, whether anybody waits or not.
    """

    __slots__ = ("_flow",)

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    @property
    def is_done(self) -> bool:
        """Whether the broker has acknowledged or refused it, or the link gave up."""
        return self._flow.is_done

    @property
    def topic(self) -> str:
        """The topic it goes to."""
        return self._flow.topic

    @property
    def payload(self) -> bytes:
        """Its payload; empty once the broker owns it (QoS 2 after PUBREC)."""
        return self._flow.payload

    @property
    def packet_id(self) -> int:
        """The packet id it is sent under; 0 while it waits."""
        return self._flow.packet_id

    async def wait(self) -> None:
        """Wait for what the QoS promises; a cancelled wait does not stop the message.

        Raises:
            CommandRefused: The broker refused the message.
            LinkLost: The client gave up before the broker acknowledged it.
        """
        flow = self._flow
        if flow.stage != DONE:
            await finished(flow)
        if flow.error is not None:
            raise copy(flow.error)


class ExpiringReceipt(Receipt):
    """The same of a message that does not live for ever."""

    __slots__ = ("_expiring", "_own_flow", "_release")

    def __init__(
        self, flow: ExpiringFlow, expiring: Expiring, release: Callable[[], None]
    ) -> None:
        super().__init__(flow)
        self._own_flow = flow
        self._expiring = expiring
        self._release = release

    async def wait(self) -> None:
        """Wait as `Receipt` does, but no longer than an unsent message lives.

        Raises:
            MessageExpired: It has expired before it could be sent.
        """
        with anyio.CancelScope(deadline=self._own_flow.expires_at):
            await finished(self._own_flow)
        if not self.is_done:
            self._expiring.give_up(self._own_flow)
            self._release()
        await super().wait()


class Outbox:
    """The way of a message into the session, waiting while too much waits already."""

    def __init__(
        self,
        protocol: ClientProtocol,
        config: MqttConfig,
        *,
        check: Callable[[], None],
        wake: Callable[[], None],
        save: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._protocol = protocol
        self._outgoing = protocol.outgoing
        self._max_items = config.outbox_items
        self._max_bytes = config.outbox_bytes
        self._check = check
        self._wake = wake
        self._save = save
        # Who waits for room, in order of arrival.
        self._queue: deque[tuple[Flow, anyio.Event]] = deque()

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
        self._wake()
        if self._save is not None:
            # Accepted means safe, whether there is a connection or not.
            await self._save()
        if isinstance(flow, ExpiringFlow):
            expiring = self._protocol.expiring
            expiring.watch(flow)
            return ExpiringReceipt(flow, expiring, self.release)
        return Receipt(flow)

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
            if isinstance(flow, ExpiringFlow) and not flow.age(anyio.current_time()):
                flow.finish(expired(flow.topic))
            elif not everybody:
                self._protocol.submit(flow)
            accepted.set()

    async def emptied(self) -> None:
        """Wait until nothing is under way."""
        for flow in self._outgoing.flows():
            await finished(flow)
