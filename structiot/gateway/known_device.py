"""What is known of a device in the gateway's care: who it is, what it has, how it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType

from structiot._kit.text import error_text
from structiot.errors import InternalError
from structiot.gateway.context import GatewayContext
from structiot.gateway.device_topics import DeviceTopics
from structiot.gateway.drivers.driver import Source
from structiot.gateway.isolation import called
from structiot.model import (
    Availability,
    Device,
    DeviceInfo,
    Entity,
    Occurrence,
    State,
)

__all__ = ["KnownDevice"]


class KnownDevice:
    """What is known of a device, from itself and from an earlier run.

    Attributes:
        source: Where it comes from.
        system: Whose driver named it.
        info: Who it is; None until it was opened once.
        is_released: It was given up for good.
        is_outdated: Other settings are in force than those that it was added under; until
            it is added again it gives way to others.
    """

    def __init__(self, source: Source, context: GatewayContext, system: str) -> None:
        self.source: Source = source
        self.system: str = system
        self.info: DeviceInfo | None = None
        self.is_released: bool = False
        self.is_outdated: bool = False
        self._context = context
        self._topics = DeviceTopics(context, self.label, system)
        # As it was opened last.
        self._device: Device | None = None

    @property
    def name(self) -> str:
        """What people call it: the configured name, else its own, else where it is."""
        own = self.info.name if self.info is not None else self.source.label
        return self.source.name or own

    @property
    def label(self) -> str:
        """What and where it is, for messages."""
        name = self.source.name
        return f"{name} ({self.source.label})" if name else self.source.label

    @property
    def slug(self) -> str | None:
        """Its level in topics; None until that is known."""
        return self._topics.slug

    @property
    def is_available(self) -> bool:
        """Whether it can be reached."""
        return self._topics.availability.is_available

    @property
    def availability(self) -> Availability:
        """Whether it can be reached, since when, and why not."""
        return self._topics.availability

    @property
    def entities(self) -> Mapping[str, Entity]:
        """What it has, by key."""
        return MappingProxyType(self._topics.entities)

    @property
    def states(self) -> Mapping[str, State | None]:
        """The latest state of each entity that has told one that it can have, by key."""
        return MappingProxyType(self._topics.states)

    @property
    def changed_at_utc(self) -> Mapping[str, datetime]:
        """Since when each of these is as it is."""
        return MappingProxyType(self._topics.changed_at_utc)

    @property
    def occurrences(self) -> Mapping[str, Occurrence]:
        """What happened last to each entity that something has happened to, by key."""
        return MappingProxyType(self._topics.occurrences)

    @property
    def listed(self) -> str:
        """What the list of devices says of it, as JSON; empty until it was opened."""
        return self._topics.listed

    def stale_after_s(self, key: str) -> float | None:
        """Say how old a state may be; None if the device tells by itself what changes."""
        return None if self._device is None else self._device.stale_after_s(key)

    def silent_s(self, key: str) -> float | None:
        """Give for how long an entity's state was not told; None if it never was."""
        if self._device is None:
            return None
        # It is somebody else's word.
        try:
            told = called(partial(self._device.silent_s, key))
        except InternalError as exc:
            self._topics.say_nonsense("age", error_text(exc))
            return None
        if isinstance(told, int | float) and 0 <= told < math.inf:
            return told
        return None

    @property
    def remembered_serial(self) -> str | None:
        """Serial of the device that its source led to, now or in an earlier run."""
        if self.info is not None and self.info.serial:
            return self.info.serial
        return self._remembered()[1] or None

    @property
    def candidate(self) -> str | None:
        """Identity that it may turn out to have; empty for any, None if it is known."""
        if self.is_released or (self.info and not self.info.is_provisional):
            return None
        return self._remembered()[0]

    def _remembered(self) -> tuple[str, str]:
        """Give id and serial, empty if they are not known.

        Without a state file, it is the one that was announced with its name.
        """
        records, topics = self._context.records, self._context.topics
        found = records.remembered(self.system, self.source.key)
        if found is not None or self.slug is None:
            return found or ("", "")
        record = records.at(topics.root(self.slug))
        if record is None or record.system != self.system:
            return "", ""
        return record.id, record.id
