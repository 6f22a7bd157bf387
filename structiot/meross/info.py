"""Who a Meross device is, in the words of the model."""

from __future__ import annotations

from structiot.meross.features.feature import About, Channel
from structiot.meross.wire.device_list import CloudDevice
from structiot.model import DeviceInfo

__all__ = ["channels_of", "info_of"]


def info_of(about: About, name: str | None) -> DeviceInfo:
    """Say who a device is."""
    system = about.system
    return DeviceInfo(
        id=about.device,
        system="meross",
        name=name or f"{about.model} {about.device[-4:]}",
        manufacturer="Meross",
        model=about.model,
        firmware=system.firmware,
        hardware=system.hardware,
        serial=about.device,
        mac=system.mac.replace(":", "") if system.mac else None,
    )


def channels_of(listed: CloudDevice) -> tuple[Channel, ...]:
    """Give the channels of a device as the cloud lists them."""
    return tuple(
        Channel(number=one.index, name=one.name, kind=one.kind)
        for one in listed.channels
    )
