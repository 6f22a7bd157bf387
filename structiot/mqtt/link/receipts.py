"""What became of own messages of QoS 1 and 2, and who is told.

A failure is said once: raised to whoever waits for the receipt, or written to the log
when the receipt has been thrown away and nobody can ask any more. What an earlier
process had accepted has no receipt that anybody holds: its failure is logged at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import copy

import anyio

from structiot.errors import StructiotError
from structiot.mqtt.wire.flows.expiring import Expiring, ExpiringFlow
from structiot.mqtt.wire.flows.flow import DONE, Flow, Waiter

__all__ = [
    "ExpiringReceipt",
    "OwnExpiringFlow",
    "OwnFlow",
    "Receipt",
    "RestoredExpiringFlow",
    "RestoredFlow",
    "finished",
]

_log = logging.getLogger(__name__)


class _Unheard:
    """Logs a failure, unless somebody asks before the message is forgotten."""

    __slots__ = ("_error", "was_heard")

    def __init__(self, error: StructiotError) -> None:
        self._error = error
        self.was_heard = False

    def set(self) -> None:
        """Nothing more can happen."""

    def __del__(self) -> None:
        if not self.was_heard:
            _log.warning("%s", self._error)


class OwnFlow(Flow):
    """A message of this process."""

    __slots__ = ()

    def unheard(self, error: StructiotError) -> None:
        """It has failed, and nobody waits at this time."""
        self.waiter: Waiter | None = _Unheard(error)


class OwnExpiringFlow(OwnFlow, ExpiringFlow):
    """The same, of one that does not live for ever."""

    __slots__ = ()


class RestoredFlow(Flow):
    """A message of an earlier process."""

    __slots__ = ()

    def unheard(self, error: StructiotError) -> None:
        """It has failed, and nobody waits at this time."""
        _log.warning("%s; an earlier process had accepted it", error)


class RestoredExpiringFlow(RestoredFlow, ExpiringFlow):
    """The same, of one that does not live for ever."""

    __slots__ = ()


async def finished(
    flow: Flow, make_event: Callable[[], anyio.Event] = anyio.Event
) -> None:
    """Wait for the end of a flow, whatever it is."""
    if flow.stage == DONE:
        return
    done = flow.waiter
    if not isinstance(done, anyio.Event):
        flow.waiter = done = make_event()
    try:
        await done.wait()
    except BaseException:
        if flow.stage != DONE and not done.statistics().tasks_waiting:
            flow.waiter = None
        raise


class Receipt:
    """A message of QoS 1 or 2 accepted for sending; made by `publish_soon`.

    It is sent, and sent again after a lost connection, whether anybody waits or not.
    When it fails and nobody has asked before the receipt is gone, the log says so.
    """

    __slots__ = ("_flow", "_make_event")

    def __init__(
        self, flow: Flow, make_event: Callable[[], anyio.Event] = anyio.Event
    ) -> None:
        self._flow = flow
        self._make_event = make_event

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
            CommandRefused: The broker refused the message, or ends every connection
                on which it is sent.
            MqttSessionLost: The broker has kept no session; whether the message
                (QoS 2) was delivered is unknown.
            LinkLost: The client gave up before the broker acknowledged it.
        """
        flow = self._flow
        if flow.stage != DONE:
            await finished(flow, self._make_event)
        if flow.error is not None:
            if isinstance(flow.waiter, _Unheard):
                flow.waiter.was_heard = True
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
