"""One outgoing message of QoS 1 or 2, and the ids that such messages travel under."""

from __future__ import annotations

from typing import Protocol

from structiot.errors import StructiotError
from structiot.mqtt.errors import MqttSessionLost
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.reasons import SUCCESS, ReasonCode

__all__ = [
    "DONE",
    "MAX_PACKET_ID",
    "PUBLISHED",
    "RELEASED",
    "STALE",
    "WAITING",
    "Flow",
    "PacketIds",
    "Waiter",
    "session_lost",
]

MAX_PACKET_ID = 65_535

# Stages of a flow.
WAITING = 0
PUBLISHED = 1
RELEASED = 2
DONE = 3
# Published on an earlier connection and not yet again on this one.
STALE = 4


class Waiter(Protocol):
    """Whoever wants to know that a flow has ended; an `anyio.Event` will do."""

    def set(self) -> object:
        """Wake up."""
        ...


class Flow:
    """One outgoing message of QoS 1 or 2.

    Attributes:
        topic: Topic name.
        payload: Bytes to send; dropped once the peer owns the message.
        size: What it counts for where the memory of flows is bounded.
        flags: QoS and retain as in the packet's first byte.
        properties: Properties of MQTT 5.0.
        packet_id: 0 before it is sent.
        stage: Waiting, published, released, done or stale.
        error: Why it failed; None while under way and after success.
        reason: The peer's code at the end.
        waiter: Is woken when the flow is done.
    """

    __slots__ = (
        "error",
        "flags",
        "packet_id",
        "payload",
        "properties",
        "reason",
        "size",
        "stage",
        "topic",
        "waiter",
    )

    def __init__(
        self,
        topic: str,
        payload: bytes,
        flags: int,
        properties: PublishProperties | None = None,
    ) -> None:
        self.topic: str = topic
        self.payload: bytes = payload
        self.size: int = len(payload)
        self.flags: int = flags
        self.properties: PublishProperties | None = properties
        self.packet_id: int = 0
        self.stage: int = WAITING
        self.error: StructiotError | None = None
        self.reason: ReasonCode = SUCCESS
        self.waiter: Waiter | None = None

    @property
    def is_done(self) -> bool:
        """Whether the flow has ended, well or badly."""
        return self.stage == DONE

    def finish(self, error: StructiotError | None = None) -> None:
        """End the flow and wake who waits for it; the first end counts."""
        if self.stage != DONE:
            self.stage = DONE
            self.error = error
            if self.waiter is not None:
                self.waiter.set()
            elif error is not None:
                self.unheard(error)

    def abandon(self, error: StructiotError) -> None:
        """End the flow with all others, for a reason that is told elsewhere."""
        if self.stage != DONE:
            self.stage = DONE
            self.error = error
            if self.waiter is not None:
                self.waiter.set()

    def unheard(self, error: StructiotError) -> None:
        """It has failed, and nobody waits at this time; here that is all."""


class PacketIds:
    """The ids of one direction: never 0, never in use twice, wrapping at 65,535."""

    __slots__ = ("_last", "used")

    def __init__(self) -> None:
        self.used: set[int] = set()
        self._last = 0

    def take(self) -> int:
        """Give a free id, or 0 when all are in use."""
        used = self.used
        packet_id = self._last + 1
        if packet_id in used or packet_id > MAX_PACKET_ID:
            if len(used) >= MAX_PACKET_ID:
                return 0
            while packet_id in used or packet_id > MAX_PACKET_ID:
                packet_id = packet_id + 1 if packet_id < MAX_PACKET_ID else 1
        used.add(packet_id)
        self._last = packet_id
        return packet_id

    def free(self, packet_id: int) -> None:
        """Give an id back."""
        self.used.discard(packet_id)


def session_lost(flow: Flow, version: int) -> MqttSessionLost:
    """Give the error for a message of QoS 2 of which the peer has kept nothing."""
    message = (
        f"the connection was lost while a QoS 2 message to {flow.topic!r} was under way, "
        "and the peer has kept no session; whether it was delivered is unknown"
    )
    if version < 5 and flow.stage != RELEASED:
        # Only in 5.0 it could say so.
        message += "; a peer that takes no QoS 2 ends the connection, too"
    return MqttSessionLost(message, reason="session lost", topic=flow.topic)
