"""The state of one simulated strip: relays, loads, meters, names and its clock.

No input or output here. Time comes from the simulator's clock; energy is counted
whenever something changes that it depends on, and when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import anyio

from structiot.errors import UsageError
from structiot.maxsmart.wire.messages import PortData
from structiot.sim._clock import SimClock
from structiot.sim._energy import Bucket, EnergyMeter, local_time
from structiot.sim._loads import Load, household, seeded_fraction, steady
from structiot.sim.maxsmart.families import Family

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
        self._strip.settle()
        return self._strip.relays[self._strip.index(port)]

    def __setitem__(self, port: int, is_on: bool) -> None:
        self._strip.set_relay(self._strip.index(port), is_on=is_on)

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
        relays: On or off, in order; change them by `set_relay` alone.
        loads: What is plugged in, in order; change it by `set_load` alone.
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
        self.relays: list[bool] = [True] * family.ports
        plugged = household(family.ports, seed) if loads is None else loads
        self.loads: list[Load] = [
            steady(load) if isinstance(load, int | float) else load for load in plugged
        ]
        if len(self.loads) != family.ports:
            message = f"{family.name} has {family.ports} ports, not {len(self.loads)}"
            raise UsageError(message)
        self.zone_h: int = utc_offset_h
        self.price: str = "0.21"
        self.currency: int = 3
        self._meters = [EnergyMeter() for _ in range(family.ports)]
        self._clock = clock
        self._clock_offset_s = utc_offset_h * _HOUR_S
        self._counted_to_s = clock.now_s() - history_s
        self._late: list[tuple[float, int, bool]] = []
        self._has_mains = True

    # ------------------------------------------------------------ relays and loads

    def index(self, port: int) -> int:
        """Give the place of a port in the lists.

        Raises:
            UsageError: There is no such port.
        """
        if not 1 <= port <= self.family.ports:
            message = f"{self.serial} has ports 1 to {self.family.ports}, not {port}"
            raise UsageError(message)
        return port - 1

    def set_relay(self, index: int, *, is_on: bool, after_s: float = 0.0) -> None:
        """Switch a relay, now or some time later."""
        self.settle()
        if after_s > 0:
            self._late.append((anyio.current_time() + after_s, index, is_on))
            return
        self.count_energy()
        self.relays[index] = is_on

    def settle(self) -> None:
        """Switch the relays whose time has come; called before any look at them."""
        now = anyio.current_time()
        due = [late for late in self._late if late[0] <= now]
        if due:
            self._late = [late for late in self._late if late[0] > now]
            self.count_energy()
            for _, index, is_on in due:
                self.relays[index] = is_on

    def set_load(self, index: int, load: Load) -> None:
        """Plug in something else."""
        self.count_energy()
        self.loads[index] = load

    def power_w(self, index: int) -> float:
        """Give the power at this moment; 0 while the relay is off."""
        self.settle()
        if not (self.relays[index] and self._has_mains):
            return 0.0
        power_w = self.loads[index].power_w(self._clock.now_s())
        return power_w if abs(power_w) >= self.family.noise_floor_w else 0.0

    def port_data(self) -> PortData:
        """Give what the device reports of its ports at this moment."""
        watts = [self.power_w(index) for index in range(self.family.ports)]
        return PortData(
            switches=tuple(self.relays),
            power_mw=tuple(watt * 1000 for watt in watts),
            current_ma=tuple(watt / _MAINS_V * 1000 for watt in watts),
            style=self.family.watts,
        )

    # ------------------------------------------------------------ energy

    def count_energy(self) -> None:
        """Count what has been drawn since the last time, in the device's calendar."""
        now_s = self._clock.now_s()
        for meter, load, is_on in zip(
            self._meters, self.loads, self.relays, strict=True
        ):
            if is_on and self._has_mains:
                meter.count(
                    load.energy_wh, self._counted_to_s, now_s, self._clock_offset_s
                )
        self._counted_to_s = now_s

    def energy_wh(self, index: int) -> float:
        """Give all energy that an outlet has delivered."""
        self.settle()
        self.count_energy()
        return self._meters[index].total_wh

    def statistics_wh(self, bucket: Bucket) -> list[list[float]]:
        """Give the buckets of every port up to now, oldest first."""
        self.settle()
        self.count_energy()
        local = self.local_time()
        return [meter.newest_wh(bucket, local) for meter in self._meters]

    def forget_energy(self) -> None:
        """Empty all statistics, as a reset to factory settings does."""
        self.count_energy()
        self._meters = [EnergyMeter() for _ in self._meters]

    def set_mains(self, *, is_on: bool) -> None:
        """Cut it off the mains, or connect it again; relays stay as they were."""
        self.settle()
        self.count_energy()
        self._has_mains = is_on

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
        self.count_energy()
        shown_s = (local - _EPOCH).total_seconds()
        if zone_h is None:
            shown_s += self.zone_h * _HOUR_S
        else:
            self.zone_h = zone_h
        self._clock_offset_s = shown_s - self._clock.now_s()

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
