"""What a meter reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One metered sample of one channel; None where the device reports nothing.

    Attributes:
        device: `DeviceInfo.id` of the device.
        channel: Outlet or other part, as numbered on the device from 1; 0 is the whole.
        at_utc: When it was read.
        is_on: Whether it is on.
        power_w: Power in watts; negative is export.
        current_a: Current in amperes.
        voltage_v: Voltage in volts.
        energy_wh: Energy counted by the device, in watt-hours.
    """

    device: str
    channel: int
    at_utc: datetime
    is_on: bool | None = None
    power_w: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    energy_wh: float | None = None

    @property
    def port(self) -> int:
        """The channel, in the word of power strips."""
        return self.channel
