"""Which subfeatures a subdevice has, by its kind, and which kind it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from structiot._kit.json_text import text_of
from structiot.meross.features.battery import Battery
from structiot.meross.features.climate_sensor import (
    CLIMATE_SENSORS,
    ClimateSensor,
    SensorAdjustment,
)
from structiot.meross.features.door_sensor import DOOR_SENSORS, DoorSensor
from structiot.meross.features.leak import LEAK_SENSORS, LeakSensor
from structiot.meross.features.sensor_alert import SensorAlert
from structiot.meross.features.smoke import SMOKE_ALARMS, SmokeAlarm
from structiot.meross.features.sprinkler import SPRINKLERS, Sprinkler
from structiot.meross.features.subdevice import SubAbout, SubFeature
from structiot.meross.features.valve import VALVES, Valve
from structiot.meross.wire.payloads import Item

__all__ = ["UNKNOWN", "kind_of", "kind_of_item", "subfeatures_of"]

UNKNOWN: Final = "unknown"

_Maker = Callable[[SubAbout], SubFeature]
_MAKERS: Final[Mapping[str, tuple[_Maker, ...]]] = {
    **dict.fromkeys(VALVES, (Valve,)),
    **dict.fromkeys(CLIMATE_SENSORS, (ClimateSensor, SensorAdjustment, SensorAlert)),
    **dict.fromkeys(DOOR_SENSORS, (DoorSensor,)),
    **dict.fromkeys(LEAK_SENSORS, (LeakSensor,)),
    **dict.fromkeys(SMOKE_ALARMS, (SmokeAlarm,)),
    **dict.fromkeys(SPRINKLERS, (Sprinkler,)),
}
# Objects that are called by what they hold, and the kind that has them.
_NAMED: Final = {
    "tempHumi": "ms130",
    "doorWindow": "ms200",
    "smokeAlarm": "gs559",
    "waterLeak": "ms405",
    "mst": "mst100",
    "waDet": "mst200",
}
_KIND: Final = re.compile(r"[a-z]{2,6}\d{2,4}[a-z0-9]{0,6}", re.ASCII)


def subfeatures_of(about: SubAbout) -> tuple[SubFeature, ...]:
    """Make the subfeatures of a subdevice; of an unknown kind, its battery."""
    makers = _MAKERS.get(about.kind, ())
    return tuple(make(about) for make in (*makers, Battery))


def kind_of(value: object) -> str | None:
    """Read a kind, such as the cloud tells it; None for what is none."""
    kind = (text_of(value) or "").lower()
    return kind if _KIND.fullmatch(kind) else None


def kind_of_item(item: Item) -> str | None:
    """Infer a kind from the names of the objects in an item of the digest or `*.All`."""
    for name, value in item.items():
        kind = _NAMED.get(name) or (kind_of(name) if len(name) <= 16 else None)
        if kind is not None and isinstance(value, dict | list):
            return kind
    # In `Sensor.All`; the valves' have a mode beside it.
    is_sensor = isinstance(item.get("temperature"), dict) and "mode" not in item
    return "ms100" if is_sensor else None
