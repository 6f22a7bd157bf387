"""What Meross devices tell by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from structiot._device.device import BaseDevice
from structiot.model import DeviceInfo

__all__ = ["Notification"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message that nobody asked for: something has changed, or happened.

    Attributes:
        device: Which device told it.
        namespace: As on the wire, such as `"Appliance.Control.ToggleX"`.
        data: The payload, as on the wire.
        at_utc: When it came.
    """

    device: BaseDevice[DeviceInfo]
    namespace: str
    data: Mapping[str, object]
    at_utc: datetime
