"""The state of one simulated strip: relays, loads, meters, names and its clock.

No input or output here. Time comes from the simulator's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from structiot.errors import UsageError
from structiot.maxsmart.wire.messages import PortData
from structiot.sim.maxsmart.families import Family
from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.energy import Bucket, local_time
from structiot.sim.shared.loads import Load, household, seeded_fraction
from structiot.sim.shared.outlet import Outlet

__all__ = ["PortSwitches", "Strip"]

_MAINS_V = 230.0
_HOUR_S = 3600.0
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the device's wall clock knows no zone
_NEVER_SET = datetime(2000, 1, 1)  # noqa: DTZ001


class PortSwitches(Mapping[int, bool]):
    """The relays by port number, from 1; setting one is pressing its button."""

    def __init__(self, strip: Strip) -> None:
        self._strip = strip

    def __getitem__(self, port: int) -> bool:
        return self._strip.outlet(port).is_on

    def __setitem__(self, port: int, is_on: bool) -> None:
        self._strip.outlet(port).switch(is_on=is_on)

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, self._strip.family.ports + 1))

    def __len__(self) -> int:
        return self._strip.family.ports

    def __repr__(self) -> str:
        return repr(dict(self))


class Strip:
    """One device as it is inside.

    Attributes:
        family: Its firmware family.
        serial: Its serial.
        name: Its name.
        port_names: Names of its ports, in order.
        outlets: Its relays, with what is plugged in and its meters, in order.
        zone_h: The time zone that was told it last, in hours from UTC.
        price: Price of a kilowatt-hour, as text.
        currency: Number of the currency.
    """

    def __init__(
        self,
        family: Family,
        *,
        serial: str,
        name: str,
        loads: Sequence[Load | float] | None,
        seed: int,
        clock: SimClock,
        utc_offset_h: int,
        history_s: float,
    ) -> None:
        self.family = family
        self.serial: str = serial
        self.name: str = name
        self.port_names: list[str] = _factory_names(family)
        plugged = household(family.ports, seed) if loads is None else loads
        if len(plugged) != family.ports:
            message = f"{family.name} has {family.ports} ports, not {len(plugged)}"
            raise UsageError(message)
        self._clock = clock
        self._clock_offset_s = utc_offset_h * _HOUR_S
        self.outlets: list[Outlet] = [
            Outlet(
                load,
                clock,
                utc_offset_s=self._clock_offset_s,
                history_s=history_s,
            )
            for load in plugged
        ]
        self.zone_h: int = utc_offset_h
        self.price: str = "0.21"
        self.currency: int = 3

    # ------------------------------------------------------------ outlets

    def outlet(self, port: int) -> Outlet:
        """Give the outlet of a port.

        Raises:
            UsageError: There is no such port.
        """
        if not 1 <= port <= self.family.ports:
            message = f"{self.serial} has ports 1 to {self.family.ports}, not {port}"
            raise UsageError(message)
        return self.outlets[port - 1]

    def power_w(self, outlet: Outlet) -> float:
        """Give the power that the device sees at an outlet at this moment."""
        power_w = outlet.power_w
        return power_w if abs(power_w) >= self.family.noise_floor_w else 0.0

    def port_data(self) -> PortData:
        """Give what the device reports of its ports at this moment."""
        watts = [self.power_w(outlet) for outlet in self.outlets]
        return PortData(
            switches=tuple(outlet.is_on for outlet in self.outlets),
            power_mw=tuple(watt * 1000 for watt in watts),
            current_ma=tuple(watt / _MAINS_V * 1000 for watt in watts),
            style=self.family.watts,
        )

    def statistics_wh(self, bucket: Bucket) -> list[list[float]]:
        """Give the buckets of every port up to now, oldest first."""
        return [outlet.newest_wh(bucket) for outlet in self.outlets]

    def forget_energy(self) -> None:
        """Empty all statistics, as a reset to factory settings does."""
        for outlet in self.outlets:
            outlet.forget_energy()

    def set_mains(self, *, is_on: bool) -> None:
        """Cut it off the mains, or connect it again; relays stay as they were."""
        for outlet in self.outlets:
            outlet.set_mains(is_on=is_on)

    # ------------------------------------------------------------ clock

    def local_time(self) -> datetime:
        """Give what the device's clock shows."""
        return local_time(self._clock.now_s(), self._clock_offset_s)

    def epoch_s(self) -> int:
        """Give the device's idea of the seconds since 1970, UTC."""
        shown_s = (self.local_time() - _EPOCH).total_seconds()
        return int(shown_s - self.zone_h * _HOUR_S)

    def set_clock(self, local: datetime, zone_h: int | None = None) -> None:
        """Set the clock as a discovery does.

        With a zone the time is local and the zone is kept; without one the time is
        taken for UTC and moved by the zone that was kept.
        """
        shown_s = (local - _EPOCH).total_seconds()
        if zone_h is None:
            shown_s += self.zone_h * _HOUR_S
        else:
            self.zone_h = zone_h
        self._clock_offset_s = shown_s - self._clock.now_s()
        for outlet in self.outlets:
            outlet.set_utc_offset(self._clock_offset_s)

    def confuse_clock(self) -> None:
        """Set the clock as a date that cannot be read does, where it does anything."""
        if self.family.is_clock_reset_by_nonsense:
            self.lose_clock()

    def lose_clock(self) -> None:
        """Set the clock as of a device without a battery that was without mains."""
        self.set_clock(_NEVER_SET, 0)

    # ------------------------------------------------------------ identity

    def become(self, serial: str) -> None:
        """Be another device of the same family: its names, and nothing counted yet."""
        self.serial = serial
        self.name = self.family.device_name
        self.port_names[:] = _factory_names(self.family)
        self.forget_energy()

    def rename(self, port: int, name: str) -> bool:
        """Name the device (port 0) or a port; False if it may not be called that."""
        limit = self.family.name_limit
        if len(name) > limit and not self.family.is_name_cut:
            return False
        if port == 0 or self.family.ports == 1:
            self.name = name[:limit]
        elif port <= self.family.ports:
            self.port_names[port - 1] = name[:limit]
        else:
            return False
        return True

    def made_up(self, what: str, digits: int) -> str:
        """Invent an identifier in upper-case hex, always the same for this serial."""
        number = int(seeded_fraction(what, self.serial) * 2**48)
        return f"{number:012X}".rjust(digits, "0")[:digits]


def _factory_names(family: Family) -> list[str]:
    return [f"Port {number}" for number in range(1, family.ports + 1)]
