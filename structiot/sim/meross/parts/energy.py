"""Meters: of one outlet with days and hours, and of several circuits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from structiot._kit.json_text import integer_of
from structiot.meross.wire.payloads import items_of, key_of
from structiot.sim.meross.records import merge
from structiot.sim.meross.stage import Item, Malformed, Part, Stage
from structiot.sim.shared.energy import Bucket
from structiot.sim.shared.loads import Load, seeded_fraction
from structiot.sim.shared.outlet import Outlet

__all__ = ["Meter", "MeterX", "Metering"]

_MAINS_V: Final = 230.4
_DAYS: Final = 30
_HOUR_S: Final = 3600


class Metering(Part):
    """Outlets with what is plugged in, and the hours of one."""

    def __init__(self, stage: Stage, loads: Mapping[int, Load | float]) -> None:
        self.stage = stage
        offset_s = stage.utc_offset_s()
        self.outlets: dict[int, Outlet] = {
            channel: Outlet(load, stage.clock, utc_offset_s=offset_s)
            for channel, load in loads.items()
        }
        self._offset_s = offset_s

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Answer with what is metered."""
        raise Malformed(namespace)

    def set_mains(self, *, is_on: bool) -> None:
        """Count nothing without mains."""
        for outlet in self.outlets.values():
            outlet.set_mains(is_on=is_on)

    def settle(self) -> None:
        """Sort by the local time that is."""
        offset_s = self.stage.utc_offset_s()
        if offset_s != self._offset_s:
            self._offset_s = offset_s
            for outlet in self.outlets.values():
                outlet.set_utc_offset(offset_s)

    def hours(self, payload: Mapping[str, Any], hours: int) -> Item:
        """Answer `ConsumptionH`: of each channel the latest hours, ring by ring."""
        wanted = [
            integer_of(i.get("channel")) for i in items_of(payload, "consumptionH")
        ]
        now_s = int(self.stage.clock.now_s())
        begin_s = now_s - now_s % _HOUR_S
        items = []
        for channel, outlet in self.outlets.items():
            if wanted and channel not in wanted and 65_535 not in wanted:
                continue
            newest = outlet.newest_wh(Bucket.HOUR)[-hours:]
            data = [
                {
                    "timestamp": begin_s - (len(newest) - 1 - at) * _HOUR_S,
                    "value": round(wh),
                }
                for at, wh in enumerate(newest)
            ]
            # A ring: the newest stands wherever it happens to be.
            turn = (begin_s // _HOUR_S) % len(data)
            total = round(sum(newest))
            row = {
                "channel": channel,
                "total": total,
                "data": data[-turn:] + data[:-turn],
            }
            items.append(row)
        return {"consumptionH": items}


class Meter(Metering):
    """The meter of a plug; what is drawn goes through its relay, if it has one."""

    namespaces: tuple[str, ...] = (
        "Appliance.Control.Electricity",
        "Appliance.Control.Consumption",
        "Appliance.Control.ConsumptionX",
        "Appliance.Control.ConsumptionH",
        "Appliance.Control.ConsumptionConfig",
    )

    def __init__(self, stage: Stage, *, load: Load | float = 40.0) -> None:
        super().__init__(stage, {0: load})
        self.is_on: Callable[[], bool] = lambda: True
        self._told_on: datetime | None = None
        self._config: Item = {
            "voltageRatio": 188,
            "electricityRatio": 100,
            "maxElectricityCurrent": 11_000,
        }

    def settle(self) -> None:
        """Follow the relay, and the local time."""
        super().settle()
        outlet = self.outlets[0]
        if outlet.is_on != self.is_on():
            outlet.switch(is_on=self.is_on())

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer with what is drawn, what was, or the calibration."""
        self.settle()
        match namespace.rpartition(".")[2]:
            case "Electricity":
                return {"electricity": self._electricity()}
            case "ConsumptionH":
                return self.hours(payload, 24)
            case "ConsumptionConfig":
                return {"config": dict(self._config)}
            case "Consumption":
                days = self.days()
                return {
                    "consumption": [{k: d[k] for k in ("date", "value")} for d in days]
                }
        return {key_of(namespace): self.days()}

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Take another calibration."""
        wanted = items_of(payload, "config")
        if not namespace.endswith("ConsumptionConfig") or not wanted:
            raise Malformed(namespace)
        merge(self._config, wanted[0])
        return {}

    def _electricity(self) -> Item:
        power_w = self.outlets[0].power_w
        return {
            "channel": 0,
            "current": round(power_w / _MAINS_V * 1000),
            "voltage": round(_MAINS_V * 10),
            "power": round(power_w * 1000),
            "config": {"voltageRatio": 188, "electricityRatio": 100},
        }

    def days(self) -> list[Item]:
        """Give the days on which anything was drawn, and today, at most 30."""
        local = self.stage.local_time()
        newest = self.outlets[0].newest_wh(Bucket.DAY)[-_DAYS:]
        rows: list[Item] = []
        for ago, energy_wh in zip(range(len(newest) - 1, -1, -1), newest, strict=True):
            day = local.date() - timedelta(days=ago)
            if not rows and ago and not round(energy_wh):
                continue
            last_s = self.stage.clock.now_s()
            if ago:
                end = datetime.combine(day + timedelta(days=1), time.min, UTC)
                last_s = end.timestamp() - self.stage.utc_offset_s() - 60
            value = round(energy_wh)
            row = {"date": day.isoformat(), "time": int(last_s), "value": value}
            rows.append(row)
        is_first = self._told_on is None or self._told_on.date() < local.date()
        if self.stage.faults.is_midnight_late and is_first and len(rows) > 1:
            rows[-1]["value"] = rows[-2]["value"]
        self._told_on = local
        return rows


class MeterX(Metering):
    """A meter of several circuits, counted from 1; current flows out of some."""

    namespaces: tuple[str, ...] = (
        "Appliance.Control.ElectricityX",
        "Appliance.Control.ConsumptionH",
        "Appliance.Control.CircuitFactor",
    )

    def __init__(self, stage: Stage, *, circuits: int) -> None:
        watts = {
            n: 100.0 + 500 * seeded_fraction("circuit", n)
            for n in range(1, circuits + 1)
        }
        # Somebody has a solar panel.
        watts[circuits] = -watts[circuits]
        super().__init__(stage, watts)
        self._factors = [{"channel": number, "factor": 1} for number in watts]

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer with what flows, what has, or the factors."""
        self.settle()
        if namespace.endswith("ConsumptionH"):
            return self.hours(payload, 12)
        if namespace.endswith("CircuitFactor"):
            return {"circuitFactor": [dict(one) for one in self._factors]}
        wanted = [
            integer_of(i.get("channel")) for i in items_of(payload, "electricity")
        ]
        is_all = not wanted or 65_535 in wanted
        rows = [
            self._row(number) for number in self.outlets if is_all or number in wanted
        ]
        return {"electricity": rows}

    def _row(self, number: int) -> Item:
        outlet = self.outlets[number]
        power_w = outlet.power_w
        return {
            "channel": number,
            "current": round(abs(power_w) / _MAINS_V * 1000),
            "voltage": round(_MAINS_V * 1000),
            "power": round(power_w * 1000),
            "factor": 0.97 if power_w >= 0 else -0.97,
            "mConsume": round(outlet.newest_wh(Bucket.MONTH)[-1]),
        }
