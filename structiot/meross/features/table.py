"""Settings of one device, or of one subdevice, by channel: what they are, and how to set.

It holds a value and a range for each field and channel that it knows, whatever comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from structiot._kit.json_text import integer_of, number_of
from structiot.meross.features.feature import Update, entity_key
from structiot.meross.features.fields import Field, Limits, Setting, value_at
from structiot.meross.wire.payloads import Item, channel_of
from structiot.model import Command, Entity, State

__all__ = ["MAX_CHANNELS", "Change", "Table"]

# A thermostat has one, a sprinkler two; what says to have more is not believed.
MAX_CHANNELS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What carries out a command: the members of one item of a namespace."""

    namespace: str
    channel: int
    members: Item


class Table:
    """Settings, their values and their ranges, by channel."""

    def __init__(
        self, settings: Sequence[Setting], channels: Iterable[int] = (0,)
    ) -> None:
        self._settings = settings
        self._channels = set(channels)
        self._values: dict[str, object] = {}
        self._limits: dict[str, Limits] = {}
        self._off: dict[str, int] = {}
        self._seen: set[str] = set()

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that are known, in order."""
        return tuple(sorted(self._channels))

    @property
    def settings(self) -> Sequence[Setting]:
        """What there is."""
        return self._settings

    @property
    def entities(self) -> tuple[Entity, ...]:
        """An entity for each field and channel, of optional ones those reported."""
        return tuple(
            field.entity(
                key,
                f"{field.name} {channel}" if channel else field.name,
                self._limits.get(key),
            )
            for key, (_, field, channel) in self._places().items()
            if not field.is_optional or key in self._seen
        )

    def take(self, namespace: str, item: Item) -> Update:
        """Read an item; what it does not have stays as it was."""
        channel = channel_of(item)
        settings = [s for s in self._settings if s.namespace == namespace]
        if not settings or channel >= MAX_CHANNELS:
            return Update()
        is_changed = channel not in self._channels
        self._channels.add(channel)
        states: dict[str, State | None] = {}
        for field in (field for setting in settings for field in setting.fields):
            key = entity_key(field.key, channel)
            value = value_at(item, field.path)
            state = field.read(value)
            if state is None:
                continue
            states[key] = state
            number = integer_of(value)
            self._values[key] = number_of(value) if number is None else number
            self._learn_off(key, value)
            limits = field.limits(item)
            if limits is not None and limits != self._limits.get(key):
                self._limits[key] = limits
                is_changed = True
            is_changed = is_changed or (field.is_optional and key not in self._seen)
            self._seen.add(key)
        return Update(states=states, entities_changed=is_changed)

    def known(self, key: str) -> object:
        """Give what the wire last had for a key; None for nothing yet."""
        return self._values.get(key)

    def has(self, key: str) -> bool:
        """Tell whether it is for this key to command."""
        place = self._places().get(key)
        return place is not None and place[1].is_command

    def change(self, key: str, command: Command) -> Change:
        """Give what carries out a command on one of its entities."""
        setting, field, channel = self._places()[key]
        members: dict[str, object] = {}
        if setting.is_whole:
            for other in setting.fields:
                known = self._values.get(entity_key(other.key, channel))
                if known is not None:
                    _put(members, other.path, known)
        members.update(setting.constant)
        _put(members, field.path, field.write(command, self._off.get(key)))
        return Change(namespace=setting.namespace, channel=channel, members=members)

    def _learn_off(self, key: str, value: object) -> None:
        number = integer_of(value)
        if number in (0, 2):
            self._off[key] = number

    def _places(self) -> dict[str, tuple[Setting, Field, int]]:
        return {
            entity_key(field.key, channel): (setting, field, channel)
            for channel in self.channels
            for setting in self._settings
            for field in setting.fields
        }


def _put(members: dict[str, object], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        inner = members.setdefault(name, {})
        if isinstance(inner, dict):
            members = inner
    members[path[-1]] = value
