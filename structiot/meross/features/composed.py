"""Features that are told of a channel bit by bit, and show one state of it.

A lamp tells its colour in one payload and its brightness in another; a fan is asked for
its speed and switched by ToggleX. What is kept are the numbers of the wire, by their
names there, of the members that a feature names.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from structiot.meross.features.channels import ChannelFeature, States
from structiot.meross.features.feature import About, Request, entity_key
from structiot.meross.features.figures import whole_of
from structiot.meross.wire.payloads import Item
from structiot.model import Command, Entity, State

__all__ = ["ComposedFeature"]


class ComposedFeature(ChannelFeature):
    """A feature with one entity a channel whose state is composed of what is kept.

    It may have fields besides.

    Attributes:
        members: What is kept of an item, with the least and the most that it may be.
    """

    members: ClassVar[Mapping[str, tuple[int, int]]]

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._kept: dict[int, dict[str, int]] = {}

    def kept(self, channel: int) -> dict[str, int]:
        """Give what is kept of a channel, to be read or changed."""
        return self._kept.setdefault(channel, {})

    def keep(self, channel: int, item: Item) -> None:
        """Keep the members of an item; what makes no sense is left out."""
        for name, (least, most) in self.members.items():
            number = whole_of(item.get(name), least, most)
            if number is not None:
                self.kept(channel)[name] = number

    @abstractmethod
    def entity_of(self, channel: int) -> Entity:
        """Describe the entity of a channel."""

    @abstractmethod
    def state_of(self, channel: int) -> State | None:
        """Compose its state; None as long as nothing is known."""

    @abstractmethod
    def orders(self, channel: int, command: Command) -> Sequence[Request]:
        """Give what carries out a command on it.

        Raises:
            UsageError: A value that the device cannot take.
        """

    def states_of(self, channels: Iterable[int]) -> States:
        """Give the states of some channels, as far as they are known."""
        states = {c: self.state_of(c) for c in channels if c in self._channels}
        return {entity_key(self.name, c): s for c, s in states.items() if s is not None}

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """Each channel has the entity."""
        return True

    def entities_of(self, channel: int) -> Iterable[Entity]:
        """Describe the entity, and the fields that the channel has."""
        return [self.entity_of(channel), *super().entities_of(channel)]

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Keep an item, read its fields, and compose the state."""
        self.keep(channel, item)
        fields = super().read(namespace, item, channel, at_utc)
        return {**fields, **self.states_of([channel])}

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Carry out a command on the entity of a channel, or set a field."""
        for channel in self.channels:
            if key == entity_key(self.name, channel):
                return self.orders(channel, command)
        return super().command(key, command, at_utc)
