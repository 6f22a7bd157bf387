"""The last retained message of each topic."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from sys import getsizeof
from typing import TYPE_CHECKING, NamedTuple

from structiot.mqtt.broker.core.ledger import Account, Ledger
from structiot.mqtt.broker.memory_accounting import (
    PUBLISHER_BYTES,
    RETAINED_BYTES,
    delivery_bytes,
    message_bytes,
    topic_bytes,
)
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.properties import PublishProperties

if TYPE_CHECKING:
    from structiot.mqtt.broker.core.sessions import Session, Subscription

__all__ = ["Backlog", "Publisher", "Retained", "RetainedStore"]


# Levels that who walks over many holds at a time.
FEW = 256


class Publisher(NamedTuple):
    """Who has had something retained."""

    client_id: str
    username: str | None

    @property
    def held_bytes(self) -> int:
        """What it costs; the client may be gone by now."""
        size = getsizeof(self.client_id) + getsizeof(self.username)
        return size + PUBLISHER_BYTES


@dataclass(frozen=True, slots=True)
class Retained:
    """One retained message."""

    topic: str
    payload: bytes
    qos: int
    properties: PublishProperties | None
    expires_at: float | None
    # Its place in the order in which messages were retained.
    number: int = field(default=0, compare=False)
    # Who pays for it; None for the broker.
    account: Account | None = field(default=None, compare=False, repr=False)
    # Whose it is; None for the broker, or where that is not known.
    publisher: Publisher | None = field(default=None, compare=False)

    @property
    def delivery_bytes(self) -> int:
        """What it costs on its way to one client."""
        return delivery_bytes(self.topic, self.payload, self.properties)

    @property
    def held_bytes(self) -> int:
        """What it costs, its place in the tree included."""
        size = message_bytes(self.topic, self.payload, self.properties)
        if self.publisher is not None:
            size += self.publisher.held_bytes
        return size + RETAINED_BYTES + topic_bytes(self.topic)


class _Level:
    __slots__ = ("below", "item", "number", "shown")

    def __init__(self, number: int) -> None:
        # Those that came later have a higher one, and stand behind.
        self.number = number
        self.item: Retained | None = None
        self.below: dict[str, _Level] | None = None
        # What a `+` matches of them, until they change; who walks here holds a few.
        self.shown: tuple[_Level, ...] | None = None


class RetainedStore:
    """Retained messages by topic, bounded in number and bytes.

    They stand in a tree of topic levels, so that a subscription costs what it matches.
    The broker's own, below `$`, take none of the places.

    Attributes:
        refused: Messages that were not kept because the store is full.
        held_bytes: What it costs.
        number: How many messages were retained so far.
        steps: How much looking up has taken so far.
    """

    def __init__(self, *, max_items: int, max_bytes: int, ledger: Ledger) -> None:
        self.refused: int = 0
        self.held_bytes: int = 0
        self.number: int = 0
        self.steps: int = 0
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._ledger = ledger
        self._count = 0
        self._own_count = 0
        self._levels = 0
        self._root = _Level(0)

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

    def has_room_for(
        self, message: Message, account: Account | None, publisher: Publisher | None
    ) -> bool:
        """Tell whether a message can be kept, in the place of what its topic has."""
        old = self.get(message.topic)
        if old is None and self._count - self._own_count >= self._max_items:
            return False
        item = Retained(
            message.topic,
            message.payload,
            0,
            message.properties,
            None,
            publisher=publisher,
        )
        growth = item.held_bytes - (0 if old is None else old.held_bytes)
        has_room = self.held_bytes + growth <= self._max_bytes
        return has_room and (growth <= 0 or self._ledger.has_room_to_retain(account))

    def add(self, item: Retained) -> None:
        """Keep a message, in the place of what its topic has."""
        level = self._root
        for name in item.topic.split("/"):
            if level.below is None:
                level.below = {}
            if (below := level.below.get(name)) is None:
                self._levels += 1
                below = level.below[name] = _Level(self._levels)
                level.shown = None
            level = below
        old, level.item = level.item, item
        if old is None:
            self._count += 1
            self._own_count += item.topic.startswith("$")
        else:
            self._charge(-old.held_bytes, old.account)
        self._charge(item.held_bytes, item.account)

    def _charge(self, size: int, account: Account | None) -> None:
        self.held_bytes += size
        self._ledger.charge(size, account)
        if account is not None:
            account.retained_bytes += size

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
        self._charge(-item.held_bytes, item.account)
        for name, parent in zip(reversed(names), reversed(path[:-1]), strict=True):
            child = path.pop()
            if child.item is not None or child.below:
                break
            if parent.below is not None:
                del parent.below[name]
                parent.shown = None
        return True

    def walk(self, topic_filter: str) -> Iterator[Retained | None]:
        """Give what a plain filter matches; None for each step that finds nothing.

        Messages may come and go between the steps: what the walk comes to is given as
        it is then. `steps` counts what it takes.
        """
        names = topic_filter.split("/")
        if is_open := names[-1] == "#":
            names.pop()
        # Of each depth the levels that are still to be looked at.
        todo: list[Iterator[_Level]] = [iter((self._root,))]
        while todo:
            depth = len(todo) - 1
            level = next(todo[-1], None)
            self.steps += 1
            if level is None:
                todo.pop()
                continue
            if depth < len(names):
                yield None
                todo.append(self._step(level, names[depth]))
            else:
                # `#` includes the parent.
                yield level.item
                if is_open:
                    todo.append(self._step(level, "+"))

    def _step(self, level: _Level, name: str) -> Iterator[_Level]:
        if level.below is None:
            return iter(())
        if name != "+":
            below = level.below.get(name)
            return iter(() if below is None else (below,))
        return self._shown(level)

    def _shown(self, level: _Level) -> Iterator[_Level]:
        """Give what stands below, a few at a time, so that what goes is not held."""
        last = 0
        while level.below:
            if level.shown is None:
                if level is self._root:
                    names = level.below.items()
                    shown = (one for name, one in names if not name.startswith("$"))
                    level.shown = tuple(shown)
                else:
                    level.shown = tuple(level.below.values())
                self.steps += len(level.shown) // 8
            at = bisect_right(level.shown, last, key=_number_of)
            some = level.shown[at : at + FEW]
            if not some:
                return
            last = some[-1].number
            yield from some


def _number_of(level: _Level) -> int:
    return level.number


class Backlog:
    """What a session has still to be told of retained messages.

    A subscription's messages are looked up when its turn comes, one by one, so that
    many of them hold little.

    Attributes:
        is_told: Whether somebody is at it.
    """

    __slots__ = ("_dropped", "_head", "_waiting", "_walk", "is_told")

    def __init__(self, session: Session) -> None:
        self.is_told: bool = False
        self._dropped = session.dropped
        self._waiting: dict[str, Subscription] = {}
        self._head: Subscription | None = None
        self._walk: Iterator[Retained | None] | None = None

    def add(self, subscription: Subscription) -> None:
        """Put a new subscription behind the others; it may replace one of them."""
        name = subscription.request.topic_filter
        self._waiting[name] = subscription
        if self._head is not None and self._head.request.topic_filter == name:
            self._head = self._walk = None

    def step(self, store: RetainedStore) -> tuple[Subscription, Retained | None] | None:
        """Give the next message to be told, and to which subscription; None at the end.

        The message is None where a step has found nothing.
        """
        while True:
            if self._head is not None and self._walk is not None:
                for item in self._walk:
                    return self._head, self._untold(self._head, item)
            if not self._waiting:
                return None
            name = next(iter(self._waiting))
            self._head = self._waiting.pop(name)
            self._walk = store.walk(name)

    def leave_out(self) -> None:
        """Tell no more to the subscription whose turn it is."""
        self._head = self._walk = None

    def _untold(
        self, subscription: Subscription, item: Retained | None
    ) -> Retained | None:
        """Leave out what was published later than the filter was subscribed.

        It was delivered as it came, unless something was dropped since.
        """
        if item is None or item.number <= subscription.after:
            return item
        return None if subscription.session.dropped == self._dropped else item
