"""What waits for a client: its queue, and what is retained for new subscriptions.

A subscription is told what was retained when it was made, in the order of the topics,
and as much at a time as there is room in the connection's buffer. What is published
after that comes as any message does, and is not told a second time.
"""

from __future__ import annotations

from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.delivering import Delivering
from structiot.mqtt.broker.core.retained import Backlog, Retained
from structiot.mqtt.broker.core.sessions import Session, Subscription, with_expiry
from structiot.mqtt.broker.core.work import AT_ONCE, RETAINED_MESSAGE, Job
from structiot.mqtt.wire.messages import RETAIN, Message

__all__ = ["Telling"]


class Telling(Delivering):
    """Writes what has waited for room in a connection's buffer; a base of `Broker`."""

    def drained(self, client: ConnectedClient) -> None:
        """A connection has taken everything: give it what has waited for that."""
        session = client.session
        if session is not None and (client.is_slow or session.backlog is not None):
            self.refill(client)

    def refill(self, client: ConnectedClient) -> None:
        """Write what has waited for room in a connection's buffer or window."""
        session, protocol = client.session, client.protocol
        if session is None:
            return
        session.outgoing.pump(protocol.kept, protocol.version)
        if session.backlog is not None and client.is_answered:
            self._tell(session, session.backlog)
        self.ledger.settle(session)
        if max(protocol.out.size, len(protocol.kept)) >= self.slow_bytes:
            self.note_slow(client)
        elif self._is_light(session):
            self.slow_consumers.remove(client, self.clock.now)
        if protocol.out or protocol.kept:
            self.wake(client)

    def tell_retained(self, subscription: Subscription) -> None:
        """Have a new subscription told what is retained, at the next `refill`."""
        session = subscription.session
        if session.backlog is None:
            session.backlog = Backlog(session)
        session.backlog.add(subscription)

    def _tell(self, session: Session, backlog: Backlog) -> None:
        if backlog.is_told:
            return
        backlog.is_told = True
        job = self._telling(session, backlog)
        if not self.work.go_on(job, self.work.done + AT_ONCE):
            self.work.add(session, job)

    def _telling(self, session: Session, backlog: Backlog) -> Job:
        """Go on as long as the client is there, is answered, and its buffer has room."""
        work, store, outgoing = self.work, self.retained, session.outgoing
        while session.backlog is backlog and (client := session.client) is not None:
            protocol = client.protocol
            unwritten_bytes = max(protocol.out.size, len(protocol.kept))
            is_full = outgoing.waiting or unwritten_bytes > self.slow_bytes
            if is_full or not client.is_answered:
                break  # `refill` comes again
            before = store.steps
            step = backlog.step(store)
            work.done += 1 + store.steps - before
            if step is None:
                session.backlog = None
                break
            subscription, item = step
            name = subscription.request.topic_filter
            if session.subscriptions.get(name) is not subscription:
                backlog.leave_out()
            elif item is not None:
                self._tell_item(subscription, item)
            yield
        backlog.is_told = False
        self.ledger.settle(session)

    def _is_forbidden_by_now(self, item: Retained) -> bool:
        """Tell whether who has published it might not do so any more."""
        publisher, permissions = item.publisher, self.permissions
        if (
            publisher is None
            or not self.limits.check_retain_source
            or not permissions.has_entries
        ):
            return False
        name, user = publisher
        self.work.done += permissions.count(user)
        return not permissions.may_publish(user, name, item.topic)

    def _tell_item(self, subscription: Subscription, item: Retained) -> None:
        now = self.clock.now
        if self._is_forbidden_by_now(item) or (
            self.permissions.has_entries
            and not self.may_receive(subscription.session, item.topic)
        ):
            return
        message = Message(item.topic, item.payload, properties=item.properties)
        if item.expires_at is not None:
            if item.expires_at <= now:
                self.expire_retained(item.topic)
                return
            message.properties = with_expiry(item.properties, item.expires_at - now)
        self.work.done += RETAINED_MESSAGE
        flags = min(item.qos, subscription.request.qos) << 1 | RETAIN
        session = subscription.session
        ids, size = subscription.ids, item.delivery_bytes
        self._send(session, message, flags, ids, item.expires_at, size)
