"""Ends: of connections, of sessions, and the wills that they bring about."""

from __future__ import annotations

import logging

from structiot.mqtt.broker.auth import Permissions
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.core.handle import Handle
from structiot.mqtt.broker.core.sessions import FOR_EVER_S, Session
from structiot.mqtt.broker.core.subscribing import Subscribing
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["Ending"]

_log = logging.getLogger(__name__)


class Ending(Subscribing):
    """Knows when something is over; a base of `Broker`.

    Attributes:
        sessions: By client id.
        away: Those without a connection, the longest away first.
    """

    def __init__(self, limits: BrokerLimits, permissions: Permissions) -> None:
        super().__init__(limits, permissions)
        self.sessions: dict[str, Session] = {}
        self.away: dict[Session, None] = {}

    def left(self, handle: Handle, now: float) -> None:
        """A connection is gone, whatever the reason; idempotent."""
        self.clock.now = now
        self.slow_consumers.remove(handle, now)
        session = handle.session
        handle.session = None
        if session is None or session.handle is not handle:
            return
        session.handle = None
        session.outgoing.pause()
        self.away[session] = None
        if session.will is not None:
            delay_s = session.will.properties.will_delay_s or 0
            session.will_at = now + min(delay_s, session.expiry_s)
        if session.expiry_s < FOR_EVER_S:
            session.expires_at = now + session.expiry_s
        if self.journal is not None:
            self.journal.session(session)
        self.look_at(session)
        self._bound_sessions()

    def cut(
        self, handle: Handle, reason: ReasonCode, now: float, text: str | None = None
    ) -> None:
        """End a connection from this side; a client of 5.0 is told why."""
        handle.protocol.disconnect(reason, text)
        self.left(handle, now)
        self.wake(handle)
        handle.end()

    def tick(self, now: float) -> None:
        """Do what is due: wills, ends of sessions, clients that are silent or stuck."""
        self.clock.now = now
        for session in self.deadlines.take(now):
            self.look_at(session)

    def shut_down(self, now: float) -> None:
        """Say goodbye to everybody; sessions stay as they are."""
        for session in list(self.sessions.values()):
            if session.handle is not None:
                self.cut(session.handle, ReasonCode.SERVER_SHUTTING_DOWN, now)

    def look_at(self, session: Session) -> None:
        """Do what is due for one session and say when it is to be looked at again."""
        dues: list[float | None] = []
        if session.outgoing.waiting:
            dues.append(session.outgoing.drop_expired())
            self.pool.settle(session)
        if session.handle is not None:
            dues += self._look_at_connection(session.handle)
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

    def _look_at_connection(self, handle: Handle) -> list[float | None]:
        now = self.clock.now
        silent_until = stuck_until = None
        if handle.keep_alive_s:
            silent_until = handle.protocol.last_received_at + handle.keep_alive_s * 1.5
            if silent_until <= now:
                self.cut(handle, ReasonCode.KEEP_ALIVE_TIMEOUT, now)
                return []
        if handle.stalled_since is not None:
            stuck_until = handle.stalled_since + self.limits.stall_s
            if stuck_until <= now:
                _log.warning("%s takes nothing, it is cut off", handle.peer)
                self.left(handle, now)
                handle.end()
                return []
        return [silent_until, stuck_until]

    def _bound_sessions(self) -> None:
        while len(self.away) > self.limits.sessions:
            oldest = next(iter(self.away))
            _log.warning("too many sessions: that of %r ends", oldest.client_id)
            self.end_session(oldest)

    def end_session(self, session: Session) -> None:
        """Forget a session; its will, if it still waits, is published."""
        for subscription in list(session.subscriptions.values()):
            self.unfile(subscription)
        self.away.pop(session, None)
        self.pool.leave(session)
        session.due_at = None
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
        if self.journal is not None:
            self.journal.ended(session)
        if session.will_at is not None:
            self._publish_will(session)

    def _publish_will(self, session: Session) -> None:
        will, session.will, session.will_at = session.will, None, None
        if will is None:
            return
        is_alive = self.sessions.get(session.client_id) is session
        if self.journal is not None and is_alive:
            self.journal.session(session)
        message = Message(will.topic, will.payload, qos=will.qos, retain=will.retain)
        message.properties = _published(will.properties)
        self.received += 1
        self.distribute(message, origin=session)


def _published(will: WillProperties) -> PublishProperties | None:
    properties = PublishProperties(
        payload_format=will.payload_format,
        message_expiry_s=will.message_expiry_s,
        content_type=will.content_type,
        response_topic=will.response_topic,
        correlation_data=will.correlation_data,
        user_properties=will.user_properties,
    )
    return None if properties == PublishProperties() else properties
