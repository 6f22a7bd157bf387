"""Retained messages: kept while there is room, and until they expire."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from structiot._kit.rare_lines import RareLines
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.core.deadlines import Clock, Deadlines
from structiot.mqtt.broker.core.ledger import Account, Ledger
from structiot.mqtt.broker.core.retained import Publisher, Retained, RetainedStore
from structiot.mqtt.broker.core.work import RETAINED_MESSAGE, Work
from structiot.mqtt.wire.messages import Message

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.journal import BrokerJournal
    from structiot.mqtt.broker.core.onlooker import Onlooker

__all__ = ["Retaining"]

_log = logging.getLogger(__name__)


class Retaining:
    """Knows the last retained message of each topic; a base of `Broker`.

    Attributes:
        limits: What clients may have.
        refused_flags: Bits of a PUBLISH that are not taken.
        clock: The present.
        deadlines: When sessions and retained messages have to be looked at.
        warnings: Tells the log which limits were reached.
        notes: Tells it who is turned away, and why.
        ledger: What all clients hold.
        journal: Notes what changes, when a store is in use.
        onlooker: Is told of clients and their messages, and may keep these back.
        retained: The last retained message of each topic.
        work: What is done, and what is left to do.
    """

    def __init__(self, limits: BrokerLimits) -> None:
        self.limits = limits
        self.work: Work = Work()
        self.refused_flags: int = limits.refused_flags
        self.clock: Clock = Clock()
        self.deadlines: Deadlines = Deadlines()
        self.warnings: RareLines = RareLines(_log, lambda: self.clock.now)
        self.notes: RareLines = RareLines(_log, lambda: self.clock.now, logging.INFO)
        self.ledger: Ledger = Ledger(limits.all_bytes)
        self.journal: BrokerJournal | None = None
        self.onlooker: Onlooker | None = None
        self.retained: RetainedStore = RetainedStore(
            max_items=limits.retained,
            max_bytes=limits.retained_bytes,
            ledger=self.ledger,
        )

    def can_retain(
        self, message: Message, account: Account | None, publisher: Publisher | None
    ) -> bool:
        """Tell whether a message would be kept; say in the log if not."""
        if self.retained.has_room_for(message, account, publisher):
            return True
        self.retained.refused += 1
        self.warnings.say(
            "no room to retain a message of %r: there are %d retained messages of %d bytes",
            message.topic[:64],
            len(self.retained),
            self.retained.held_bytes,
        )
        return False

    def retain(
        self,
        message: Message,
        expires_at: float | None,
        account: Account | None,
        publisher: Publisher | None,
    ) -> None:
        """Keep a message, or at least not the one before it, which is out of date."""
        topic = message.topic
        is_own = topic.startswith("$")
        if not self.limits.retain_available:
            return
        is_kept = message.payload and (
            is_own or self.can_retain(message, account, publisher)
        )
        self.work.done += RETAINED_MESSAGE
        self.deadlines.forget(topic)
        self.retained.number += 1
        if not is_kept:
            self.retained.remove(topic)
        else:
            self.keep(
                Retained(
                    topic,
                    message.payload,
                    message.qos,
                    message.properties,
                    expires_at,
                    self.retained.number,
                    account,
                    publisher,
                )
            )
        if self.journal is not None and not is_own:
            self.journal.retained(topic)

    def keep(self, item: Retained) -> None:
        """Keep a retained message for as long as it lives."""
        self.retained.add(item)
        if item.expires_at is not None:
            self.deadlines.add(item.topic, item.expires_at)

    def expire_retained(self, topic: str) -> None:
        """Forget a retained message whose time has come."""
        item = self.retained.get(topic)
        if item is None or item.expires_at is None:
            return
        if item.expires_at > self.clock.now:
            self.deadlines.add(topic, item.expires_at)
            return
        self.forget_retained(topic)

    def forget_retained(self, topic: str) -> None:
        """Forget a retained message."""
        self.deadlines.forget(topic)
        self.retained.remove(topic)
        if self.journal is not None:
            self.journal.retained(topic)
