"""Features with the same entities for each channel, which are found as they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of, number_of
from structiot.meross.features.feature import (
    About,
    Feature,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Field, Limits, Pace, Setting, value_at
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of
from structiot.model import Command, Entity, State

__all__ = [
    "MAX_CHANNELS",
    "ChannelFeature",
    "States",
    "channel_name",
    "channel_of_key",
    "title",
]

# The largest meter has 18; who tells of more is not believed.
MAX_CHANNELS: Final = 32

States = dict[str, State | None]


@dataclass(slots=True)
class _Known:
    """What was told of a field: its number on the wire, its range, how it is off."""

    number: float | None = None
    limits: Limits | None = None
    off: int | None = None


class ChannelFeature(Feature):
    """A feature whose payloads are one item a channel.

    One that is nothing but members of its items says so by `fields`, or by `settings` if
    they are of several namespaces, and the rest follows. It remembers a number and a
    range for each field and channel.

    Attributes:
        fields: What each channel has.
        settings: What each channel has by namespace, as far as the device has these; by
            default `fields`.
        asks: How it is asked for; None if it is not.
        asked: What is asked for; None for everything.
        pace: How often.
        asks_by_channel: Whether a question names the channels that are known.
        is_whole: Whether an order repeats all `fields` that are known.
        is_list: Whether an order is a list of items, not one.
        has_channel: Whether an item names its channel.
        digest_key: Where the items of the first of `abilities` stand in the digest, if
            anywhere.
        is_certain: Whether channel 0 is there before it was told of.
        max_channels: How many it has at most, whatever is told.
    """

    fields: ClassVar[tuple[Field, ...]] = ()
    settings: Sequence[Setting] = ()
    asks: ClassVar[Method | None] = Method.GET
    asked: ClassVar[object] = None
    pace: ClassVar[Pace] = "slow"
    asks_by_channel: ClassVar[bool] = False
    is_whole: ClassVar[bool] = False
    is_list: ClassVar[bool] = True
    has_channel: ClassVar[bool] = True
    digest_key: ClassVar[str] = ""
    is_certain: ClassVar[bool] = False
    max_channels: ClassVar[int] = MAX_CHANNELS

    def __init__(self, about: About) -> None:
        super().__init__(about)
        own = Setting(
            self.abilities[0], self.fields, pace=self.pace, is_whole=self.is_whole
        )
        self.settings = [
            setting
            for setting in self.settings
            if about.sub_id is not None or setting.namespace in about.abilities
        ] or [own]
        self._all_fields = [(s, field) for s in self.settings for field in s.fields]
        self._memory: dict[str, _Known] = {}
        self._described: dict[str, tuple[object, Entity]] = {}
        self._channels: set[int] = {0} if self.is_certain else set()
        if self.digest_key:
            for item in items_of(about.system.digest, self.digest_key):
                self.admit(item, channel_of(item))

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that were told of, in order."""
        return tuple(sorted(self._channels))

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What each channel has, channel by channel."""
        return tuple(e for channel in self.channels for e in self.entities_of(channel))

    @property
    def polls(self) -> Sequence[Poll]:
        """Ask for each namespace, unless the digest has it."""
        is_told = self.digest_key and self.digest_key in self.about.system.digest
        if self.asks is None or is_told:
            return []
        return [
            Poll(
                request=Request(
                    method=self.asks,
                    namespace=setting.namespace,
                    payload=self._question(setting.namespace),
                ),
                pace=setting.pace,
            )
            for setting in self.settings
            if setting.pace is not None
        ]

    def question(self) -> Payload:
        """Give what is asked."""
        return {} if self.asked is None else {key_of(self.abilities[0]): self.asked}

    def entities_of(self, channel: int) -> Iterable[Entity]:
        """Describe what one channel has; of what is optional, what was told."""
        return [
            self._entity(field, channel)
            for _, field in self._all_fields
            if field.is_shown
            if not field.is_optional or entity_key(field.key, channel) in self._memory
        ]

    def limits(self, field: Field, channel: int) -> Limits | None:
        """Give the range of a field that the device has told."""
        known = self._memory.get(entity_key(field.key, channel))
        return known.limits if known else None

    def known(self, key: str) -> float | None:
        """Give the number that the wire last had for a key; None for nothing yet."""
        known = self._memory.get(key)
        return known.number if known else None

    def remember(self, key: str, field: Field, value: object) -> None:
        """Take note of what the wire had for a field: its entity exists from now on."""
        known = self._memory.setdefault(key, _Known())
        integer = integer_of(value)
        known.number = number_of(value) if integer is None else integer
        if field.read(value) is False:
            known.off = integer

    def accepts(self, item: Item, channel: int) -> bool:
        """Tell whether an item is of a channel of this feature.

        By default it is known already, or tells something.
        """
        if channel in self._channels or not self._all_fields:
            return True
        shown = [field for _, field in self._all_fields if field.is_shown]
        return any(field.of(item) is not None for field in shown)

    def admit(self, item: Item, channel: int) -> bool:
        """Take note of an item's channel; tell whether the item may be read."""
        if not self.accepts(item, channel):
            return False
        if channel not in self._channels and len(self._channels) >= self.max_channels:
            return False
        self._channels.add(channel)
        return True

    def read(
        self,
        namespace: str,
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read one item of a payload: states by key; what makes no sense is left out."""
        states: States = {}
        for setting, field in self._all_fields:
            if setting.namespace != namespace:
                continue
            key, state = entity_key(field.key, channel), field.of(item)
            if state is not None:
                self.remember(key, field, value_at(item, field.path))
                known = self._memory[key]
                known.limits = field.limits(item) or known.limits
            is_told = field.tells_unknown and field.path[0] in item
            if field.is_shown and (state is not None or is_told):
                states[key] = state
        return states

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Set a field."""
        for setting, field in self._all_fields:
            for channel in self.channels:
                if field.is_command and key == entity_key(field.key, channel):
                    members = self.changes(setting, field, channel, command)
                    if setting.namespace == self.abilities[0]:
                        return [self.order(channel, members)]
                    return [self.order_in(setting.namespace, channel, members)]
        return super().command(key, command, at_utc)

    def changes(
        self, setting: Setting, field: Field, channel: int, command: Command
    ) -> dict[str, object]:
        """Give the members of an item that set a field, with those that it repeats."""
        members: dict[str, object] = {}
        for other in setting.fields if setting.is_whole else ():
            number = self.known(entity_key(other.key, channel))
            if number is not None:
                _put(members, other.path, number)
        known = self._memory.get(entity_key(field.key, channel))
        _put(members, field.path, field.write(command, known.off if known else None))
        return members

    def order(self, channel: int, members: Item) -> Request:
        """Give the order for members of a channel's item of the first ability."""
        return self.order_in(self.abilities[0], channel, members)

    def order_in(self, namespace: str, channel: int, members: Item) -> Request:
        """Give the order for members of a channel's item of a namespace."""
        item = {**self.address(channel), **members}
        payload = {key_of(namespace): [item] if self.is_list else item}
        return Request(method=Method.SET, namespace=namespace, payload=payload)

    def address(self, channel: int) -> Item:
        """Give the members of an item that say whose it is."""
        sub_id = self.about.sub_id
        if sub_id is None:
            return {"channel": channel} if self.has_channel else {}
        by_channel = {"subId": sub_id, "channel": channel}
        return by_channel if self.has_channel else {"id": sub_id}

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read the items of `digest_key`."""
        namespace = self.abilities[0]
        items = digest.get(self.digest_key)
        return self.take(namespace, {key_of(namespace): items}, at_utc)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read each item of a payload."""
        items = items_of(payload, key_of(namespace))
        if not items:
            return Update()
        before = self.entities
        states: States = {}
        for item in items:
            channel = channel_of(item)
            if self.admit(item, channel):
                states.update(self.read(namespace, item, channel, at_utc))
        return Update(states=states, entities_changed=self.entities != before)

    def _question(self, namespace: str) -> Payload:
        if not self.asks_by_channel:
            return self.question()
        return {key_of(namespace): [self.address(c) for c in self.channels]}

    def _entity(self, field: Field, channel: int) -> Entity:
        key = entity_key(field.key, channel)
        seen = title(self.about, channel, field.label), self.limits(field, channel)
        # Entities are looked at with each message, and hardly ever change.
        if key not in self._described or self._described[key][0] != seen:
            self._described[key] = (seen, field.entity(key, *seen))
        return self._described[key][1]


def channel_name(about: About, channel: int) -> str | None:
    """Give what the user calls a channel, if it has a name."""
    return next(
        (c.name for c in about.channels if c.number == channel and c.name), None
    )


def title(about: About, channel: int, what: str | None) -> str | None:
    """Name an entity of a channel: `Power`, `Lamp power` or `Power 2`."""
    name = channel_name(about, channel)
    if channel == 0 or not what:
        return what if channel == 0 else name
    return (
        f"{what} {channel}" if name is None else f"{name} {what[0].lower()}{what[1:]}"
    )


def channel_of_key(key: str, name: str) -> int:
    """Give the channel of a key that `entity_key` made of this name."""
    number = key.removeprefix(name).lstrip("_")
    return int(number) if number else 0


def _put(members: dict[str, object], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        inner = members.setdefault(name, {})
        if isinstance(inner, dict):
            members = inner
    members[path[-1]] = value
