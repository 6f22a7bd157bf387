"""An outlet of a simulated device: a relay, what is plugged in, a meter in between."""

from __future__ import annotations

import anyio

from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.energy import Bucket, EnergyMeter, local_time
from structiot.sim.shared.loads import Load, steady

__all__ = ["Outlet"]


class Outlet:
    """A relay with a load behind it; energy is counted exactly, without sampling.

    It is counted whenever something changes that it depends on, and when somebody asks.
    There is no input or output here; time comes from the clock.

    Args:
        load: What is plugged in: a load or watts.
        clock: The clock that the device lives by.
        is_on: Whether the relay is on at first.
        utc_offset_s: How much the wall clock of the device, by whose hours and days
            energy is sorted, is ahead of UTC, in seconds.
        history_s: How long it has been drawing power already, in seconds.
    """

    def __init__(
        self,
        load: Load | float,
        clock: SimClock,
        *,
        is_on: bool = True,
        utc_offset_s: float = 0.0,
        history_s: float = 0.0,
    ) -> None:
        self._load = _load_of(load)
        self._clock = clock
        self._is_on = is_on
        self._has_mains = True
        self._utc_offset_s = utc_offset_s
        self._meter = EnergyMeter()
        self._counted_to_s = clock.now_s() - history_s
        self._late: list[tuple[float, bool]] = []

    @property
    def is_on(self) -> bool:
        """Whether the relay is on."""
        self._settle()
        return self._is_on

    @property
    def power_w(self) -> float:
        """Power at this moment, in watts; 0 while the relay or the mains is off."""
        if not (self.is_on and self._has_mains):
            return 0.0
        return self._load.power_w(self._clock.now_s())

    @property
    def energy_wh(self) -> float:
        """All energy that was drawn so far, in watt-hours."""
        self._count()
        return self._meter.total_wh

    def newest_wh(self, bucket: Bucket) -> list[float]:
        """Give the energy of the latest hours, days or months, oldest first."""
        self._count()
        local = local_time(self._clock.now_s(), self._utc_offset_s)
        return self._meter.newest_wh(bucket, local)

    def switch(self, *, is_on: bool, after_s: float = 0.0) -> None:
        """Switch the relay, now or some time later."""
        if after_s > 0:
            self._late.append((anyio.current_time() + after_s, is_on))
            return
        self._count()
        self._is_on = is_on

    def plug(self, load: Load | float) -> None:
        """Plug in something else."""
        self._count()
        self._load = _load_of(load)

    def set_mains(self, *, is_on: bool) -> None:
        """Cut it off the mains, or connect it again; the relay stays as it is."""
        self._count()
        self._has_mains = is_on

    def set_utc_offset(self, utc_offset_s: float) -> None:
        """Sort what is drawn from now on by another wall clock."""
        self._count()
        self._utc_offset_s = utc_offset_s

    def forget_energy(self) -> None:
        """Forget all that was counted."""
        self._count()
        self._meter = EnergyMeter()

    def _settle(self) -> None:
        """Switch the relay if its time has come."""
        now = anyio.current_time()
        due = [is_on for at, is_on in self._late if at <= now]
        if due:
            self._late = [late for late in self._late if late[0] > now]
            self._draw()
            self._is_on = due[-1]

    def _count(self) -> None:
        self._settle()
        self._draw()

    def _draw(self) -> None:
        now_s = self._clock.now_s()
        if self._is_on and self._has_mains:
            self._meter.count(
                self._load.energy_wh, self._counted_to_s, now_s, self._utc_offset_s
            )
        self._counted_to_s = now_s


def _load_of(load: Load | float) -> Load:
    return steady(load) if isinstance(load, int | float) else load
