"""Thermostats with Wi-Fi, and the presence sensor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from structiot.sim.meross.models.model import NEWER, MerossModel, PartMaker, abilities
from structiot.sim.meross.parts.appliances import physical_lock
from structiot.sim.meross.parts.energy import Meter
from structiot.sim.meross.parts.sensors import (
    LatestX,
    Measured,
    presence_config,
    presence_study,
)
from structiot.sim.meross.parts.thermostat import Mode, ModeB, ModeC
from structiot.sim.meross.parts.timers import Timers
from structiot.sim.meross.records import Records
from structiot.sim.meross.stage import Part, Stage

__all__ = ["CLIMATE"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_IN_DIGEST: Final = {"SummerMode", "WindowOpened"}


def _limits(low: int, high: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"min": low, "max": high, **fields}


def _week(entries: list[list[int]], section: int) -> dict[str, Any]:
    return {"section": section, **{day: [list(e) for e in entries] for day in _DAYS}}


_MTS200: Final[dict[str, dict[str, Any]]] = {
    "Thermostat.WindowOpened": {"status": 0, "detect": 1, "lmTime": 0},
    "Thermostat.SummerMode": {"mode": 1},
    "Thermostat.Calibration": _limits(-80, 80, value=0, lmTime=0),
    "Thermostat.DeadZone": _limits(5, 35, value=5),
    "Thermostat.Frost": _limits(50, 150, onoff=1, value=50, warning=0),
    "Thermostat.HoldAction": {"mode": 0, "time": 0, "expire": 0},
    "Thermostat.Schedule": _week([[390, 170], [540, 220], [360, 210], [150, 170]], 8),
    "Screen.Brightness": {"operation": 100.0, "standby": 12.5},
    "TempUnit": {"tempUnit": 1},
}
_MTS960: Final[dict[str, dict[str, Any]]] = {
    "Thermostat.Calibration": _limits(-2000, 2000, value=0),
    "Thermostat.DeadZone": _limits(50, 2000, value=50),
    "Thermostat.Frost": _limits(500, 1500, onoff=1, value=500, warning=0),
    "Thermostat.CtlRange": {"max": 6000, "min": 0, "ctlMax": 6000, "ctlMin": 0},
    "Thermostat.CompressorDelay": {"enable": 2, "value": 3, "endTime": 0},
    "Thermostat.Timer": {
        "type": 1,
        "down": {"duration": 30, "end": 0, "onoff": 1},
    },
    "Thermostat.AlarmConfig": _limits(
        0, 6000, highEnable=2, highTemp=4000, lowEnable=2, lowTemp=500
    ),
    "Thermostat.ScheduleB": _week([[390, 1700], [1050, 2150]], 12),
    "TempUnit": {"tempUnit": 1},
}
_MTS300: Final[dict[str, dict[str, Any]]] = {
    "Thermostat.Calibration": _limits(-450, 450, value=0, humiValue=0),
    "Thermostat.HoldAction": {"mode": 0, "time": 0, "expire": 0},
    "Thermostat.ScheduleB": _week([[390, 1700, 2600], [1050, 2000, 2500]], 12),
    "Thermostat.System": {"wiring": 1},
    "Screen.Brightness": {"operation": 100.0, "standby": 12.5},
    "TempUnit": {"tempUnit": 2},
}


def _settings(table: Mapping[str, Mapping[str, Any]]) -> tuple[PartMaker, ...]:
    return tuple(partial(_setting, name=n, item=i) for n, i in table.items())


def _setting(stage: Stage, *, name: str, item: Mapping[str, Any]) -> Part:
    last = name.rpartition(".")[2]
    key = last[0].lower() + last[1:]
    low, high = item.get("min"), item.get("max")
    ranges = {"value": (low, high)} if low is not None and high is not None else {}
    return Records(
        stage,
        f"Appliance.Control.{name}",
        [{"channel": 0, **item}],
        digest=("thermostat", key) if last in _IN_DIGEST else (),
        ranges=ranges,
    )


def _names(table: Mapping[str, object]) -> str:
    return " ".join(f"Control.{name}" for name in table)


CLIMATE: Final = (
    MerossModel(
        name="mts200",
        about="thermostat of a floor or a boiler, with a meter",
        sub_type="us",
        hardware="7.0.0",
        firmware="7.6.7",
        chip="rtl8710cm",
        abilities=abilities(
            NEWER,
            "Control.Thermostat.Mode",
            _names(_MTS200),
            "Config.OverTemp Mcu.Firmware Control.PhysicalLock Control.Sensor.History "
            "Control.Sensor.Latest Control.Electricity Control.ConsumptionConfig "
            "Control.ConsumptionX Control.ConsumptionH Digest.TriggerX Digest.TimerX",
            most_commands=3,
            without="System.DNDMode",
        ),
        parts=(*_settings(_MTS200), Mode, Measured, physical_lock, Meter, Timers),
    ),
    MerossModel(
        name="mts960",
        about="socket with a thermostat and a meter",
        hardware="4.0.0",
        firmware="4.2.6",
        chip="mt7686",
        abilities=abilities(
            NEWER,
            "Control.Thermostat.ModeB",
            _names(_MTS960),
            "Control.Electricity Control.ConsumptionConfig Control.ConsumptionX",
            most_commands=3,
        ),
        parts=(*_settings(_MTS960), ModeB, Meter),
    ),
    MerossModel(
        name="mts300",
        about="thermostat of heating, cooling and ventilation",
        sub_type="us",
        hardware="9.0.0",
        firmware="9.1.12",
        chip="rtl8720cm",
        abilities=abilities(
            NEWER,
            "Control.Thermostat.ModeC",
            _names(_MTS300),
            "Control.Sensor.Latest Control.Sensor.History",
            most_commands=3,
        ),
        parts=(*_settings(_MTS300), ModeC, Measured),
    ),
    MerossModel(
        name="ms600",
        about="sensor of presence and light",
        sub_type="un",
        hardware="9.0.0",
        firmware="9.3.22",
        chip="rtl8720cm",
        abilities=abilities(
            NEWER,
            "Control.Sensor.LatestX Control.Presence.Config Control.Presence.Study",
            most_commands=3,
        ),
        parts=(
            partial(
                LatestX,
                values={
                    "presence": {"value": 1, "distance": 0, "times": 0},
                    "light": {"value": 220},
                },
            ),
            presence_config,
            presence_study,
        ),
    ),
)
