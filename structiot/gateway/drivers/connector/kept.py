"""What is offered, kept in the gateway's state file."""

from __future__ import annotations

from structiot.connector import Device, DevicePool
from structiot.errors import UsageError
from structiot.gateway.state_file import StateFile

__all__ = ["KeptDevices"]

_SYSTEM = "connector"


class KeptDevices(DevicePool):
    """The device manager of the bridge: who starts again offers what was offered.

    Args:
        state: The gateway's state file; what is unreadable in it is left out.
    """

    def __init__(self, state: StateFile) -> None:
        super().__init__()
        self._state = state
        section = state.section(_SYSTEM)
        kept = section.get("devices")
        self._kept = kept if isinstance(kept, dict) else {}
        self._gids = gids if isinstance(gids := section.get("gids"), dict) else {}
        section.update(devices=self._kept, gids=self._gids)
        for device_id, told in list(self._kept.items()):
            try:
                kind, name, tags = told
                device = Device(device_id, kind, name)
                for tag_id, tag in tags.items():
                    device.add_tag(tag_id, tag)
            # The file may be anybody's.
            except (AttributeError, TypeError, ValueError, UsageError):
                del self._kept[device_id]
            else:
                super().add(device)

    def add(self, device: Device) -> None:
        """Keep a device; one with an id that is kept already is not taken."""
        super().add(device)
        self._write(device.id)

    def update(self, device: Device) -> None:
        """Keep a device in the place of that with its id."""
        super().update(device)
        self._write(device.id)

    def remove(self, device: Device | str) -> None:
        """Keep a device no longer."""
        super().remove(device)
        self._write(device if isinstance(device, str) else device.id)

    def _write(self, device_id: str) -> None:
        device = self.get(device_id)
        if device is None:
            self._kept.pop(device_id, None)
        else:
            tags = dict(tag.split(":", 1) for tag in device.tags)
            self._kept[device_id] = [device.type, device.name, tags]
        self._state.save_soon()

    def gid(self, place: str) -> str:
        """Give the gateway id that a platform has made; empty if none is known."""
        gid = self._gids.get(place)
        return gid if isinstance(gid, str) else ""

    def keep_gid(self, place: str, gid: str) -> None:
        """Keep the gateway id that a platform has made."""
        if self._gids.get(place) != gid:
            self._gids[place] = gid
            self._state.save_soon()
