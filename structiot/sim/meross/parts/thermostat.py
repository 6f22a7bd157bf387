"""Wi-Fi thermostats, and the rooms that they heat and cool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from structiot.sim.meross.records import Range, Records
from structiot.sim.meross.stage import Item, Stage

__all__ = ["Mode", "ModeB", "ModeC", "Room", "scheduled"]

_NAMESPACE: Final = "Appliance.Control.Thermostat"
_TICK_S: Final = 60.0
_OUTSIDE_C: Final = 15.0
_GAIN_C: Final = 0.1
_LOSS_C: Final = 0.02
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def scheduled(schedule: Mapping[str, Any], local: datetime) -> int | None:
    """Give what a schedule has for a moment; its entries are durations in minutes."""
    minute = local.hour * 60 + local.minute
    for entry in schedule.get(_DAYS[local.weekday()], []):
        match entry:
            case [int(minutes), int(wanted), *_]:
                minute -= minutes
                if minute < 0:
                    return wanted
    return None


class Room(Records):
    """A thermostat in a room, whose temperature moves; told when it matters.

    Args:
        stage: The device.
        name: The last part of its namespace.
        item: Its state at first.
        scale: What a degree is on the wire.
        digest: Where it stands in the digest, if it does.
        ranges: What values fields may have.

    Attributes:
        room_c: The temperature of the room.
        outside_c: What it becomes in time without heating or cooling.
    """

    def __init__(
        self,
        stage: Stage,
        name: str,
        item: Item,
        *,
        scale: int,
        digest: tuple[str, ...] = (),
        ranges: Mapping[str, Range] | None = None,
    ) -> None:
        super().__init__(
            stage,
            f"{_NAMESPACE}.{name}",
            [item],
            digest=digest,
            acks_state=True,
            ranges=ranges,
        )
        self.scale = scale
        self.room_c: float = item["currentTemp"] / scale
        self.outside_c: float = _OUTSIDE_C
        self._told_c = self.room_c
        self.recompute(self.items[0])
        stage.agenda.after(_TICK_S, self._tick)

    def recompute(self, item: Item) -> None:
        """Let what follows from the settings follow."""

    def heats(self, item: Item) -> int:
        """Tell whether it heats (1), cools (-1) or rests (0)."""
        del item
        return 0

    def is_output_on(self) -> bool:
        """Tell whether what it heats or cools with has power."""
        return self.heats(self.items[0]) != 0

    def apply(self, wanted: Mapping[str, Any]) -> list[Item]:
        """Take over settings; temperatures that are too high or low are refused."""
        kept: Item = {}
        for name in ("currentTemp", "min", "max"):
            if name in self.items[0]:
                kept[name] = self.items[0][name]
        changed = (
            [] if self.stage.faults.is_stuck else super().apply({**wanted, **kept})
        )
        for item in changed:
            self.recompute(item)
        return changed

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:
        """Be otherwise by a physical cause, such as another temperature."""
        if "currentTemp" in fields:
            self.room_c = self._told_c = fields["currentTemp"] / self.scale
        super().change(namespace, fields, where)

    def tell(self, items: Sequence[Item]) -> None:
        """Push what has changed, with what follows from it."""
        for item in items:
            self.recompute(item)
        super().tell(items)

    def set_mains(self, *, is_on: bool) -> None:
        """Rest without mains; what was to come is forgotten then."""
        if is_on:
            self.stage.agenda.after(_TICK_S, self._tick)

    def _tick(self) -> None:
        self.stage.agenda.after(_TICK_S, self._tick)
        item = self.items[0]
        before = self.heats(item)
        self.room_c += before * _GAIN_C
        drift = self.outside_c - self.room_c
        self.room_c += max(-_LOSS_C, min(_LOSS_C, drift))
        item["currentTemp"] = round(self.room_c * self.scale)
        self.recompute(item)
        if self.heats(item) != before or abs(self.room_c - self._told_c) >= 0.5:
            self._told_c = self.room_c
            self.tell([item])

    def is_window_open(self) -> bool:
        """Tell whether it rests because a window is open."""
        for part in self.stage.parts_of(Records):
            if part.key == "windowOpened":
                own = part.items[0]
                return bool(own["status"] == 1 and own["detect"] == 1)
        return False

    def scheduled(self) -> int | None:
        """Give what the schedule has for now."""
        for part in self.stage.parts_of(Records):
            if part.key in {"schedule", "scheduleB"}:
                return scheduled(part.items[0], self.stage.local_time())
        return None


class Mode(Room):
    """mts200: tenths of a degree, a set point for each mode."""

    def __init__(self, stage: Stage) -> None:
        ranges = dict.fromkeys(
            ("heatTemp", "coolTemp", "ecoTemp", "manualTemp"), (50, 350)
        )
        item = {
            "channel": 0,
            "onoff": 1,
            "mode": 4,
            "state": 1,
            "currentTemp": 195,
            "heatTemp": 220,
            "coolTemp": 170,
            "ecoTemp": 120,
            "manualTemp": 210,
            "warning": 0,
            "targetTemp": 210,
            "min": 50,
            "max": 350,
            "lmTime": stage.stamp(),
        }
        super().__init__(
            stage,
            "Mode",
            item,
            scale=10,
            digest=("thermostat", "mode"),
            ranges={**ranges, "mode": (0, 4), "onoff": (0, 1)},
        )

    def recompute(self, item: Item) -> None:
        """Give the set point of the mode, and open or close the valve."""
        own = {0: "heatTemp", 1: "coolTemp", 2: "ecoTemp", 4: "manualTemp"}
        name = own.get(item["mode"])
        target = self.scheduled() if name is None else item[name]
        item["targetTemp"] = item["targetTemp"] if target is None else target
        item["state"] = max(0, self.heats(item))

    def heats(self, item: Item) -> int:
        """Heat while it is colder than wanted, and no window is open."""
        is_cold = item["targetTemp"] > item["currentTemp"]
        return int(item["onoff"] == 1 and is_cold and not self.is_window_open())


class ModeB(Room):
    """mts960: hundredths of a degree; 1 is on, 2 is off."""

    def __init__(self, stage: Stage) -> None:
        item = {
            "channel": 0,
            "mode": 1,
            "targetTemp": 2150,
            "working": 1,
            "currentTemp": 1980,
            "state": 1,
            "onoff": 1,
            "sensorStatus": 1,
        }
        super().__init__(
            stage,
            "ModeB",
            item,
            scale=100,
            digest=("thermostat", "modeB"),
            ranges={
                "mode": (1, 3),
                "working": (1, 2),
                "onoff": (1, 2),
                "targetTemp": (0, 6000),
            },
        )

    def recompute(self, item: Item) -> None:
        """Follow the schedule in mode 2, and switch the output."""
        target = self.scheduled() if item["mode"] == 2 else None
        item["targetTemp"] = item["targetTemp"] if target is None else target
        item["state"] = 1 if self.heats(item) else 2

    def heats(self, item: Item) -> int:
        """Heat, or cool, towards the set point."""
        if item["onoff"] != 1:
            return 0
        missing = item["targetTemp"] - item["currentTemp"]
        return int(missing > 0) if item["working"] == 1 else -int(missing < 0)


class ModeC(Room):
    """mts300: hundredths of a degree, one set point for heat and one for cold."""

    def __init__(self, stage: Stage) -> None:
        item = {
            "channel": 0,
            "mode": 3,
            "work": 1,
            "targetTemp": {"heat": 2000, "cold": 2500},
            "currentTemp": 1950,
            "sensorTemp": 1950,
            "fan": {"fMode": 0, "speed": 0, "hTime": 99_999},
            "more": {
                "humi": 480,
                "hStatus": 0,
                "cStatus": 0,
                "fStatus": 0,
                "aStatus": 0,
                "hdStatus": 0,
            },
        }
        ranges = {"mode": (0, 3), "work": (1, 2)}
        super().__init__(stage, "ModeC", item, scale=100, ranges=ranges)

    def recompute(self, item: Item) -> None:
        """Switch burner, compressor and fan."""
        does = self.heats(item)
        item["sensorTemp"] = item["currentTemp"]
        is_blowing = does or item["fan"]["fMode"] == 1
        item["more"] = {
            **item["more"],
            "hStatus": int(does > 0),
            "cStatus": int(does < 0),
            "fStatus": (item["fan"]["speed"] or 1) if is_blowing else 0,
        }

    def heats(self, item: Item) -> int:
        """Heat below one set point, cool above the other, as far as the mode allows."""
        wanted = item["targetTemp"]
        if item["mode"] in {1, 3} and item["currentTemp"] < wanted["heat"]:
            return 1
        return -int(item["mode"] in {2, 3} and item["currentTemp"] > wanted["cold"])
