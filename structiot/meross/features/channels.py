"""Features with the same entities for each channel, which are found as they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.feature import (
    About,
    Feature,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Field, Pace
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of
from structiot.model import Command, Entity, State

__all__ = ["MAX_CHANNELS", "ChannelFeature", "channel_name", "channel_of_key", "title"]

# The largest meter has 18; who tells of more is not believed.
MAX_CHANNELS: Final = 32

States = dict[str, State | None]


class ChannelFeature(Feature):
    """A feature whose payloads are one item a channel.

    One that is nothing but members of its items says so by `fields`, and the rest follows.

    Attributes:
        fields: What each channel has.
        asks: How it is asked for; None if it is not.
        pace: How often.
        is_list: Whether an order is a list of items, not one.
        has_channel: Whether an order names the channel.
        digest_key: Where the items of the first of `abilities` stand in the digest, if
            anywhere.
        is_certain: Whether channel 0 is there before it was told of.
    """

    fields: ClassVar[tuple[Field, ...]] = ()
    asks: ClassVar[Method | None] = Method.GET
    pace: ClassVar[Pace] = "slow"
    is_list: ClassVar[bool] = True
    has_channel: ClassVar[bool] = True
    digest_key: ClassVar[str] = ""
    is_certain: ClassVar[bool] = False

    def __init__(self, about: About) -> None:
        super().__init__(about)
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
        """Ask for its first ability, unless the digest has it."""
        if self.asks is None or self.digest_key in self.about.system.digest:
            return []
        request = Request(
            method=self.asks, namespace=self.abilities[0], payload=self.question()
        )
        return [Poll(request=request, pace=self.pace)]

    def question(self) -> Payload:
        """Give what is asked; by default nothing, which is everything."""
        return {}

    def entities_of(self, channel: int) -> Iterable[Entity]:
        """Describe what one channel has."""
        return [
            field.entity(
                entity_key(field.key, channel),
                title(self.about, channel, field.name),
                None,
            )
            for field in self.fields
        ]

    def accepts(self, item: Item, channel: int) -> bool:
        """Tell whether an item is of a channel of this feature.

        By default it is known already, or tells something.
        """
        if channel in self._channels or not self.fields:
            return True
        return any(field.of(item) is not None for field in self.fields)

    def admit(self, item: Item, channel: int) -> bool:
        """Take note of an item's channel; tell whether the item may be read."""
        if not self.accepts(item, channel):
            return False
        if channel not in self._channels and len(self._channels) >= MAX_CHANNELS:
            return False
        self._channels.add(channel)
        return True

    def read(
        self,
        namespace: str,  # noqa: ARG002 - some read several
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read one item of a payload: states by key; what makes no sense is left out."""
        states: States = {}
        for field in self.fields:
            state = field.of(item)
            if state is not None or (field.tells_unknown and field.path[0] in item):
                states[entity_key(field.key, channel)] = state
        return states

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,
    ) -> Sequence[Request]:
        """Set a field."""
        for field in self.fields:
            for channel in self.channels:
                if field.is_command and key == entity_key(field.key, channel):
                    written = field.write(command, None)
                    return [self.order(channel, {field.path[0]: written})]
        return super().command(key, command, at_utc)

    def order(self, channel: int, members: Item) -> Request:
        """Give the order for members of a channel's item."""
        namespace = self.abilities[0]
        named = {"channel": channel, **members} if self.has_channel else members
        item = [named] if self.is_list else named
        payload = {key_of(namespace): item}
        return Request(method=Method.SET, namespace=namespace, payload=payload)

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read the items of `digest_key`."""
        namespace = self.abilities[0]
        items = digest.get(self.digest_key)
        return self.take(namespace, {key_of(namespace): items}, at_utc)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read each item of a payload."""
        before = self.entities
        states: States = {}
        for item in items_of(payload, key_of(namespace)):
            channel = channel_of(item)
            if self.admit(item, channel):
                states.update(self.read(namespace, item, channel, at_utc))
        return Update(states=states, entities_changed=self.entities != before)


def channel_name(about: About, channel: int) -> str | None:
    """Give what the user calls a channel, if it has a name."""
    return next(
        (c.name for c in about.channels if c.number == channel and c.name), None
    )


def title(about: About, channel: int, what: str) -> str:
    """Name an entity of a channel: `Power`, `Lamp power` or `Power 2`."""
    if channel == 0:
        return what
    name = channel_name(about, channel)
    return (
        f"{what} {channel}" if name is None else f"{name} {what[0].lower()}{what[1:]}"
    )


def channel_of_key(key: str, name: str) -> int:
    """Give the channel of a key that `entity_key` made of this name."""
    number = key.removeprefix(name).lstrip("_")
    return int(number) if number else 0
