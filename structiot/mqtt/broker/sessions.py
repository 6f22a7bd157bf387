"""What the broker keeps of one client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from structiot.mqtt.wire.messages import SubscriptionRequest, Will
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.receiving import Incoming
from structiot.mqtt.wire.sending import Flow, Outgoing, PacketIds

if TYPE_CHECKING:
    from structiot.mqtt.broker.handle import Handle

__all__ = ["FOR_EVER_S", "Delivery", "Session", "SharedGroup", "Subscription"]

FOR_EVER_S = 0xFFFF_FFFF


class Delivery(Flow):
    """A message of QoS 1 or 2 on its way to one client, with its end of life."""

    __slots__ = ("expires_at",)

    def __init__(
        self,
        topic: str,
        payload: bytes,
        flags: int,
        properties: PublishProperties | None = None,
        expires_at: float | None = None,
    ) -> None:
        super().__init__(topic, payload, flags, properties)
        self.expires_at = expires_at


@dataclass(eq=False, slots=True)
class Subscription:
    """One filter of one session."""

    session: Session
    request: SubscriptionRequest
    subscription_id: int | None = None


class SharedGroup:
    """The members of one shared subscription; each message goes to one of them."""

    __slots__ = ("_turn", "members")

    def __init__(self) -> None:
        self.members: list[Subscription] = []
        self._turn = 0

    def choose(self) -> Subscription:
        """Give the next member in turn, one that is connected if there is one."""
        members = self.members
        for _ in members:
            self._turn = (self._turn + 1) % len(members)
            if members[self._turn].session.handle is not None:
                break
        return members[self._turn % len(members)]


class Session:
    """One client's session: it may outlive its connections.

    Attributes:
        client_id: Who it belongs to.
        username: Who it was authenticated as; None for anonymous clients.
        handle: Its connection; None while it is away.
        expiry_s: How long it is kept without a connection.
        expires_at: When it ends; None while connected or kept for ever.
        subscriptions: By filter.
        will: What to publish when the client vanishes.
        will_at: When the will is due; None when it is not.
        dropped: Messages lost because the client was away or slow.
    """

    __slots__ = (
        "client_id",
        "dropped",
        "expires_at",
        "expiry_s",
        "handle",
        "incoming",
        "outgoing",
        "subscriptions",
        "username",
        "will",
        "will_at",
    )

    def __init__(self, client_id: str, *, receive_maximum: int) -> None:
        self.client_id = client_id
        self.username: str | None = None
        self.handle: Handle | None = None
        self.expiry_s = 0
        self.expires_at: float | None = None
        self.outgoing = Outgoing(PacketIds())
        self.incoming = Incoming(window=receive_maximum)
        self.subscriptions: dict[str, Subscription] = {}
        self.will: Will | None = None
        self.will_at: float | None = None
        self.dropped = 0
