"""The last retained message of each topic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.topics import matches

__all__ = ["Retained", "RetainedStore"]


@dataclass(frozen=True, slots=True)
class Retained:
    """One retained message."""

    topic: str
    payload: bytes
    qos: int
    properties: PublishProperties | None
    expires_at: float | None


class RetainedStore:
    """Retained messages by topic, bounded in number and bytes.

    Attributes:
        refused: Messages that were not kept because the store is full.
    """

    def __init__(self, *, max_items: int, max_bytes: int) -> None:
        self.refused = 0
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: dict[str, Retained] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Retained]:
        return iter(list(self._items.values()))

    def put(self, message: Message, expires_at: float | None) -> None:
        """Keep a message; an empty payload erases what its topic has."""
        self.remove(message.topic)
        if not message.payload:
            return
        size = len(message.payload) + len(message.topic)
        if len(self._items) >= self._max_items or self._bytes + size > self._max_bytes:
            self.refused += 1
            return
        self._bytes += size
        self._items[message.topic] = Retained(
            message.topic, message.payload, message.qos, message.properties, expires_at
        )

    def restore(self, item: Retained) -> None:
        """Put back what a store has kept."""
        self._bytes += len(item.payload) + len(item.topic)
        self._items[item.topic] = item

    def remove(self, topic: str) -> None:
        """Forget a topic."""
        old = self._items.pop(topic, None)
        if old is not None:
            self._bytes -= len(old.payload) + len(old.topic)

    def matching(self, topic_filter: str, now: float) -> list[Retained]:
        """Give what a new subscription gets; forgets what has expired."""
        if "+" not in topic_filter and "#" not in topic_filter:
            exact = self._items.get(topic_filter)
            found = [] if exact is None else [exact]
        else:
            found = [
                item
                for item in self._items.values()
                if matches(topic_filter, item.topic)
            ]
        alive = []
        for item in found:
            if item.expires_at is not None and item.expires_at <= now:
                self.remove(item.topic)
            else:
                alive.append(item)
        return alive
