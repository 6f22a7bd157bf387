"""What a member of a shared subscription leaves when its session ends.

A message of QoS 1 that its member has not acknowledged, or that still waited for it,
goes to another member of the group, as a new one: the standard advises that (5.0 section
4.8.2). One of QoS 2 goes nowhere else, since it might be delivered twice; nor does what a
member has refused, which is over.

The session is gone at once; what it leaves may take longer, in portions, and is charged
to its address until somebody else has it. In the store it lasts as long, under an id that
no client can have, so that a kill in between loses nothing.
"""

from __future__ import annotations

from structiot.mqtt.broker.core.matching import target_of
from structiot.mqtt.broker.core.sessions import Delivery, Session, with_expiry
from structiot.mqtt.broker.core.subscribing import Subscribing
from structiot.mqtt.broker.core.work import AT_ONCE, DELIVERY, Job
from structiot.mqtt.broker.memory_accounting import delivery_bytes
from structiot.mqtt.wire.messages import RETAIN, Message

__all__ = ["Sharing"]


class Sharing(Subscribing):
    """Hands on what came for a group; a base of `Broker`."""

    def hand_on(self, session: Session) -> None:
        """Give what a session that is over has not delivered to others of its groups.

        The session is out of its groups, and pays for nothing any more.
        """
        left = [flow for flow in session.outgoing.shared() if self._has_heirs(flow)]
        if left:
            if self.journal is not None:
                self.journal.leaves(session)
            self.ledger.charge(sum(flow.size for flow in left), session.account)
            job = self._handing_on(session, left[::-1])
            if not self.work.go_on(job, self.work.done + AT_ONCE):
                self.work.add(session, job)
        elif self.journal is not None:
            self.journal.ended(session)

    def _has_heirs(self, flow: Delivery) -> bool:
        group = self.shared.get(flow.share or "")
        return group is not None and len(group) > 0

    def _handing_on(self, session: Session, left: list[Delivery]) -> Job:
        while left:
            flow = left.pop()
            self.ledger.charge(-flow.size, session.account)
            self._hand_on(flow)
            self.work.done += DELIVERY
            yield
        if self.journal is not None:
            self.journal.ended(session)

    def _hand_on(self, flow: Delivery) -> None:
        """Give a delivery to the next member, by the terms of its own subscription."""
        now, properties = self.clock.now, flow.properties
        if flow.expires_at is not None:
            if flow.expires_at <= now:
                return
            properties = with_expiry(properties, flow.expires_at - now)
        group = self.shared.get(flow.share or "")
        chosen = () if group is None else self.choose(group, flow.topic)
        if not chosen:
            self.dropped: int = self.dropped + 1
            return
        if properties is not None and properties.subscription_ids:
            properties = properties.changed(subscription_ids=())
        size = delivery_bytes(flow.topic, flow.payload, properties)
        message = Message(flow.topic, flow.payload, properties=properties)
        session, granted, shows_retain, ids, share = target_of(chosen[0])
        retain = flow.flags & RETAIN if shows_retain else 0
        flags = min(flow.flags >> 1 & 3, granted) << 1 | retain
        self._send(session, message, flags, ids, flow.expires_at, size, share)
