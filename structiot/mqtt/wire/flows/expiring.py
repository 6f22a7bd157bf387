"""Own messages that live for a time only, counted while they wait (5.0 section 3.3.2.3.3).

The interval that goes out with a message is what is left of it. Once a message was
sent it is the server's to let it expire, and it is sent again however old it is.
"""

from __future__ import annotations

import math

from structiot.mqtt.errors import MessageExpired
from structiot.mqtt.wire.flows.flow import WAITING, Flow
from structiot.mqtt.wire.flows.outbound import Outgoing
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["Expiring", "ExpiringFlow", "expired", "left_of"]


class ExpiringFlow(Flow):
    """A message that is not worth sending after a time.

    Attributes:
        expires_at: That time, by the clock of the loop.
    """

    __slots__ = ("expires_at",)

    def __init__(
        self,
        topic: str,
        payload: bytes,
        flags: int,
        properties: PublishProperties,
        now: float,
    ) -> None:
        super().__init__(topic, payload, flags, properties)
        self.expires_at: float = now + (properties.message_expiry_s or 0)

    def age(self, now: float) -> bool:
        """Shorten its life to what is left; False when that is nothing."""
        left = left_of(self.properties, self.expires_at - now)
        if left is not None:
            self.properties: PublishProperties | None = left
        return left is not None


class Expiring:
    """The expiring ones among the messages of one session that wait.

    Attributes:
        flows: These messages; some may have been sent meanwhile.
    """

    def __init__(self, outgoing: Outgoing) -> None:
        self.flows: list[ExpiringFlow] = []
        self._outgoing = outgoing
        self._next_at = -math.inf

    def watch(self, flow: ExpiringFlow) -> None:
        """Look after a message that was accepted."""
        if flow.stage == WAITING:
            self.flows.append(flow)
            self._next_at = min(self._next_at, flow.expires_at)

    def give_up(self, flow: ExpiringFlow) -> None:
        """End a message that has expired, unless it was sent."""
        if flow.stage == WAITING:
            self._outgoing.withdraw(flow, expired(flow.topic))

    def sweep(self, now: float) -> None:
        """Give up what has expired; shorten the life of the others, by whole seconds."""
        if now < self._next_at:
            return
        flows, self.flows = self.flows, []
        for flow in flows:
            if flow.stage != WAITING:
                continue
            if flow.age(now):
                self.flows.append(flow)
            else:
                self.give_up(flow)
        ends = (flow.expires_at for flow in self.flows)
        self._next_at = min(now + 1.0, min(ends, default=math.inf))


def left_of(
    properties: PublishProperties | None, left_s: float
) -> PublishProperties | None:
    """Give the properties with what is left of a message's life; None when it is over."""
    if properties is None or left_s <= 0:
        return None
    return properties.changed(message_expiry_s=math.ceil(left_s))


def expired(topic: str) -> MessageExpired:
    """Make the error of a message that has expired."""
    return MessageExpired(f"a message to {topic!r} has expired before it could be sent")
