"""Sensors of devices with Wi-Fi: presence, light, temperature, humidity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from structiot.meross.wire.payloads import items_of
from structiot.sim.meross.records import Records
from structiot.sim.meross.stage import Item, Malformed, Part, Stage

__all__ = ["LatestX", "Measured", "presence_config", "presence_study"]

_LATEST: Final = "Appliance.Control.Sensor.Latest"
_HISTORY: Final = "Appliance.Control.Sensor.History"
_LATEST_X: Final = "Appliance.Control.Sensor.LatestX"


class LatestX(Part):
    """`Sensor.LatestX`: what is asked for by channel and name.

    Args:
        stage: The device.
        values: What it measures at first, by name.
    """

    namespaces: tuple[str, ...] = (_LATEST_X,)

    def __init__(
        self, stage: Stage, *, values: Mapping[str, Mapping[str, int]]
    ) -> None:
        self._stage = stage
        now = stage.stamp()
        self._values = {n: {**v, "timestamp": now} for n, v in values.items()}

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer with the latest of what is asked for."""
        wanted = items_of(payload, "latest")
        if not wanted or "channel" not in wanted[0]:
            raise Malformed(namespace)
        names = wanted[0].get("data")
        listed = names if isinstance(names, list) else []
        known = [n for n in self._values if n in listed]
        if not known:
            raise Malformed(namespace)
        return self._told(known)

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:  # noqa: ARG002
        """Measure something else: by name, fields such as `value`."""
        for name, values in fields.items():
            own = self._values.setdefault(name, {})
            own.update(values, timestamp=self._stage.stamp())
        self._stage.push(namespace, self._told([*fields]))

    def _told(self, names: list[str]) -> Item:
        data = {name: [dict(self._values[name])] for name in names}
        return {"latest": [{"channel": 0, "data": data}]}


class Measured(Part):
    """`Sensor.Latest` and `Sensor.History` of thermostats."""

    namespaces: tuple[str, ...] = (_LATEST, _HISTORY)

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._humidity = 480

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Answer with the humidity, or the temperatures of the last hours."""
        now = self._stage.stamp()
        if namespace == _LATEST:
            value = [{"humi": self._humidity, "timestamp": now}]
            return {"latest": [{"channel": 0, "capacity": 2, "value": value}]}
        hours = [
            {"timestamp": now - 3600 * n, "temp": 1950 + 10 * n} for n in range(12)
        ]
        return {"history": [{"channel": 0, "capacity": 1, "value": hours}]}

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:  # noqa: ARG002
        """Measure another humidity."""
        self._humidity = fields["humi"]
        self._stage.push(_LATEST, self.get(_LATEST, {}))


def presence_config(stage: Stage) -> Records:
    """Make the settings of a presence sensor."""
    item = {
        "channel": 0,
        "mode": {"workMode": 1, "testMode": 2},
        "noBodyTime": {"time": 15},
        "distance": {"value": 8100},
        "sensitivity": {"level": 2},
        "mthx": {"mth1": 120, "mth2": 72, "mth3": 72},
    }
    return Records(stage, "Appliance.Control.Presence.Config", [item])


def presence_study(stage: Stage) -> Records:
    """Make the learning of a room, asked for by PUSH."""
    item = {"channel": 0, "value": 1, "status": 1}
    name = "Appliance.Control.Presence.Study"
    return Records(stage, name, [item], is_query=True, key="study")
