"""Who a Meross device is, in the words of the model."""

from __future__ import annotations

from structiot.meross.features.feature import About
from structiot.model import DeviceInfo

__all__ = ["info_of"]


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
