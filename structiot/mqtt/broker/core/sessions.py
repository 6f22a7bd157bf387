"""What the broker keeps of one client."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING

from structiot.errors import StructiotError
from structiot.mqtt.broker.core.deadlines import Clock
from structiot.mqtt.broker.core.retained import Backlog, Publisher
from structiot.mqtt.broker.memory_accounting import (
    FLOW_BYTES,
    SESSION_BYTES,
    will_bytes,
)
from structiot.mqtt.wire.flows.flow import DONE, RELEASED, Flow, PacketIds
from structiot.mqtt.wire.flows.outbound import Outgoing
from structiot.mqtt.wire.messages import SubscriptionRequest, Will
from structiot.mqtt.wire.properties import PublishProperties

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.connected_client import ConnectedClient
    from structiot.mqtt.broker.core.ledger import Account

__all__ = [
    "FOR_EVER_S",
    "Deliveries",
    "Delivery",
    "Session",
    "SharedGroup",
    "Subscription",
    "with_expiry",
]

FOR_EVER_S = 0xFFFF_FFFF
QOS_1 = 0x02
QOS_2 = 0x04


class Delivery(Flow):
    """A message of QoS 1 or 2 on its way to one client, with its end of life.

    Args:
        topic: Topic name.
        payload: Bytes to send.
        flags: QoS and retain.
        properties: Properties of MQTT 5.0.
        expires_at: When it is worth nothing any more.
        size: What it costs.
        share: The shared filter by which it came, None for other subscriptions.
    """

    __slots__ = ("expires_at", "share")

    def __init__(  # noqa: PLR0917 - made for each delivery
        self,
        topic: str,
        payload: bytes,
        flags: int,
        properties: PublishProperties | None = None,
        expires_at: float | None = None,
        size: int = FLOW_BYTES,
        share: str | None = None,
    ) -> None:
        # `super()` would take longer; this runs for each delivery.
        Flow.__init__(self, topic, payload, flags, properties)
        self.size: int = size
        self.expires_at: float | None = expires_at
        self.share: str | None = share


class Deliveries(Outgoing):
    """The deliveries of one session: what has expired meanwhile is not sent any more.

    A broker may also have QoS 0 wait here for a client that is away.

    Attributes:
        lost: Deliveries that ended here: they had expired, there were too many, or the
            client takes no packet of their size.
        is_held: Whether nothing goes out at present: what waits is looked at anew.
    """

    def __init__(self, clock: Clock, *, out_bytes: int, inflight_bytes: int) -> None:
        super().__init__(PacketIds())
        self.out_bytes = out_bytes
        self.window_bytes = inflight_bytes
        self.lost: int = 0
        self.is_held: bool = False
        self._clock = clock

    def pump(self, out: bytearray, version: int) -> None:
        """Send what the window has room for, unless it is held."""
        if not self.is_held:
            super().pump(out, version)

    def _send_new(self, flow: Flow, out: bytearray, version: int) -> None:
        expires_at = flow.expires_at if isinstance(flow, Delivery) else None
        if expires_at is not None:
            left_s = expires_at - self._clock.now
            if left_s <= 0:
                self.ids.free(flow.packet_id)
                self._give_up(flow)
                return
            flow.properties = with_expiry(flow.properties, left_s)
        if version < 5:
            flow.properties = None
        if flow.flags < QOS_1:
            self._send_once(flow, out, version)
            return
        super()._send_new(flow, out, version)
        if flow.stage == DONE:
            self.lost += 1

    def _send_once(self, flow: Flow, out: bytearray, version: int) -> None:
        self.ids.free(flow.packet_id)
        try:
            self.write(
                out, flow.topic, flow.payload, flow.flags, 0, version, flow.properties
            )
        except StructiotError:
            self._give_up(flow)
        else:
            self._forget_payload(flow)
            flow.finish()

    def _send_again(self, flow: Flow, out: bytearray, version: int) -> None:
        if version < 5:
            flow.properties = None
        super()._send_again(flow, out, version)
        if flow.stage == DONE:
            self.lost += 1

    def _forget_payload(self, flow: Flow) -> None:
        super()._forget_payload(flow)
        flow.properties = None
        flow.topic = ""
        if flow.stage == RELEASED:
            # It stays until PUBCOMP, if that ever comes.
            flow.size = FLOW_BYTES
            self.held_bytes: int = self.held_bytes + FLOW_BYTES

    def drop_first(self) -> None:
        """Give up the delivery that has waited longest."""
        flow = self.waiting.popleft()
        self.waiting_bytes: int = self.waiting_bytes - flow.size
        self._give_up(flow)

    def drop_expired(self) -> float | None:
        """Give up what has expired while it waited; say when the next will have."""
        now = self._clock.now
        next_at: float | None = None
        kept: list[Flow] = []
        for flow in self.waiting:
            expires_at = flow.expires_at if isinstance(flow, Delivery) else None
            if expires_at is not None:
                if expires_at <= now:
                    self.waiting_bytes -= flow.size
                    self._give_up(flow)
                    continue
                next_at = expires_at if next_at is None else min(next_at, expires_at)
            kept.append(flow)
        self.waiting.clear()
        self.waiting.extend(kept)
        return next_at

    def shared(self) -> list[Delivery]:
        """Give what came by shared filters and may go to other members, in its order.

        That is all but QoS 2, which only the client that was chosen may get
        (5.0 section 4.8.2).
        """
        return [
            flow
            for flow in self.flows()
            if isinstance(flow, Delivery) and flow.share and not flow.flags & QOS_2
        ]

    def leave_out(self, forbidden: AbstractSet[Flow]) -> None:
        """Give up some of what waits."""
        waiting = list(self.waiting)
        self.waiting.clear()
        for flow in waiting:
            if flow in forbidden:
                self.waiting_bytes -= flow.size
                self._give_up(flow)
            else:
                self.waiting.append(flow)

    def _give_up(self, flow: Flow) -> None:
        self._forget_payload(flow)
        flow.finish()
        self.lost += 1


def with_expiry(
    properties: PublishProperties | None, left_s: float
) -> PublishProperties:
    """Say how long a message still lives, in whole seconds, at least one."""
    properties = properties or PublishProperties()
    return properties.changed(message_expiry_s=max(1, round(left_s)))


@dataclass(eq=False, slots=True)
class Subscription:
    """One filter of one session."""

    session: Session
    request: SubscriptionRequest
    subscription_id: int | None = None
    # The number of the last message that was retained before.
    after: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """The subscription identifier, as a message carries it."""
        number = self.subscription_id
        return () if number is None else (number,)


class SharedGroup:
    """The members of one shared subscription; each message goes to one of them."""

    __slots__ = ("_away", "_there")

    def __init__(self) -> None:
        # Both in the order of their turns.
        self._there: dict[Subscription, None] = {}
        self._away: dict[Subscription, None] = {}

    def __len__(self) -> int:
        return len(self._there) + len(self._away)

    def place(self, member: Subscription) -> None:
        """Have a member take its turns, behind the others, where its session is now."""
        self.remove(member)
        if not member.session.is_over:
            is_away = member.session.client is None
            (self._away if is_away else self._there)[member] = None

    def remove(self, member: Subscription) -> None:
        """Take a member out, if it is one."""
        self._there.pop(member, None)
        self._away.pop(member, None)

    def choose(
        self, may_have: Callable[[Session], bool], most_asked: int
    ) -> tuple[Subscription, ...]:
        """Give the next member in turn: one that takes messages, else one that is away.

        Who may not have the message does not keep it from the others. Of many not all are
        looked at; there is none if nobody may, or the sessions of all have ended.
        """
        chosen: tuple[Subscription, ...] = ()
        for members in (self._there, self._away):
            for _ in range(min(len(members), most_asked)):
                member = next(iter(members))
                del members[member]
                members[member] = None
                client = member.session.client
                is_last_resort = client is not None and client.is_slow
                if (chosen and is_last_resort) or not may_have(member.session):
                    continue
                chosen = (member,)
                if not is_last_resort:
                    break
            if chosen:
                break
        return chosen


class Session:
    """One client's session: it may outlive its connections.

    Attributes:
        client_id: Who it belongs to.
        username: Who it was authenticated as; None for anonymous clients.
        account: Who pays for it: the address of its last connection.
        client: Its connection; None while it is away.
        expiry_s: How long it is kept without a connection.
        expires_at: When it ends; None while connected or kept for ever.
        outgoing: Deliveries of QoS 1 and 2.
        own_bytes: What the session itself and its will weigh.
        charged_queue_bytes: What the ledger knows of them.
        charged_bytes: What it knows of all else.
        received: Ids of QoS 2 messages that the client has not released.
        distributing_ids: Those of them that have not reached all whom they are for.
        subscriptions: By filter.
        groups: Those of its subscriptions that are shared, with the group of each.
        subscribed_bytes: What they weigh.
        backlog: Retained messages that it has still to be told; None if there are none.
        will: What to publish when the client vanishes; set by `take_will`.
        will_at: When the will is due; None when it is not.
        is_over: Whether it has ended; what it has subscribed is being cleared away.
        dropped: Messages lost because the client was away or slow; those that were
            given up later are counted in `outgoing.lost`.
    """

    __slots__ = (
        "account",
        "backlog",
        "charged_bytes",
        "charged_queue_bytes",
        "client",
        "client_id",
        "distributing_ids",
        "dropped",
        "expires_at",
        "expiry_s",
        "groups",
        "is_over",
        "outgoing",
        "own_bytes",
        "received",
        "subscribed_bytes",
        "subscriptions",
        "username",
        "will",
        "will_at",
    )

    def __init__(self, client_id: str, outgoing: Deliveries, account: Account) -> None:
        self.client_id: str = client_id
        self.account: Account = account
        self.username: str | None = None
        self.client: ConnectedClient | None = None
        self.expiry_s: int = 0
        self.expires_at: float | None = None
        self.outgoing: Deliveries = outgoing
        self.charged_queue_bytes: int = 0
        self.charged_bytes: int = 0
        self.received: set[int] = set()
        self.distributing_ids: frozenset[int] = frozenset()
        self.subscriptions: dict[str, Subscription] = {}
        self.groups: dict[Subscription, SharedGroup] = {}
        self.subscribed_bytes: int = 0
        self.backlog: Backlog | None = None
        self.will: Will | None = None
        self.own_bytes: int = SESSION_BYTES + getsizeof(client_id)
        self.will_at: float | None = None
        self.is_over: bool = False
        self.dropped: int = 0

    def place_in_groups(self) -> None:
        """Tell the shared subscriptions that it has come, gone, or ended."""
        for member, group in self.groups.items():
            group.place(member)

    def take_will(self, will: Will | None) -> None:
        """Have another will, or none."""
        self.will = will
        names_bytes = getsizeof(self.client_id) + getsizeof(self.username)
        self.own_bytes = SESSION_BYTES + names_bytes + will_bytes(will)

    @property
    def publisher(self) -> Publisher:
        """Whose its messages are."""
        return Publisher(self.client_id, self.username)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it would be missed, and nothing can come to it."""
        return not (self.subscriptions or self.outgoing or self.received or self.will)
