"""Energy totals that outlast restarts, of devices that count from zero each time.

A device's counter begins anew when it is opened again or loses power; the total of its
entity, by its identity, goes on. A total is shown only after it has been written down, so
that whoever is killed at any moment never shows less than before: once a minute, and
what was written last at once when a device is back.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from structiot.energy import EnergyTotal
from structiot.model import DeviceInfo, Entity, Sensor, State, StateChange

__all__ = ["SAVE_S", "WH_OF", "EnergyTotals", "is_energy_total"]

SAVE_S: Final = 60.0
_MAX_TOTALS: Final = 10_000
WH_OF: Final = {"Wh": 1.0, "kWh": 1000.0, "MWh": 1_000_000.0}
_DECIMALS: Final = {"Wh": 0, "kWh": 3, "MWh": 6}

_log = logging.getLogger(__name__)


def is_energy_total(entity: Entity | None) -> bool:
    """Whether an entity counts energy without an end."""
    return (
        isinstance(entity, Sensor)
        and not entity.is_periodic
        and entity.device_class == "energy"
        and entity.state_class == "total_increasing"
        and entity.unit in WH_OF
    )


class EnergyTotals:
    """The totals of all devices of a gateway, 10,000 at most.

    Args:
        section: Where they are kept: `[total, counter, time]` by system, device and
            entity, both in watt-hours; what is unreadable is left out.
        save: Writes that down, and tells whether it did; None shows totals at once, as
            nothing outlasts a restart.
    """

    def __init__(
        self, section: dict[str, Any], save: Callable[[], Awaitable[bool]] | None
    ) -> None:
        self._section = section
        self._save = save
        self._totals: dict[str, EnergyTotal] = {}
        self._shown_wh: dict[str, float] = {}
        for name, kept in list(section.items()):
            total = _read(kept)
            if total is None or total.total_wh is None:
                del section[name]
                continue
            self._totals[name] = total
            self._shown_wh[name] = total.total_wh
        self._written = dict(section)

    def shown(self, info: DeviceInfo, entity: Entity, told: StateChange) -> StateChange:
        """Take what a counter tells, and give what is to be shown in its place."""
        if not isinstance(entity, Sensor) or not is_energy_total(entity):
            return told
        # The total of who has not said who it is, is not known.
        if told.state is None or info.is_provisional:
            return replace(told, state=None)
        wh, decimals = WH_OF[entity.unit or ""], _DECIMALS[entity.unit or ""]
        name = f"{info.system}/{info.id}/{entity.key}"
        counter = _figure(told.state)
        counter_wh = None if counter is None else _figure(counter * wh)
        if counter_wh is not None:
            self._count(name, counter_wh, told.at_utc)
        total_wh = self._shown_wh.get(name)
        state = None if total_wh is None else _cut(total_wh / wh, decimals)
        return replace(told, state=state)

    def _count(self, name: str, counter_wh: float, at_utc: datetime) -> None:
        total = self._totals.get(name)
        if total is None:
            if len(self._totals) >= _MAX_TOTALS:
                self._forget_oldest()
            total = self._totals[name] = EnergyTotal()
        total_wh = total.add(counter_wh, at_utc) or 0.0
        if name not in self._shown_wh or self._save is None:
            # A first one shows no more than it will after a restart.
            self._shown_wh[name] = total_wh
        # Whoever writes the file writes no less than what was shown.
        kept = [round(total_wh, 3), round(counter_wh, 3), at_utc.isoformat()]
        self._section[name] = kept

    def _forget_oldest(self) -> None:
        def age(name: str) -> float:
            at_utc = self._totals[name].at_utc
            return 0.0 if at_utc is None else at_utc.timestamp()

        oldest = min(self._totals, key=age)
        _log.warning("the energy of %s is forgotten: there are too many", oldest)
        for kept in (self._totals, self._shown_wh, self._section):
            kept.pop(oldest, None)

    async def save(self) -> bool:
        """Write down what has changed; whether there was anything, and it is written."""
        if self._save is None or self._section == self._written:
            return False
        wanted = dict(self._section)
        if not await self._save():
            return False
        self._written = wanted
        self._shown_wh.update((name, kept[0]) for name, kept in wanted.items())
        return True


def _figure(state: State | None) -> float | None:
    if isinstance(state, bool) or not isinstance(state, int | float):
        return None
    try:
        figure = float(state)
    except OverflowError:
        return None
    return figure if 0 <= figure < math.inf else None


def _cut(value: float, decimals: int) -> float:
    """Cut off decimals, never rounding up to what has not been counted."""
    scale = 10.0**decimals
    return math.floor(value * scale + 1e-6) / scale


def _read(kept: object) -> EnergyTotal | None:
    if not isinstance(kept, list) or len(kept) != 3:
        return None
    total_wh, counter_wh, at = kept
    total_wh, counter_wh = _figure(total_wh), _figure(counter_wh)
    if total_wh is None:
        return None
    try:
        at_utc = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        at_utc = None
    if at_utc is not None and at_utc.tzinfo is None:
        at_utc = None
    return EnergyTotal(total_wh, counter_wh=counter_wh, at_utc=at_utc)
