"""Radiator valves: they sleep, and hear of what is wanted when they wake up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from structiot._kit.json_text import integer_of, number_of
from structiot.sim.meross.parts.subdevices import Subdevice
from structiot.sim.meross.stage import Item, Stage

__all__ = ["Valve"]

_MTS: Final = "Appliance.Hub.Mts100"
_TEMPERATURE: Final = f"{_MTS}.Temperature"
_MODE: Final = f"{_MTS}.Mode"
_TOGGLE: Final = "Appliance.Hub.ToggleX"
_PRESETS: Final = {0: "custom", 1: "comfort", 2: "economy", 4: "away"}
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SLEEPS_S: Final = 10.0


class Valve(Subdevice):
    """mts100v3 and mts150: `currentSet` follows the mode.

    Attributes:
        sleeps_s: How long it takes until it has heard of a command.
    """

    all_namespace: ClassVar[str] = f"{_MTS}.All"

    def __init__(self, stage: Stage, kind: str, id: str) -> None:  # noqa: A002
        super().__init__(stage, kind, id)
        self.sleeps_s: float = _SLEEPS_S
        day = [[390, 170], [90, 220], [300, 180], [210, 200], [300, 220], [150, 170]]
        self.items: dict[str, Item] = {
            _TEMPERATURE: {
                "room": 205,
                "currentSet": 220,
                "custom": 200,
                "comfort": 220,
                "economy": 180,
                "max": 350,
                "min": 50,
                "heating": 1,
                "away": 120,
                "openWindow": 0,
            },
            _MODE: {"state": 1},
            _TOGGLE: {"onoff": 1},
            f"{_MTS}.Adjust": {"temperature": 0},
            f"{_MTS}.TimeSync": {"state": 1},
            f"{_MTS}.Schedule": {name: [list(e) for e in day] for name in _DAYS},
            f"{_MTS}.ScheduleB": {name: [list(e) for e in day] for name in _DAYS},
            f"{_MTS}.SuperCtl": {"enable": 1, "level": 2, "alert": 0},
            f"{_MTS}.Config": {"pid": {"grade": 1, "p": 0, "i": 0}},
        }

    def set(self, namespace: str, wanted: Mapping[str, Any]) -> Item | None:
        """Have the hub keep what is wanted until the valve wakes up."""
        if namespace not in {_TEMPERATURE, _MODE, _TOGGLE}:
            return super().set(namespace, wanted)
        if not self.stage.faults.is_stuck:
            act = partial(self._wake_up, namespace, dict(wanted))
            self.stage.agenda.after(self.sleeps_s, act)
        return self.items[namespace]

    def measure(self, room_c: float) -> None:
        """Measure another temperature, and tell that alone."""
        self._tell_of({"room": round(room_c * 10)})

    def open_window(self, *, is_open: bool) -> None:
        """Notice that a window was opened or closed, and tell that alone."""
        self._tell_of({"openWindow": int(is_open)})

    def _wake_up(self, namespace: str, wanted: Mapping[str, Any]) -> None:
        if not self.is_online:
            return
        if namespace == _TEMPERATURE:
            low, high = (self.items[_TEMPERATURE][name] for name in ("min", "max"))
            found: Item = {}
            for name in _PRESETS.values():
                value = number_of(wanted.get(name))
                if value is not None and low <= value <= high:
                    found[name] = round(value)
            self._tell_of(found)
            return
        name, allowed = (
            ("state", {0, 1, 2, 3, 4}) if namespace == _MODE else ("onoff", {0, 1})
        )
        value = integer_of(wanted.get(name))
        if value in allowed:
            self.items[namespace][name] = value
            self.told(namespace, self.items[namespace])
            self._tell_of({})

    def _tell_of(self, fields: Mapping[str, Any]) -> None:
        """Push the fields that have changed, with what follows from them."""
        item = self.items[_TEMPERATURE]
        before = dict(item)
        item.update(fields)
        preset = _PRESETS.get(self.items[_MODE]["state"])
        if preset is not None:
            item["currentSet"] = item[preset]
        is_cold = item["room"] < item["currentSet"] and not item["openWindow"]
        item["heating"] = int(self.items[_TOGGLE]["onoff"] == 1 and is_cold)
        changed = {k: v for k, v in item.items() if before[k] != v}
        if changed:
            self.told(_TEMPERATURE, changed)

    def whole(self) -> Item:
        """Give everything that `Mts100.All` has."""
        return {
            "scheduleBMode": 6,
            "togglex": dict(self.items[_TOGGLE]),
            "timeSync": {"state": 1},
            "mode": dict(self.items[_MODE]),
            "temperature": dict(self.items[_TEMPERATURE]),
        }

    def short(self) -> Item:
        """Give the mode."""
        mode = {"mode": self.items[_MODE]["state"]}
        onoff = self.items[_TOGGLE]["onoff"]
        return {"scheduleBMode": 6, "onoff": onoff, self.kind: mode}
