"""What happens to the devices of an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from structiot.meross.device import MerossDevice

__all__ = [
    "AccountEvent",
    "DeviceAdded",
    "DeviceBound",
    "DeviceOffline",
    "DeviceOnline",
    "DeviceRemoved",
    "DeviceRenamed",
]


@dataclass(frozen=True, slots=True)
class DeviceAdded:
    """A device belongs to the account: from the start, or newly bound."""

    device: MerossDevice


@dataclass(frozen=True, slots=True)
class DeviceRemoved:
    """A device belongs to the account no more; it is closed."""

    device: MerossDevice


@dataclass(frozen=True, slots=True)
class DeviceRenamed:
    """A device is called otherwise."""

    device: MerossDevice
    before: str


@dataclass(frozen=True, slots=True)
class DeviceBound:
    """A device was set up anew, and told so by itself; it was added just before."""

    device: MerossDevice


@dataclass(frozen=True, slots=True)
class DeviceOffline:
    """A device cannot be reached any more."""

    device: MerossDevice
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceOnline:
    """A device is back."""

    device: MerossDevice


AccountEvent: TypeAlias = (
    DeviceAdded
    | DeviceBound
    | DeviceOffline
    | DeviceOnline
    | DeviceRemoved
    | DeviceRenamed
)
