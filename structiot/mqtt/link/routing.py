"""Which message goes to which subscription, and what the broker knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from structiot.errors import StructiotError
from structiot.mqtt.subscription import Messages
from structiot.mqtt.wire.flows.inbound import Ack
from structiot.mqtt.wire.messages import RETAIN, Message, SubscriptionRequest
from structiot.mqtt.wire.protocol import Event
from structiot.mqtt.wire.topics import TopicTree, fits, parse_shared

__all__ = ["Filter", "Router"]

_MAX_CACHED_TOPICS = 16_384
_MAX_CACHED_CHARS = 256
# Messages without any of these flags (retain, QoS) take the quick way, and of the others
# those that are not retained and as their subscriber wants them.
SPECIAL = 0x07
# So many of what nobody wants are acknowledged in one go.
_PORTION = 10_000
_NO_FILTERS: Final[dict[Filter, None]] = {}


@dataclass(eq=False, slots=True)
class Filter:
    """One topic filter that is, or shall be, subscribed at the broker.

    Attributes:
        request: What the broker is asked for.
        subscribers: Who wants its messages.
        subscription_id: Its number in MQTT 5.0; filters of one SUBSCRIBE have the same.
        granted: The QoS the broker granted; None while it has not answered.
        error: Why it refused the last request.
        answered: Is set at the answer; made anew for each request.
        before: What was granted before the request that is under way.
        was_granted: Whether the broker has ever granted it.
        agreed: What the broker was asked for when it last granted it.
    """

    request: SubscriptionRequest
    subscription_id: int
    subscribers: list[Messages] = field(default_factory=list)
    granted: int | None = None
    error: StructiotError | None = None
    answered: anyio.Event = field(default_factory=anyio.Event)
    before: int | None = None
    was_granted: bool = False
    agreed: SubscriptionRequest = field(init=False)

    def __post_init__(self) -> None:
        """Begin with what is asked for."""
        self.agreed = self.request

    def ask_again(self) -> None:
        """The broker's answer to a new request is awaited."""
        if self.granted is not None:
            self.before = self.granted
        self.granted = None
        self.error = None
        if self.answered.is_set():
            self.answered = anyio.Event()

    def answer(self, granted: int | None, error: StructiotError | None = None) -> None:
        """Take the broker's answer and wake who waits for it."""
        self.granted = granted
        self.error = error
        self.before = None
        if granted is not None:
            self.agreed = self.request
        self.was_granted |= granted is not None
        name = self.request.topic_filter
        for messages in self.subscribers:
            if granted is None:
                messages.granted.pop(name, None)
            else:
                messages.granted[name] = granted
        self.answered.set()


class Router:
    """All filters of a client, and the way of each message.

    Args:
        settle: Acknowledges a delivery.

    Attributes:
        filters: By their text.
        readers: Subscribers that may have no filter at the moment.
        unclaiming: Those of them that take what is for no filter.
        unclaimed: Messages that nobody here wanted.
        is_holding: Whether deliveries of QoS 1 and 2 that nobody wants yet are kept
            unacknowledged. A broker that remembers us sends what it has kept before
            the program has subscribed again, some of it together with the CONNACK.
    """

    def __init__(self, settle: Callable[[Ack], None]) -> None:
        self.filters: dict[str, Filter] = {}
        self.readers: list[Messages] = []
        self.unclaiming: list[Messages] = []
        self.unclaimed: int = 0
        self.is_holding: bool = True
        self._held: list[Message] = []
        self._settle = settle
        self._tree: TopicTree[Filter] = TopicTree()
        self._by_id: dict[int, dict[Filter, None]] = {}
        self._cache: dict[str, tuple[Messages, ...]] = {}
        # Topics that interest one subscriber alone: the quick way.
        self._single: dict[str, Messages] = {}
        self._next_id = 0

    def __iter__(self) -> Iterator[Filter]:
        return iter(list(self.filters.values()))

    def knows(self, entry: Filter) -> bool:
        """Whether anybody still wants a filter."""
        return self.filters.get(entry.request.topic_filter) is entry

    def subscribers(self) -> list[Messages]:
        """All subscribers of all filters, and those without one at the moment."""
        found = [
            messages
            for entry in self.filters.values()
            for messages in entry.subscribers
        ]
        return list(dict.fromkeys([*found, *self.readers, *self.unclaiming]))

    def _holding(self) -> list[Messages]:
        # Of ten thousand subscribers only a few have messages.
        found = (
            messages
            for entry in self.filters.values()
            for messages in entry.subscribers
            if len(messages)
        )
        return list(dict.fromkeys([*found, *self.readers, *self.unclaiming]))

    def droppable_bytes(self) -> int:
        """Count what the messages hold that wait and may be dropped."""
        return sum(messages.droppable_bytes() for messages in self._holding())

    def trim(self, most_bytes: int, rest_bytes: int) -> int:
        """Drop the oldest of the longest queues if more than `most_bytes` is held.

        Returns:
            How much is held then by messages that may be dropped: `rest_bytes` or less.
        """
        held = {messages: messages.droppable_bytes() for messages in self._holding()}
        total = sum(held.values())
        if total > most_bytes:
            for messages in sorted(held, key=held.__getitem__, reverse=True):
                if total > rest_bytes:
                    total -= messages.drop(total - rest_bytes)
        return total

    def add(
        self, requests: Sequence[SubscriptionRequest], messages: Messages
    ) -> list[Filter]:
        """Register a subscriber; a filter asks for the highest QoS of all of its own."""
        self._next_id += 1
        is_group = len(requests) > 1
        entries = [self._add(request, messages, is_group) for request in requests]
        self._changed()
        if self._held:
            self._claim()
        return entries

    def _add(
        self,
        request: SubscriptionRequest,
        messages: Messages,
        is_group: bool,  # noqa: FBT001 - by position, for a loop
    ) -> Filter:
        entry = self.filters.get(request.topic_filter)
        if entry is None:
            entry = Filter(request, self._next_id)
            self.filters[request.topic_filter] = entry
            self._tree.add(parse_shared(request.topic_filter)[1], entry)
        else:
            if is_group:
                self._forget_id(entry)
                entry.subscription_id = self._next_id
            # Who has left it without unsubscribing has kept it for this one.
            entry.subscribers[:] = [one for one in entry.subscribers if not one.is_left]
            known = entry.request
            # A broker knows a filter once: nobody gets less than was asked for.
            entry.request = SubscriptionRequest(
                topic_filter=request.topic_filter,
                qos=max(request.qos, known.qos),
                no_local=request.no_local and known.no_local,
                retain_as_published=request.retain_as_published
                or known.retain_as_published,
                retain_handling=request.retain_handling,
            )
        self._by_id.setdefault(entry.subscription_id, {})[entry] = None
        entry.subscribers.append(messages)
        if entry.request.retain_as_published:
            for subscriber in entry.subscribers:
                subscriber.take_all_retained()
        return entry

    def _forget_id(self, entry: Filter) -> None:
        others = self._by_id[entry.subscription_id]
        del others[entry]
        if not others:
            del self._by_id[entry.subscription_id]

    def take_unclaimed(self, messages: Messages) -> None:
        """Give somebody what is for no filter, and what is held for one."""
        messages.take_all_retained()
        self.unclaiming.append(messages)
        self._claim()

    def _claim(self) -> None:
        held, self._held = self._held, []
        for message in held:
            self._deliver(message)

    def release_some(self) -> bool:
        """Acknowledge a portion of what was held; give whether there is more.

        Nothing more is held once there is not.
        """
        some = self._held[:_PORTION]
        del self._held[:_PORTION]
        for message in some:
            self.unclaimed += 1
            self._settle(message.receipt)
        self.is_holding = bool(self._held)
        return self.is_holding

    def remove(self, entries: Sequence[Filter], messages: Messages) -> list[str]:
        """Take a subscriber away.

        Returns:
            The filters of which it was the last, and which the broker may know.
        """
        last: list[str] = []
        for entry in entries:
            if messages in entry.subscribers:
                entry.subscribers.remove(messages)
            if not entry.subscribers and self.knows(entry):
                name = entry.request.topic_filter
                del self.filters[name]
                self._forget_id(entry)
                self._tree.remove(parse_shared(name)[1], entry)
                if entry.error is None or entry.granted is not None:
                    last.append(name)
        self._changed()
        return last

    def _changed(self) -> None:
        # A topic that was delivered is no news when the broker sends what it retains
        # there to somebody who comes later.
        for topic, targets in self._cache.items():
            for messages in targets:
                messages.saw(topic)
        self._cache.clear()
        self._single.clear()

    def forget_retained(self) -> None:
        """Take retained messages again, as after a gap in the session."""
        self._cache.clear()
        self._single.clear()
        for messages in self.subscribers():
            messages.forget_retained()

    def dispatch(self, events: Sequence[Event]) -> list[Event]:
        """Hand out all messages among the events; give back the other events."""
        others: list[Event] = []
        single = self._single
        for event in events:
            if type(event) is Message:
                messages, flags = single.get(event.topic), event.flags
                if messages is not None and (
                    not flags & SPECIAL
                    or (
                        flags & SPECIAL <= messages.qos << 1
                        and not flags & RETAIN
                        and event.properties is None
                    )
                ):
                    messages.put(event)
                else:
                    self._deliver(event)
            else:
                others.append(event)
        return others

    def _deliver(self, message: Message) -> None:
        properties = message.properties
        targets: tuple[Messages, ...] = ()
        if properties is not None and properties.subscription_ids:
            targets = self._of_ids(properties.subscription_ids, message.topic)
        if not targets:
            known = self._cache.get(message.topic)
            targets = self._look_up(message.topic) if known is None else known
        receipt: Ack | None = message.receipt
        if not targets:
            targets = tuple(self.unclaiming)
            if not targets and self._is_held(message):
                return
        if len(targets) == 1 and targets[0].qos >= message.qos:
            if targets[0].wants(message):
                targets[0].put(message)
                return
            targets = ()
        targets = tuple(messages for messages in targets if messages.wants(message))
        if receipt is not None:
            receipt.takers = sum(messages.qos > 0 for messages in targets)
            if not receipt.takers:
                receipt.takers = 1
                self._settle(receipt)
        for messages in targets:
            messages.put_copy(message)

    def _is_held(self, message: Message) -> bool:
        """Keep a message that nobody wants yet; False if it is to be acknowledged."""
        if self.is_holding and message.receipt is not None:
            self._held.append(message)
            return True
        self.unclaimed += 1
        return False

    def _of_ids(self, ids: tuple[int, ...], topic: str) -> tuple[Messages, ...]:
        # A broker may still use the numbers of an earlier process: only those count
        # whose filter fits.
        entries: list[Filter] = []
        for number in dict.fromkeys(ids):
            group = self._by_id.get(number, _NO_FILTERS)
            # However many filters an identifier stands for, a message costs the same.
            for entry in group if len(group) <= 1 else self._tree.match(topic):
                if entry in group and fits(entry.request.topic_filter, topic):
                    entries.append(entry)  # noqa: PERF401 - it costs a call less
        found = (messages for entry in entries for messages in entry.subscribers)
        return tuple(dict.fromkeys(found))

    def _look_up(self, topic: str) -> tuple[Messages, ...]:
        entries = self._tree.match(topic)
        found = (messages for entry in entries for messages in entry.subscribers)
        targets = tuple(dict.fromkeys(found))
        if len(topic) > _MAX_CACHED_CHARS:
            return targets
        if len(self._cache) >= _MAX_CACHED_TOPICS:
            self._changed()
        self._cache[topic] = targets
        if len(targets) == 1:
            self._single[topic] = targets[0]
        return targets
