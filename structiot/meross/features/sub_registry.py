"""Which features a subdevice has, by its kind, and which kind it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from structiot._kit.json_text import text_of
from structiot.meross.features.climate_sensor import (
    ClimateSensor,
    SensorAdjustment,
    SensorAlert,
)
from structiot.meross.features.feature import Feature
from structiot.meross.features.hub_sensors import (
    Battery,
    DoorSensor,
    LeakSensor,
    SmokeAlarm,
)
from structiot.meross.features.subdevice import SubAbout
from structiot.meross.features.valve import Sprinkler, Valve, ValveSettings
from structiot.meross.wire.payloads import Item

__all__ = ["SUB_NAMESPACES", "UNKNOWN", "kind_of", "kind_of_item", "subfeatures_of"]

UNKNOWN: Final = "unknown"

_VALVE: Final = (Valve, ValveSettings)
_CLIMATE: Final = (ClimateSensor, SensorAdjustment, SensorAlert)
_FEATURES: Final[Mapping[str, tuple[type[Feature], ...]]] = {
    **dict.fromkeys(("mts100", "mts100v3", "mts150", "mts150p"), _VALVE),
    **dict.fromkeys(("ms100", "ms100f", "ms120", "ms130"), _CLIMATE),
    **dict.fromkeys(("ms400", "ms405"), (LeakSensor,)),
    **dict.fromkeys(("gs559", "gs559a"), (SmokeAlarm,)),
    **dict.fromkeys(("mst100", "mst200"), (Sprinkler,)),
    "ms200": (DoorSensor,),
}
SUB_NAMESPACES: Final[frozenset[str]] = Battery.namespaces.union(
    *(kind.namespaces for kinds in _FEATURES.values() for kind in kinds)
)
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


def subfeatures_of(about: SubAbout) -> tuple[Feature, ...]:
    """Make the features of a subdevice; of an unknown kind, its battery."""
    device = about.as_device
    kinds: list[type[Feature]] = [*_FEATURES.get(about.kind, ()), Battery]
    return tuple(kind(device) for kind in kinds)


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
