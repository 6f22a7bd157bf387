"""What a strip reports, in SI units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from structiot.maxsmart.wire.messages import PortData
from structiot.model import Reading
from structiot.units import from_milli

__all__ = ["StripData", "readings_from", "total_power_w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StripData:
    """What a strip reported at one instant, one element a port.

    Attributes:
        readings: One reading a port, in order.
    """

    readings: tuple[Reading, ...]

    @property
    def device(self) -> str:
        """`StripInfo.id` of the strip."""
        return self.readings[0].device

    @property
    def at_utc(self) -> datetime:
        """When it was read."""
        return self.readings[0].at_utc

    @property
    def is_on(self) -> tuple[bool | None, ...]:
        """Whether each port is on."""
        return tuple(reading.is_on for reading in self.readings)

    @property
    def power_w(self) -> tuple[float | None, ...]:
        """Power in watts, resolution 0.01 W or 0.001 W."""
        return tuple(reading.power_w for reading in self.readings)

    @property
    def current_a(self) -> tuple[float | None, ...]:
        """Current in amperes; None for what the firmware does not report."""
        return tuple(reading.current_a for reading in self.readings)

    @property
    def total_power_w(self) -> float | None:
        """Power of all ports; None when that of any is not known."""
        return total_power_w(self.readings)

    def reading(self, port: int) -> Reading:
        """The reading of one port, from 1."""
        return self.readings[port - 1]


def total_power_w(readings: Sequence[Reading]) -> float | None:
    """Add up the power of all ports; None when that of any is not known."""
    known = [one.power_w for one in readings if one.power_w is not None]
    return round(sum(known), 3) if len(known) == len(readings) else None


def readings_from(
    ports: PortData, *, device: str, at_utc: datetime
) -> tuple[Reading, ...]:
    """Convert what the wire brought."""
    columns = zip(ports.switches, ports.power_mw, ports.current_ma, strict=True)
    return tuple(
        Reading(
            device=device,
            channel=port,
            at_utc=at_utc,
            is_on=is_on,
            power_w=from_milli(power_mw),
            current_a=from_milli(current_ma),
        )
        for port, (is_on, power_mw, current_ma) in enumerate(columns, start=1)
    )
