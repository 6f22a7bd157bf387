"""Humidifiers, diffusers, fans, purifiers: state that is set and told, no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from structiot.sim.meross.records import Records
from structiot.sim.meross.stage import Item, Part, Stage

__all__ = [
    "DiffuserSensor",
    "calibration",
    "diffuser_light",
    "diffuser_spray",
    "fan",
    "filter_maintenance",
    "mp3",
    "physical_lock",
    "spray",
]

_CONTROL: Final = "Appliance.Control"


def spray(stage: Stage) -> Records:
    """Make the nozzle of a humidifier: 0 off, 1 on, 2 on and off in turns."""
    item = {"channel": 0, "mode": 0, "lmTime": 0, "lastMode": 1, "onoffTime": 0}

    def remember(changed: Item) -> None:
        changed["onoffTime"] = stage.stamp()
        if changed["mode"]:
            changed["lastMode"] = changed["mode"]

    return Records(
        stage,
        f"{_CONTROL}.Spray",
        [item],
        digest=("spray",),
        ranges={"mode": (0, 2)},
        on_change=remember,
    )


def diffuser_light(stage: Stage, *, kind: str) -> Records:
    """Make the lamp of a diffuser: 0 colours in turn, 1 one colour, 2 white."""
    item = {
        "channel": 0,
        "onoff": 0,
        "lmTime": 0,
        "mode": 1,
        "luminance": 50,
        "rgb": 0xFF8000,
    }
    return Records(
        stage,
        f"{_CONTROL}.Diffuser.Light",
        [item],
        digest=("diffuser", "light"),
        ranges={"mode": (0, 2), "luminance": (0, 100), "rgb": (0, 0xFFFFFF)},
        extra={"type": kind},
    )


def diffuser_spray(stage: Stage, *, kind: str) -> Records:
    """Make the nozzle of a diffuser: 0 light, 1 strong, 2 off."""
    return Records(
        stage,
        f"{_CONTROL}.Diffuser.Spray",
        [{"channel": 0, "mode": 2, "lmTime": 0}],
        digest=("diffuser", "spray"),
        ranges={"mode": (0, 2)},
        extra={"type": kind},
    )


class DiffuserSensor(Part):
    """Humidity and temperature of a diffuser, which stand at the top of the payload."""

    namespaces: tuple[str, ...] = (f"{_CONTROL}.Diffuser.Sensor",)

    def __init__(self, stage: Stage, *, kind: str) -> None:
        self._stage = stage
        self._kind = kind
        self._values: Item = {"humidity": 452, "temperature": 214}

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Answer with both, in tenths."""
        now = self._stage.stamp()
        told = {n: {"value": v, "lmTime": now} for n, v in self._values.items()}
        return {"type": self._kind, **told}

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:  # noqa: ARG002
        """Measure something else, in tenths."""
        self._values.update(fields)
        self._stage.push(namespace, self.get(namespace, {}))

    def digest(self) -> Item:
        """Give the type, which stands beside lamp and nozzle."""
        return {"diffuser": {"type": self._kind}}


def fan(stage: Stage, *, most: int, channel: int = 0) -> Records:
    """Make a fan with so many speeds."""
    return Records(
        stage,
        f"{_CONTROL}.Fan",
        [{"channel": channel, "speed": 1, "maxSpeed": most}],
        digest=("fan",),
        ranges={"speed": (0, most), "maxSpeed": (most, most)},
    )


def filter_maintenance(stage: Stage) -> Records:
    """Make the filter of a purifier, asked for by PUSH."""
    return Records(
        stage,
        f"{_CONTROL}.FilterMaintenance",
        [{"channel": 0, "life": 87, "lmTime": stage.stamp()}],
        is_query=True,
        is_fixed=True,
    )


def physical_lock(stage: Stage) -> Records:
    """Make the lock of the buttons, asked for by PUSH."""
    item = {"channel": 0, "onoff": 0}
    name = f"{_CONTROL}.PhysicalLock"
    return Records(stage, name, [item], is_query=True, ranges={"onoff": (0, 1)})


def mp3(stage: Stage) -> Records:
    """Make the player of a baby machine."""
    return Records(
        stage,
        f"{_CONTROL}.Mp3",
        [{"channel": 0, "lmTime": 0, "song": 1, "mute": 1, "volume": 8}],
        is_list=False,
        ranges={"song": (1, 11), "mute": (0, 1), "volume": (0, 16)},
    )


def calibration(stage: Stage) -> Records:
    """Make the dimming range of a fan's lamp; the spelling is the device's."""
    item = {"channel": 0, "minimum": 20, "maxmum": 100, "lightUp": 1}
    return Records(stage, "Appliance.Config.Calibration", [item], is_list=False)
