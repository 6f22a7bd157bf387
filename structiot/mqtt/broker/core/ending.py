"""Ends: of connections, of sessions, and the wills that they bring about."""

from __future__ import annotations

import logging
from collections.abc import Generator

from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.core.connected_client import ConnectedClient
from structiot.mqtt.broker.core.ledger import LITTLE_BYTES, Account, weight
from structiot.mqtt.broker.core.sessions import FOR_EVER_S, Session
from structiot.mqtt.broker.core.sharing import Sharing
from structiot.mqtt.broker.core.work import (
    AT_ONCE,
    PACKET,
    PORTION,
    RETAINED_MESSAGE,
    SESSION,
    Job,
)
from structiot.mqtt.broker.permissions import Permissions
from structiot.mqtt.wire.flows.flow import Flow
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["Ending"]

_log = logging.getLogger(__name__)

# Of what is due, how much is taken at a time.
FEW = 4


class Ending(Sharing):
    """Knows when something is over; a base of `Broker`.

    Attributes:
        sessions: By client id.
        away: Those without a connection, the longest away first.
    """

    def __init__(self, limits: BrokerLimits, permissions: Permissions) -> None:
        super().__init__(limits, permissions)
        self.sessions: dict[str, Session] = {}
        self.away: dict[Session, None] = {}

    def left(self, client: ConnectedClient, now: float) -> None:
        """A connection is gone, whatever the reason; idempotent."""
        self.clock.now = now
        self.slow_consumers.remove(client, now)
        session = client.session
        client.session = None
        client.protocol.detach()
        self.ledger.forget_newcomer(client)
        if (job := client.job) is not None:
            # What was received before counts, also if the client does not wait for it.
            client.job = None
            self.work.add(session, job)
        if session is None or session.client is not client:
            return
        _log.debug("client %.64r at %s has left", session.client_id, client.peer)
        session.client = None
        if self.onlooker is not None:
            self.onlooker.left(session.client_id, session.username)
        session.place_in_groups()
        session.outgoing.pause()
        self.away[session] = None
        session.account.left(session)
        if session.will is not None:
            delay_s = session.will.properties.will_delay_s or 0
            session.will_at = now + min(delay_s, session.expiry_s)
        if session.expiry_s < FOR_EVER_S:
            session.expires_at = now + session.expiry_s
        if self.journal is not None:
            self.journal.session(session)
        self.ledger.settle(session)
        self.look_at(session)
        self.bound_sessions()

    def cut(
        self,
        client: ConnectedClient,
        reason: ReasonCode,
        now: float,
        text: str | None = None,
    ) -> None:
        """End a connection from this side; a client of 5.0 is told why."""
        if client.session is not None:
            name, why = client.session.client_id, text or reason.text
            _log.debug("client %.64r at %s is cut off: %s", name, client.peer, why)
        client.protocol.disconnect(reason, text)
        self.left(client, now)
        self.wake(client)
        client.end()

    def tick(self, now: float) -> None:
        """Do what is due: wills, ends of sessions, clients that are silent or stuck.

        If that is much, something stays due for the next time.
        """
        self.clock.now = now
        end = self.work.done + PORTION
        while self.work.done < end and (taken := self.deadlines.take(now, FEW)):
            for due in taken:
                if isinstance(due, Session):
                    self.look_at(due)
                else:
                    self.work.done += RETAINED_MESSAGE
                    self.expire_retained(due)

    def shut_down(self, now: float) -> Generator[None]:
        """Say goodbye to one client at each step; sessions stay as they are."""
        # Somebody may have connected meanwhile.
        while clients := [s.client for s in self.sessions.values() if s.client]:
            for client in clients:
                self.cut(client, ReasonCode.SERVER_SHUTTING_DOWN, now)
                yield

    def look_at(self, session: Session) -> None:
        """Do what is due for one session and say when it is to be looked at again."""
        dues: list[float | None] = []
        self.work.done += PACKET + len(session.outgoing.waiting) // 4
        if session.outgoing.waiting:
            dues.append(session.outgoing.drop_expired())
            self.ledger.settle_deliveries(session)
        if session.client is not None:
            dues.append(self._look_at_connection(session.client))
        else:
            now = self.clock.now
            if session.will_at is not None and session.will_at <= now:
                self._publish_will(session)
            if session.expires_at is not None and session.expires_at <= now:
                self.end_session(session)
                return
            dues += [session.will_at, session.expires_at]
        if next_dues := [due for due in dues if due is not None]:
            self.deadlines.add(session, min(next_dues))

    def _look_at_connection(self, client: ConnectedClient) -> float | None:
        if not client.keep_alive_s:
            return None
        if client.is_held_up:
            return self.clock.now + client.keep_alive_s * 1.5
        silent_until = client.protocol.last_received_at + client.keep_alive_s * 1.5
        if silent_until > self.clock.now:
            return silent_until
        self.cut(client, ReasonCode.KEEP_ALIVE_TIMEOUT, self.clock.now)
        return None

    def bound_sessions(self) -> None:
        """End sessions while too many are away, or clients hold too much.

        If that is much, some end later.
        """
        while len(self.away) > self.limits.sessions:
            session = self._one_too_many()
            name = session.client_id[:64]
            self.warnings.say("too many sessions: that of %r ends", name)
            self.end_session(session)
        if self.ledger.is_pressing and not self.work.has_left(self):
            job = self._ending_the_heaviest()
            if not self.work.go_on(job, self.work.done + PORTION):
                self.work.add(self, job)

    def _one_too_many(self) -> Session:
        """Choose a session that nobody would miss, else one of who has most of them."""
        accounts = self.ledger.accounts
        self.work.done += len(accounts)
        idle = max((one.idle for one in accounts.values()), key=len)
        most = idle or max((one.away for one in accounts.values()), key=len)
        return next(iter(most))

    def _ending_the_heaviest(self) -> Job:
        """Have who holds most pay, until somebody else does, or it is enough."""
        ledger, work = self.ledger, self.work
        cannot_pay: list[Account] = []
        while ledger.is_crowded:
            work.done += len(ledger.accounts)
            account, next_bytes = ledger.heaviest(cannot_pay)
            if account is None:
                return
            before = ledger.held_bytes
            yield from self._ending_of(account, next_bytes)
            if ledger.held_bytes >= before:
                cannot_pay.append(account)

    def _ending_of(self, account: Account, next_bytes: int) -> Job:
        ledger, work = self.ledger, self.work
        if account.retained_bytes * 2 > account.held_bytes:
            yield from self._forgetting_of(account, next_bytes)
        heaviest = sorted(account.sessions, key=weight, reverse=True)
        work.done += len(heaviest)
        for session in heaviest:
            yield
            if not ledger.is_crowded or account.excess_bytes < next_bytes:
                return
            if session.account is account and not session.is_over:
                self._end_heavy(session)

    def _end_heavy(self, session: Session) -> None:
        ledger, client = self.ledger, session.client
        is_hoarder = (
            weight(session) >= LITTLE_BYTES
            or session.account.excess_bytes >= ledger.share_bytes
        )
        if client is not None and not is_hoarder:
            return
        self.warnings.say(
            "clients hold %d bytes of %d: the session of %r at %s, which "
            "holds %d, ends",
            ledger.held_bytes,
            ledger.most_bytes,
            session.client_id[:64],
            session.account.name,
            weight(session),
        )
        if client is not None:
            self.cut(client, ReasonCode.QUOTA_EXCEEDED, self.clock.now)
        if not session.is_over:
            self.end_session(session)

    def _forgetting_of(self, account: Account, next_bytes: int) -> Job:
        """Forget retained messages of who holds most, if it is these."""
        ledger, store = self.ledger, self.retained
        steps = store.steps
        for item in store.walk("#"):
            self.work.done += store.steps - steps
            steps = store.steps
            if item is not None and item.account is account:
                if not ledger.is_crowded or account.excess_bytes < next_bytes:
                    return
                self.warnings.say(
                    "clients hold %d bytes of %d: what %s had retained is forgotten",
                    ledger.held_bytes,
                    ledger.most_bytes,
                    account.name,
                )
                self.work.done += RETAINED_MESSAGE
                self.forget_retained(item.topic)
            yield

    def settle_newcomer(self, client: ConnectedClient) -> None:
        """Charge a client without a session; who has come first yields if all is much."""
        ledger = self.ledger
        ledger.settle_newcomer(client)
        while ledger.unfinished_bytes > ledger.share_bytes // 2:
            accounts = {one.account for one in ledger.newcomers if one.account}
            self.work.done += len(ledger.newcomers)
            most = max(accounts, key=lambda one: one.unfinished_bytes)
            oldest = next(one for one in ledger.newcomers if one.account is most)
            self.warnings.say(
                "what has come of %d CONNECTs holds %d bytes: %s yields",
                len(ledger.newcomers),
                ledger.unfinished_bytes,
                most.name,
            )
            self.cut(oldest, ReasonCode.QUOTA_EXCEEDED, self.clock.now)

    def drop_forbidden(self, session: Session) -> None:
        """Give up what waits for a session and may not be received any more.

        If that is much to look at, it takes its turns, and nothing goes out before.
        """
        outgoing = session.outgoing
        if (
            outgoing.waiting
            and self.permissions.has_entries
            and not (session.is_over or outgoing.is_held)
        ):
            outgoing.is_held = True
            job = self._dropping_forbidden(session)
            if not self.work.go_on(job, self.work.done + AT_ONCE):
                self.work.add(session, job)

    def _dropping_forbidden(self, session: Session) -> Job:
        outgoing, permissions = session.outgoing, None
        forbidden: set[Flow] = set()
        while permissions is not self.permissions:
            # Others may come while it takes its turns.
            permissions = self.permissions
            forbidden.clear()
            for flow in list(outgoing.waiting):
                if session.is_over or permissions is not self.permissions:
                    break
                if not self.may_receive(session, flow.topic):
                    forbidden.add(flow)
                self.work.done += 1
                yield
        outgoing.is_held = False
        if session.is_over:
            return
        if forbidden:
            outgoing.leave_out(forbidden)
            self.ledger.settle_deliveries(session)
        if session.client is not None:
            self.refill(session.client)

    def end_session(self, session: Session) -> None:
        """Forget a session; its will, if it still waits, is published.

        What it has not delivered to a shared subscription goes to other members.
        """
        session.is_over = True
        session.place_in_groups()
        self.work.done += SESSION
        self.clear_subscriptions(session)
        session.backlog = None
        self.away.pop(session, None)
        self.ledger.forget(session)
        self.deadlines.forget(session)
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
        self.hand_on(session)
        if session.will_at is not None:
            self._publish_will(session)

    def _publish_will(self, session: Session) -> None:
        will, session.will_at = session.will, None
        if will is None:
            return
        session.take_will(None)
        is_alive = self.sessions.get(session.client_id) is session
        if self.journal is not None and is_alive:
            self.journal.session(session)
        name, client_id = session.username, session.client_id
        if self.refusal_to_publish(name, client_id, will.topic) is not None:
            return
        message = Message(will.topic, will.payload, qos=will.qos, retain=will.retain)
        message.properties = _published(will.properties)
        self.received += 1
        job = self.distributing(message, origin=session)
        is_waiting = self.work.has_left(session)
        if is_waiting or not self.work.go_on(job, self.work.done + AT_ONCE):
            self.work.add(session, job)


def _published(will: WillProperties) -> PublishProperties | None:
    properties = PublishProperties(
        payload_format=will.payload_format,
        message_expiry_s=will.message_expiry_s,
        content_type=will.content_type,
        response_topic=will.response_topic,
        correlation_data=will.correlation_data,
        user_properties=will.user_properties,
    )
    properties.share_pairs(will)
    return None if properties == PublishProperties() else properties
