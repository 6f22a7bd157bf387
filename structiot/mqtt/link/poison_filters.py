"""Which subscription it is at which a broker hangs up; brokers do that in place of a refusal.

It is tried as a message is (see `poison_messages`): a filter whose SUBSCRIBE was the oldest
without an answer when five connections in a row broke off soon is a suspect (one connection,
if the broker gives a reason that only subscriptions can be the cause of). Suspects are not
asked for on the next connection, and the others one by one. When that connection has lived
for a while and no message is under way, they are asked for in turn.

    It is answered, or the connection lives on: no suspect any more.
    The connection breaks off: one round against it. After three in a row it is refused.
    The connection breaks off before any was asked for: it is the broker; all are free.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from structiot.errors import StructiotError
from structiot.mqtt.errors import MqttGoodbye, SubscribeRefused
from structiot.mqtt.link.poison_messages import (
    LIVES_LONG_S,
    LIVES_S,
    MOST_SUSPECTS,
    OF_SUBSCRIPTIONS,
    ROUNDS,
    SOON_S,
    SUSPICIOUS,
    UNRELATED,
    PoisonMessages,
    is_broken_off,
)

__all__ = ["PoisonFilters"]

_log = logging.getLogger(__name__)


class PoisonFilters:
    """The suspects of one link, and the trial.

    Attributes:
        suspects: Filters with the rounds against them, the oldest first.
        tried: The one that was asked for, alone, and is not answered yet.
    """

    def __init__(self, peer: str) -> None:
        self.suspects: dict[str, int] = {}
        self.tried: str | None = None
        self._peer = peer
        self._oldest: str | None = None
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._tried_at = 0.0
        self._lived_s = 0.0
        self._answered = anyio.Event()

    @property
    def is_careful(self) -> bool:
        """Whether filters are asked for one by one."""
        return self._oldest is not None or bool(self.suspects)

    def opened(self, now: float) -> None:
        """The broker has accepted us."""
        self._opened_at = now
        self.tried = None

    def answered(self, name: str) -> None:
        """The broker has answered for a filter, and lives."""
        self.suspects.pop(name, None)
        if name == self._oldest:
            self._oldest = None
        if name == self.tried:
            self.tried = None
            self._answered.set()

    def lost(
        self,
        error: StructiotError | None,
        unanswered: str | None,
        now: float,
        *,
        is_alone: bool,
    ) -> SubscribeRefused | None:
        """A connection has ended, or an attempt to have one.

        Args:
            error: Why.
            unanswered: The filter that has waited longest for its answer.
            now: When.
            is_alone: Whether no message was under way.

        Returns:
            The answer for the filter that was tried, if that is enough.
        """
        opened_at, self._opened_at = self._opened_at, None
        tried, self.tried = self.tried, None
        code = error.code if isinstance(error, MqttGoodbye) else None
        is_said = code in OF_SUBSCRIPTIONS
        if opened_at is None or not is_broken_off(error):
            return None
        if code in UNRELATED and not is_said:
            return None
        sent_at = opened_at if tried is None else self._tried_at
        is_soon = now - sent_at <= max(SOON_S, self._lived_s)
        if tried is not None:
            if tried == unanswered and is_alone and is_soon:
                self._lived_s = max(self._lived_s, now - opened_at)
                return self._count(tried, error, code)
        elif unanswered is None or len(self.suspects) >= MOST_SUSPECTS:
            self.suspects.clear()
            self._oldest = None
        elif is_soon:
            self._in_a_row = self._in_a_row + 1 if unanswered == self._oldest else 1
            if is_said or self.suspects or self._in_a_row >= SUSPICIOUS:
                self._lived_s = now - opened_at
                self._suspect(unanswered, error)
            self._oldest = unanswered
        return None

    def _suspect(self, name: str, error: StructiotError | None) -> None:
        self.suspects[name] = 0
        text = "%s; the subscription %r may be the cause: the others go first"
        _log.warning(text, error, name)

    def _count(
        self, name: str, error: StructiotError | None, code: int | None
    ) -> SubscribeRefused | None:
        self.suspects[name] += 1
        if code not in OF_SUBSCRIPTIONS and self.suspects[name] < ROUNDS:
            return None
        del self.suspects[name]
        text = f"{self._peer} ends each connection on which {name!r} is subscribed: {error}"
        return SubscribeRefused(text, topic_filter=name, code=code)

    async def run_trial(
        self, messages: PoisonMessages, ask: Callable[[str], None]
    ) -> None:
        """Ask for the suspects on a connection that lives without them.

        Args:
            messages: Are held meanwhile; if one is on trial itself, this waits.
            ask: Subscribes to one.
        """
        await anyio.sleep(min(max(LIVES_S, 2 * self._lived_s), LIVES_LONG_S))
        while self.suspects:
            if not messages.hold():
                await anyio.sleep(SOON_S)
                continue
            try:
                # What is under way comes to its end.
                await anyio.sleep(LIVES_S)
                if name := next(iter(self.suspects), None):
                    self._answered = anyio.Event()
                    self.tried, self._tried_at = name, anyio.current_time()
                    ask(name)
                    with anyio.move_on_after(SOON_S):
                        await self._answered.wait()
                    # It lives with it, answered or not.
                    self.answered(name)
            finally:
                messages.release()
