"""Hubs: they answer for what is paired with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from structiot.errors import UsageError
from structiot.meross.wire.payloads import items_of, key_of
from structiot.sim.meross.parts.subdevices import (
    DoorSensor,
    LeakSensor,
    SmokeSensor,
    Subdevice,
    TemperatureSensor,
)
from structiot.sim.meross.parts.valve import Valve
from structiot.sim.meross.stage import Item, Malformed, Part, Stage

__all__ = ["HUB_NAMESPACES", "Hub"]

HUB_NAMESPACES: Final = (
    "Digest.Hub Hub.Online Hub.ToggleX Hub.Exception Hub.SubdeviceList Hub.Report "
    "Hub.Battery Hub.ExtraInfo Hub.SubDevice.Version Hub.SubDevice.Beep "
    "Hub.Mts100.All Hub.Mts100.TimeSync Hub.Mts100.Mode Hub.Mts100.Temperature "
    "Hub.Mts100.Adjust Hub.Mts100.Schedule Hub.Mts100.ScheduleB Hub.Mts100.SuperCtl "
    "Hub.Mts100.Config Hub.Sensor.All Hub.Sensor.Latest Hub.Sensor.TempHum "
    "Hub.Sensor.Adjust Hub.Sensor.Alert Hub.Sensor.DoorWindow Hub.Sensor.Smoke "
    "Hub.Sensor.WaterLeak"
)
_ACKS_STATE: Final = {"Appliance.Hub.Mts100.Temperature"}
_NOT_ASKED: Final = (".Exception", ".SubdeviceList", ".Report", ".Beep")
_MAKERS: Final[Mapping[str, Callable[[Stage, str, str], Subdevice]]] = {
    "mts100": Valve,
    "mts100v3": Valve,
    "mts150": Valve,
    "ms100": TemperatureSensor,
    "ms130": TemperatureSensor,
    "ms200": DoorSensor,
    "ms400": LeakSensor,
    "ms405": LeakSensor,
    "gs559": SmokeSensor,
}


class Hub(Part):
    """A hub with what is paired with it.

    Args:
        stage: The device.
        subdevices: Type and id of each that is paired at first.

    Attributes:
        subdevices: What is paired, by id.
    """

    namespaces: tuple[str, ...] = tuple(
        f"Appliance.{name}" for name in HUB_NAMESPACES.split()
    )

    def __init__(
        self, stage: Stage, *, subdevices: tuple[tuple[str, str], ...]
    ) -> None:
        self._stage = stage
        self.subdevices: dict[str, Subdevice] = {}
        for kind, name in subdevices:
            self._add(kind, name)

    def pair(self, kind: str, id: str) -> Subdevice:  # noqa: A002 - as in the wire
        """Pair something, and tell it.

        Raises:
            UsageError: There is no such type.
        """
        found = self._add(kind, id)
        row = {"id": id, "deviceType": kind}
        self._stage.push("Appliance.Hub.Bind", {"bind": [row]})
        return found

    def forget(self, id: str) -> None:  # noqa: A002
        """Unpair something, and tell it."""
        found = self.subdevices.pop(id, None)
        if found is not None:
            row = {"id": id, "deviceType": found.kind}
            self._stage.push("Appliance.Hub.Unbind", {"bind": [row]})

    def _add(self, kind: str, id: str) -> Subdevice:  # noqa: A002
        if kind not in _MAKERS:
            raise UsageError(f"no subdevice {kind!r}; there are {', '.join(_MAKERS)}")
        found = self.subdevices[id] = _MAKERS[kind](self._stage, kind, id)
        return found

    # ------------------------------------------------------------ being asked

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer for those that are asked for, or for all that have such a thing."""
        key = key_of(namespace)
        if namespace.endswith(_NOT_ASKED):
            raise Malformed(namespace)
        if namespace == "Appliance.Digest.Hub":
            return {key: self._digest()}
        if namespace == "Appliance.Hub.ExtraInfo":
            kinds = sorted({one.kind for one in self.subdevices.values()})
            return {key: {"upgradeSubDevs": [{"type": kind} for kind in kinds]}}
        wanted = [item["id"] for item in items_of(payload, key) if "id" in item]
        rows = [
            {"id": one.id, **item}
            for one in self.subdevices.values()
            if not wanted or one.id in wanted
            if (item := one.find(namespace)) is not None
        ]
        return {key: rows}

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Pass on what is wanted; what sleeps hears of it later."""
        key = key_of(namespace)
        rows = []
        for item in items_of(payload, key):
            one = self.subdevices.get(str(item.get("id")))
            if one is None:
                continue
            if namespace.endswith(".Beep"):
                continue
            told = one.set(namespace, item)
            if told is not None:
                rows.append({"id": one.id, **told})
        if not items_of(payload, key):
            raise Malformed(namespace)
        return {key: rows} if namespace in _ACKS_STATE else {}

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:
        """Let a subdevice be otherwise; `where` is its id."""
        one = self.subdevices.get(str(where))
        if one is None:
            raise UsageError(f"there is no subdevice {where}")
        one.change(namespace, fields)

    def digest(self) -> Item:
        """Give all that is paired, in short."""
        return {"hub": self._digest()}

    def _digest(self) -> Item:
        rows: list[Item] = []
        for one in self.subdevices.values():
            row: Item = {"id": one.id, "status": one.status}
            if one.is_online:
                row |= {"onoff": 0, "lastActiveTime": one.last_active, **one.short()}
            rows.append(row)
        return {"hubId": -12_345_678, "mode": 0, "subdevice": rows}
