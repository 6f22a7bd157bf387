"""How payloads are shaped: the key of each namespace, and one item or several.

Facts: reference 4.1. One namespace answers with an object on one model and with a list
on another, so that everything here takes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from structiot._kit.json_text import integer_of

__all__ = ["MAX_ITEMS", "Item", "channel_of", "items_of", "key_of", "object_of"]

Item: TypeAlias = Mapping[str, object]

# A hub has 16 subdevices, a meter 30 days; who sends more is not believed.
MAX_ITEMS: Final = 1024

_KEYS: Final = {
    "Appliance.Config.DeviceCfg": "config",
    "Appliance.Config.Matter": "config",
    "Appliance.Config.Sensor.Association": "config",
    "Appliance.Config.StandbyKiller": "config",
    "Appliance.Control.AlertConfig": "config",
    "Appliance.Control.AlertReport": "report",
    "Appliance.Control.ConsumptionConfig": "config",
    "Appliance.Control.ElectricityX": "electricity",
    "Appliance.Control.Fan.BtnConfig": "config",
    "Appliance.Control.Fan.Config": "config",
    "Appliance.Control.FilterMaintenance": "filter",
    "Appliance.Control.PhysicalLock": "lock",
    "Appliance.Control.Presence.Config": "config",
    "Appliance.Control.Presence.Study": "study",
    "Appliance.Control.Sensor.Association": "control",
    "Appliance.Control.Sensor.HistoryX": "history",
    "Appliance.Control.Sensor.LatestX": "latest",
    "Appliance.Control.Smoke.Config": "config",
    "Appliance.Control.Thermostat.CompressorDelay": "delay",
    "Appliance.Control.Thermostat.ModeC": "control",
    "Appliance.Control.Thermostat.System": "control",
    "Appliance.Control.Water": "control",
    "Appliance.Digest.TimerX": "digest",
    "Appliance.Digest.TriggerX": "digest",
    "Appliance.GarageDoor.Config": "config",
    "Appliance.GarageDoor.MultipleConfig": "config",
    "Appliance.Hub.Mts100.ScheduleB": "schedule",
    "Appliance.Hub.Sensor.Smoke": "smokeAlarm",
    "Appliance.Hub.SubDevice.MotorAdjust": "adjust",
    "Appliance.Hub.SubdeviceList": "subdeviceList",
    "Appliance.Hub.Unbind": "bind",
    "Appliance.System.DNDMode": "DNDMode",
}


def key_of(namespace: str) -> str:
    """Give the key under which a namespace's payload stands: `"togglex"` of ToggleX."""
    known = _KEYS.get(namespace)
    if known is not None:
        return known
    last = namespace.rpartition(".")[2]
    key = last[:1].lower() + last[1:]
    return f"{key[:-1]}x" if key.endswith("X") else key


def items_of(payload: Mapping[str, object], key: str) -> tuple[Item, ...]:
    """Give what stands under a key as items, be it one object or a list of them.

    What is no object is left out, and whatever is beyond `MAX_ITEMS`.
    """
    value = payload.get(key)
    found = value[:MAX_ITEMS] if isinstance(value, list) else [value]
    return tuple(item for item in found if isinstance(item, dict))


def object_of(payload: Mapping[str, object], *path: str) -> Item:
    """Give the object at the end of a path of keys; an empty one if there is none."""
    found: object = payload
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}


def channel_of(item: Item) -> int:
    """Give the channel of an item; 0 if it names none that makes sense."""
    channel = integer_of(item.get("channel"))
    return channel if channel is not None and 0 <= channel <= 65_535 else 0
