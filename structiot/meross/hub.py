"""What hangs on a hub by radio, as devices."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from structiot._device.polled import PolledDevice
from structiot._kit.environment import Environment
from structiot.meross.features.hub import Hub
from structiot.meross.features.hub_roster import HubUpdate
from structiot.meross.holder import DeviceHolder, open_holder
from structiot.meross.subdevice import HubDevice, MerossSubdevice
from structiot.model import Availability, DeviceInfo

__all__ = ["DeviceWithSubdevices", "HubSubdevices"]


class HubSubdevices:
    """The devices of one hub, open while the hub is; empty for what is no hub.

    Args:
        hub: The hub.
        environment: As the hub's.
    """

    def __init__(self, hub: HubDevice, environment: Environment) -> None:
        self._hub = hub
        self._environment = environment
        self._devices: dict[str, MerossSubdevice] = {}
        self._holder: DeviceHolder | None = None

    @property
    def by_id(self) -> Mapping[str, MerossSubdevice]:
        """The devices by their ids with the hub."""
        return MappingProxyType(self._devices)

    def updated(self, feature: Hub, update: HubUpdate, every_s: float | None) -> None:
        """Take what one of the hub's payloads has told of them."""
        if update.is_changed:
            self._match(feature)
        for sub_id, told in update.subdevices.items():
            if sub_id in self._devices:
                self._devices[sub_id].updated(told, every_s)
        for sub_id, is_online in update.online.items():
            if sub_id in self._devices:
                self._devices[sub_id].came_or_went(is_online=is_online)

    def hub_told(self, availability: Availability) -> None:
        """Take it that the hub is there, or why not."""
        for device in self._devices.values():
            device.hub_told(availability)

    def _match(self, feature: Hub) -> None:
        """Have a device for each subdevice that the hub knows, and for no other."""
        # Somebody may be going through those that were there.
        self._devices = dict(self._devices)
        for sub_id in self._devices.keys() - feature.subdevices.keys():
            gone = self._devices.pop(sub_id)
            if self._holder is not None:
                self._holder.let_go(gone)
        for sub_id, known in feature.subdevices.items():
            if sub_id in self._devices:
                self._devices[sub_id].described(known)
                continue
            device = MerossSubdevice(self._hub, known, self._environment)
            self._devices[sub_id] = device
            if self._holder is not None:
                self._holder.hold(device)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep them open for the length of the block."""
        async with open_holder() as holder:
            self._holder = holder
            for device in self._devices.values():
                holder.hold(device)
            try:
                yield
            finally:
                self._holder = None


class DeviceWithSubdevices(PolledDevice[DeviceInfo]):
    """A device that others may hang on; they are away with it."""

    # Set before the device is made.
    _subdevices: HubSubdevices

    @property
    def subdevices(self) -> Mapping[str, MerossSubdevice]:
        """What hangs on it by their ids with it, if it is a hub; each is a device.

        When there are others, that is told as `EntitiesChanged`.
        """
        return self._subdevices.by_id

    def _subdevices_told(
        self, feature: Hub, update: HubUpdate, every_s: float | None
    ) -> None:
        before = dict(self.subdevices)
        self._subdevices.updated(feature, update, every_s)
        if before != self.subdevices:
            self._tell_described("its subdevices are others")

    def _tell_availability(self, **told: Any) -> bool:  # noqa: ANN401 - as it is given
        is_news = super()._tell_availability(**told)
        if is_news:
            self._subdevices.hub_told(self.availability)
        return is_news
