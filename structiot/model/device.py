"""Devices: who they are and what they offer the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from structiot.model.device_event import Availability, DeviceEvent
from structiot.model.entity import Entity
from structiot.model.state import Command, State

__all__ = ["Device", "DeviceInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """Who a device is.

    Attributes:
        id: Stable identity within its system, never reused for another device.
        system: Name of the system, such as `"maxsmart"`.
        name: What a person calls it.
        manufacturer: Maker, if known.
        model: Model, if known.
        firmware: Firmware version as the device writes it, if known.
        hardware: Hardware version, if known.
        serial: Serial number, if known.
        mac: Hardware address as 12 lower-case hex digits, if known.
        via: `id` of the device this one is reached through (a hub), if any.
        url: Page of the device, if it has one.
        is_provisional: `id` is a makeshift, such as an address: the device has not
            said yet who it is. `EntitiesChanged` tells when it has another one.
    """

    id: str
    system: str
    name: str
    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    hardware: str | None = None
    serial: str | None = None
    mac: str | None = None
    via: str | None = None
    url: str | None = None
    is_provisional: bool = False


@runtime_checkable
class Device(Protocol):
    """What a system offers the gateway for each of its devices."""

    @property
    def info(self) -> DeviceInfo:
        """Who the device is."""
        ...

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What it has; changes are told by `EntitiesChanged`."""
        ...

    @property
    def availability(self) -> Availability:
        """Whether it can be reached, since when, and why not."""
        ...

    @property
    def states(self) -> Mapping[str, State | None]:
        """The latest state of each entity that has told one, by key, as it is now."""
        ...

    def stale_after_s(self, key: str) -> float | None:
        """Say how old an entity's state may be before nobody knows whether it is still so.

        None where the device tells by itself what changes, for as long as it can be
        reached.
        """
        ...

    def silent_s(self, key: str) -> float | None:
        """Give for how long the entity's state was not told, changed or not.

        None if it never was.
        """
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[DeviceEvent]]:
        """Iterate over availability and states, beginning with the present ones.

        A state is told when it differs from the one before; an `Occurrence` always.
        The iterator goes on while the device is away; leaving the block ends it.
        """
        ...

    async def command(self, key: str, command: Command) -> None:
        """Carry out a command on the entity `key`; return when the device has it.

        Raises:
            UsageError: No such entity, or a value it cannot take.
            PeerError: The device refused.
            TransportError: The device could not be reached.
        """
        ...
