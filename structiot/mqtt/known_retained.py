"""Which retained messages a subscriber has seen already."""

from __future__ import annotations

from structiot.mqtt.wire.messages import RETAIN, Message

__all__ = ["KnownRetained"]

_MAX_SEEN = 100_000


class KnownRetained:
    """Tells news from repetitions: a retained message comes again for each subscriber.

    A base of `Messages`.
    """

    def __init__(self) -> None:
        self._takes_all_retained = False
        self._seen: set[int] = set()

    def wants(self, message: Message) -> bool:
        """Whether a message is news."""
        if not message.flags & RETAIN or self._takes_all_retained:
            return True
        if hash(message.topic) in self._seen:
            return False
        self.saw(message.topic)
        return True

    def saw(self, topic: str) -> None:
        """Remember that what is retained on a topic is known here."""
        if len(self._seen) < _MAX_SEEN:
            # Its hash takes the place of a topic of any length.
            self._seen.add(hash(topic))

    def take_all_retained(self) -> None:
        """Let retained messages through, where new ones may have the flag (5.0)."""
        self._takes_all_retained = True

    def forget_retained(self) -> None:
        """Take retained messages again, as after a new subscription at the broker."""
        self._seen.clear()
