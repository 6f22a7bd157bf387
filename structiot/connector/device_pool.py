"""Devices in memory."""

from __future__ import annotations

import logging
from typing import Final

from structiot._kit.text import printable
from structiot.connector.device import Device, check_device, device_id_of

__all__ = ["DevicePool"]

_log: Final = logging.getLogger("structiot.connector")


class DevicePool:
    """Keeps devices in memory, of any class that derives from `Device`; for any thread.

    What cannot be done (a device that is there already, or is not) is left and logged.
    """

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}

    def add(self, device: Device) -> None:
        """Keep a device; one with an id that is kept already is not taken.

        Raises:
            UsageError: It is none.
        """
        kept = self._devices.setdefault(check_device(device).id, device)
        if kept is not device:
            _log.warning("there is a device %s already", printable(device.id))

    def update(self, device: Device) -> None:
        """Keep a device in the place of that with its id.

        Raises:
            UsageError: It is none.
        """
        if check_device(device).id in self._devices:
            self._devices[device.id] = device
        else:
            _log.warning("no device %s to be updated", printable(device.id))

    def remove(self, device: Device | str) -> None:
        """Keep a device no longer.

        Args:
            device: It, or its id.

        Raises:
            UsageError: It is neither.
        """
        device_id = device_id_of(device)
        if self._devices.pop(device_id, None) is None:
            _log.warning("no device %s to be removed", printable(device_id))

    def get(self, device_id: str) -> Device | None:
        """Give a device; None if there is none."""
        return self._devices.get(device_id)

    def devices(self) -> dict[str, Device]:
        """Give all devices by id; the dict is the caller's."""
        return self._devices.copy()
