"""What is known now, as the events that would tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.events import DeviceUpdate
from structiot.model import StateChange

__all__ = ["present_of"]


def present_of(devices: Mapping[str, ServedDevice]) -> Iterator[DeviceUpdate]:
    """Tell of devices whether they can be reached, and what they have told last."""
    for slug, device in devices.items():
        since = device.availability.at_utc
        yield DeviceUpdate(device=slug, event=device.availability)
        for key, state in device.states.items():
            change = StateChange(key=key, state=state, at_utc=since)
            yield DeviceUpdate(device=slug, event=change)
