"""What happens to the devices of an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from structiot.meross.device import MerossDevice

__all__ = ["AccountEvent", "DeviceAdded", "DeviceRemoved", "DeviceRenamed"]


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


AccountEvent: TypeAlias = DeviceAdded | DeviceRemoved | DeviceRenamed
