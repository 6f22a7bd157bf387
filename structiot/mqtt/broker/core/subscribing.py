"""Subscriptions: what may be subscribed, or published, and where it is filed."""

from __future__ import annotations

from dataclasses import replace

from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.sessions import Session, SharedGroup, Subscription
from structiot.mqtt.broker.core.telling import Telling
from structiot.mqtt.broker.core.work import AT_ONCE, FILTER, Job
from structiot.mqtt.broker.memory_accounting import subscription_bytes
from structiot.mqtt.wire.messages import (
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import control_fault, is_shared, parse_shared

__all__ = ["Subscribing", "user_text"]


def user_text(username: str | None) -> str:
    """Name a user for the log."""
    return "no user" if username is None else f"user {username[:64]!r}"


class Subscribing(Telling):
    """Deals with SUBSCRIBE and UNSUBSCRIBE, and says who is refused; a base of `Broker`."""

    def subscribing(
        self, client: ConnectedClient, session: Session, packet: Subscribe
    ) -> Job:
        """File what is allowed, answer, then send what is retained."""
        reasons: list[ReasonCode] = []
        for request in packet.subscriptions:
            reasons.append(self._subscribe(session, request, packet))
            self.work.done += FILTER + request.topic_filter.count("/")
            yield
            if session.is_over:
                return
        client.protocol.reply(
            Suback(packet_id=packet.packet_id, reasons=tuple(reasons))
        )
        client.mark_answer()
        self.refill(client)
        self.wake(client)

    def _subscribe(
        self, session: Session, request: SubscriptionRequest, packet: Subscribe
    ) -> ReasonCode:
        name = request.topic_filter
        why = self.character_fault(name)
        reason = ReasonCode.TOPIC_FILTER_INVALID if why else None
        reason = reason or self._refusal(session, request)
        if reason is not None:
            user, client_id = session.username, session.client_id
            self.say_refused("subscribe", user, client_id, name, reason, why=why)
            return reason
        if request.qos > self.limits.maximum_qos:
            request = replace(request, qos=self.limits.maximum_qos)
        is_new = name not in session.subscriptions
        subscription = Subscription(
            session, request, packet.properties.subscription_id, self.retained.number
        )
        self.file(subscription)
        wants_retained = request.retain_handling == 0 or (
            request.retain_handling == 1 and is_new
        )
        if wants_retained and self.limits.retain_available and not is_shared(name):
            self.tell_retained(subscription)
        return ReasonCode(request.qos)

    def say_refused(
        self,
        what: str,
        username: str | None,
        client_id: str,
        topic: str,
        reason: ReasonCode,
        *,
        why: str | None = None,
    ) -> None:
        """Tell the log that a client may not do something with a topic."""
        first_level = topic.partition("/")[0]
        self.warnings.say(
            "client %.64r of %s may not %s %.100r: %s",
            client_id,
            user_text(username),
            what,
            topic,
            reason.text if why is None else f"{reason.text}, it {why}",
            about=(what, client_id[:64], first_level[:64], reason),
        )

    def character_fault(self, topic: str) -> str | None:
        """Say which character of a name or filter this broker does not take."""
        return None if self.limits.allows_control_characters else control_fault(topic)

    def fits(self, topic: str) -> bool:
        """Tell whether the limits let there be such a name or filter."""
        is_deep = topic.count("/") >= self.limits.topic_levels
        return not is_deep and self.character_fault(topic) is None

    def refusal_to_publish(
        self, username: str | None, client_id: str, topic: str
    ) -> ReasonCode | None:
        """Tell why somebody may not publish to a topic; None if that is allowed."""
        reason, why, permissions = None, None, self.permissions
        if topic.startswith("$"):
            reason = ReasonCode.NOT_AUTHORIZED
        elif (
            topic.count("/") >= self.limits.topic_levels
            # Two calls less for each message: what is printable has no such fault.
            or not (topic.isprintable() or (why := self.character_fault(topic)) is None)
        ):
            reason = ReasonCode.TOPIC_NAME_INVALID
        elif permissions.has_entries:
            self.work.done += permissions.count(username)
            if not permissions.may_publish(username, client_id, topic):
                reason = ReasonCode.NOT_AUTHORIZED
        if reason is not None:
            self.say_refused("publish to", username, client_id, topic, reason, why=why)
        return reason

    def _refusal(
        self, session: Session, request: SubscriptionRequest
    ) -> ReasonCode | None:
        name = request.topic_filter
        if name.count("/") >= self.limits.topic_levels:
            return ReasonCode.TOPIC_FILTER_INVALID
        self.work.done += self.permissions.count(session.username)
        if not self.permissions.may_subscribe(
            session.username, session.client_id, name
        ):
            return ReasonCode.NOT_AUTHORIZED
        if name in session.subscriptions:
            return None
        size = session.subscribed_bytes + subscription_bytes(name)
        if (
            len(session.subscriptions) >= self.limits.subscriptions
            or size > self.limits.subscription_bytes
            or not self.ledger.has_room(session)
        ):
            return ReasonCode.QUOTA_EXCEEDED
        return None

    def file(self, subscription: Subscription) -> None:
        """File a subscription; one of the same filter is replaced."""
        session, name = subscription.session, subscription.request.topic_filter
        old = session.subscriptions.get(name)
        if old is not None:
            self._take_out(old)
        else:
            size = subscription_bytes(name)
            session.subscribed_bytes += size
            self.ledger.charge_session(session, size)
        session.subscriptions[name] = subscription
        self.forget_targets()
        group, inner = parse_shared(name)
        if group is None:
            self.tree.add(inner, subscription)
        else:
            shared = self.shared.get(name)
            if shared is None:
                shared = self.shared[name] = SharedGroup()
                self.tree.add(inner, shared)
            session.groups[subscription] = shared
            shared.place(subscription)
        if self.journal is not None:
            self.journal.subscription(session, name)

    def unfile(self, subscription: Subscription) -> None:
        """Remove a subscription."""
        session, name = subscription.session, subscription.request.topic_filter
        del session.subscriptions[name]
        session.subscribed_bytes -= subscription_bytes(name)
        self._take_out(subscription)
        self.forget_targets()
        if self.journal is not None:
            self.journal.subscription(session, name)

    def _take_out(self, subscription: Subscription) -> None:
        name = subscription.request.topic_filter
        group, inner = parse_shared(name)
        if group is None:
            self.tree.remove(inner, subscription)
            return
        shared = subscription.session.groups.pop(subscription)
        shared.remove(subscription)
        # Members whose sessions have ended are out of it before they come here.
        if not shared and self.shared.get(name) is shared:
            del self.shared[name]
            self.tree.remove(inner, shared)

    def unsubscribing(
        self, client: ConnectedClient, session: Session, packet: Unsubscribe
    ) -> Job:
        """Remove subscriptions; deliveries that are under way are completed."""
        reasons: list[ReasonCode] = []
        for name in packet.topic_filters:
            subscription = session.subscriptions.get(name)
            if subscription is None:
                reasons.append(ReasonCode.NO_SUBSCRIPTION_EXISTED)
            else:
                self.unfile(subscription)
                reasons.append(ReasonCode.SUCCESS)
            self.work.done += FILTER + name.count("/")
            yield
            if session.is_over:
                return
        answer = Unsuback(packet_id=packet.packet_id, reasons=tuple(reasons))
        client.protocol.reply(answer)
        self.wake(client)

    def clear_subscriptions(self, session: Session) -> None:
        """Forget what a session that is over has subscribed, in portions if it is much."""
        job = self._clearing(session)
        if not self.work.go_on(job, self.work.done + AT_ONCE):
            self.work.add(session, job)

    def _clearing(self, session: Session) -> Job:
        self.forget_targets()
        while session.subscriptions:
            name, subscription = session.subscriptions.popitem()
            session.subscribed_bytes -= subscription_bytes(name)
            self._take_out(subscription)
            self.work.done += FILTER + name.count("/")
            yield
