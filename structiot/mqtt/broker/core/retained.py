"""The last retained message of each topic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from structiot.mqtt.broker.core.ledger import Ledger
from structiot.mqtt.broker.memory_accounting import (
    RETAINED_BYTES,
    message_bytes,
    topic_bytes,
)
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.properties import PublishProperties

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.sessions import Subscription

__all__ = ["Backlog", "Retained", "RetainedStore"]


@dataclass(frozen=True, slots=True)
class Retained:
    """One retained message."""

    topic: str
    payload: bytes
    qos: int
    properties: PublishProperties | None
    expires_at: float | None

    @property
    def content_bytes(self) -> int:
        """What its topic, payload and properties cost."""
        return message_bytes(self.topic, self.payload, self.properties)

    @property
    def held_bytes(self) -> int:
        """What it costs, its place in the tree included."""
        return self.content_bytes + RETAINED_BYTES + topic_bytes(self.topic)


class _Level:
    __slots__ = ("below", "item")

    def __init__(self) -> None:
        self.item: Retained | None = None
        self.below: dict[str, _Level] | None = None


class RetainedStore:
    """Retained messages by topic, bounded in number and bytes.

    They stand in a tree of topic levels, so that a subscription costs what it matches.
    The broker's own, below `$`, take none of the places.

    Attributes:
        refused: Messages that were not kept because the store is full.
        held_bytes: What it costs.
    """

    def __init__(self, *, max_items: int, max_bytes: int, ledger: Ledger) -> None:
        self.refused: int = 0
        self.held_bytes: int = 0
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._ledger = ledger
        self._count = 0
        self._own_count = 0
        self._root = _Level()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Retained]:
        todo = [self._root]
        while todo:
            level = todo.pop()
            if level.item is not None:
                yield level.item
            if level.below is not None:
                todo += reversed(level.below.values())

    def has_room_for(self, message: Message) -> bool:
        """Tell whether a message can be kept, in the place of what its topic has."""
        old = self.get(message.topic)
        if old is None and self._count - self._own_count >= self._max_items:
            return False
        item = Retained(message.topic, message.payload, 0, message.properties, None)
        growth = item.held_bytes - (0 if old is None else old.held_bytes)
        has_room = self.held_bytes + growth <= self._max_bytes
        return has_room and (growth <= 0 or not self._ledger.is_full)

    def add(self, item: Retained) -> None:
        """Keep a message; its topic has none."""
        level = self._root
        for name in item.topic.split("/"):
            if level.below is None:
                level.below = {}
            if (below := level.below.get(name)) is None:
                below = level.below[name] = _Level()
            level = below
        level.item = item
        self._count += 1
        self._own_count += item.topic.startswith("$")
        self._charge(item.held_bytes)

    def _charge(self, size: int) -> None:
        self.held_bytes += size
        self._ledger.charge(size)

    def get(self, topic: str) -> Retained | None:
        """Give what a topic has."""
        level = self._root
        for name in topic.split("/"):
            below = level.below and level.below.get(name)
            if not below:
                return None
            level = below
        return level.item

    def remove(self, topic: str) -> bool:
        """Forget a topic; False if it had nothing."""
        path = [self._root]
        names = topic.split("/")
        for name in names:
            below = path[-1].below and path[-1].below.get(name)
            if not below:
                return False
            path.append(below)
        item, path[-1].item = path[-1].item, None
        if item is None:
            return False
        self._count -= 1
        self._own_count -= topic.startswith("$")
        self._charge(-item.held_bytes)
        for name, parent in zip(reversed(names), reversed(path[:-1]), strict=True):
            child = path.pop()
            if child.item is not None or child.below:
                break
            if parent.below is not None:
                del parent.below[name]
        return True

    def topics(self, topic_filter: str) -> list[str]:
        """Name the topics that a plain filter matches."""
        names = topic_filter.split("/")
        levels = [self._root]
        for depth, name in enumerate(names):
            if name == "#":
                return [
                    item.topic
                    for level in levels
                    for item in _all_below(level, may_be_hidden=depth > 0)
                ]
            levels = [
                below
                for level in levels
                for below in _step(level, name, may_be_hidden=depth > 0)
            ]
        return [level.item.topic for level in levels if level.item is not None]


def _step(level: _Level, name: str, *, may_be_hidden: bool) -> list[_Level]:
    if level.below is None:
        return []
    if name != "+":
        below = level.below.get(name)
        return [] if below is None else [below]
    return [
        below
        for name, below in level.below.items()
        if may_be_hidden or not name.startswith("$")
    ]


def _all_below(level: _Level, *, may_be_hidden: bool) -> Iterator[Retained]:
    """Give what is at and below a level; `#` includes the parent."""
    if level.item is not None:
        yield level.item
    todo = _step(level, "+", may_be_hidden=may_be_hidden)[::-1]
    while todo:
        one = todo.pop()
        if one.item is not None:
            yield one.item
        if one.below is not None:
            todo += reversed(one.below.values())


class Backlog:
    """What a session has still to be told of retained messages.

    A subscription's topics are looked up when its turn comes, so that many of them
    hold no more than the longest.
    """

    __slots__ = ("_head", "_topics", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[str, Subscription] = {}
        self._head: Subscription | None = None
        self._topics: list[str] = []

    def add(self, subscription: Subscription) -> None:
        """Put a new subscription behind the others; it may replace one of them."""
        name = subscription.request.topic_filter
        self._waiting[name] = subscription
        if self._head is not None and self._head.request.topic_filter == name:
            self._topics.clear()

    def take(self, store: RetainedStore) -> tuple[Subscription, str] | None:
        """Give the next topic to be told, and to which subscription."""
        while not self._topics or self._head is None:
            if not self._waiting:
                return None
            name = next(iter(self._waiting))
            self._head = self._waiting.pop(name)
            self._topics = store.topics(name)[::-1]
        return self._head, self._topics.pop()
