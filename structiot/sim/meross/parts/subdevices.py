"""What is paired with a hub: sensors of temperature, doors, leaks and smoke.

A subdevice holds its items by namespace, without its id; the hub asks for them, and
pushes what has changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.sim.meross.records import merge, whole_of
from structiot.sim.meross.stage import Item, Stage

__all__ = [
    "DoorSensor",
    "LeakSensor",
    "SmokeSensor",
    "Subdevice",
    "TemperatureSensor",
]

_HUB: Final = "Appliance.Hub"
_SENSOR: Final = "Appliance.Hub.Sensor"
_SAMPLES: Final = 5
_ONLINE: Final = 1
_OFFLINE: Final = 2


class Subdevice(ABC):
    """Something with a radio and a battery.

    Args:
        stage: The hub.
        kind: Its type, such as `"ms100"`.
        id: Its id.

    Attributes:
        all_namespace: Where its whole state is asked for.
        battery: What is left in its battery, in per cent.
        is_online: Whether the hub hears it.
        items: Its state by namespace.
    """

    all_namespace: ClassVar[str] = f"{_SENSOR}.All"

    def __init__(self, stage: Stage, kind: str, id: str) -> None:  # noqa: A002 - its name
        self.stage = stage
        self.kind = kind
        self.id = id
        self.name = kind
        self.battery: int = 92
        self.is_online: bool = True
        self.last_active: int = stage.stamp()
        self.items: dict[str, Item] = {}

    @abstractmethod
    def whole(self) -> Item:
        """Give what stands in `*.All` besides id and online."""

    @abstractmethod
    def short(self) -> Item:
        """Give what stands in the digest besides id, status and times."""

    @property
    def status(self) -> int:
        """Its state of connection, by the wire's numbers."""
        return _ONLINE if self.is_online else _OFFLINE

    def find(self, namespace: str) -> Item | None:
        """Give its item of a namespace."""
        match namespace.removeprefix(f"{_HUB}."):
            case "Battery":
                return {"value": self.battery}
            case "Online":
                return {"status": self.status, "lastActiveTime": self.last_active}
            case "SubDevice.Version":
                return {"hardware": "1.1.5", "firmware": "5.1.8"}
        if namespace == self.all_namespace:
            return {"online": self.find(f"{_HUB}.Online"), **self.whole()}
        return self.items.get(namespace)

    def set(self, namespace: str, wanted: Mapping[str, Any]) -> Item | None:
        """Be set by a client; give the item as it is then, None if it has none."""
        item = self.items.get(namespace)
        if item is not None:
            merge(item, wanted)
            self.told(namespace, item)
        return item

    def change(self, namespace: str, fields: Mapping[str, Any]) -> None:
        """Be otherwise by a physical cause, and tell the hub."""
        item = self.items.setdefault(namespace, {})
        item.update(fields)
        self.told(namespace, item)

    def told(self, namespace: str, item: Mapping[str, Any]) -> None:
        """Let the hub push an item, whole or in part."""
        self.last_active = self.stage.stamp()
        if self.is_online:
            key = _KEYS.get(namespace) or _key(namespace)
            self.stage.push(namespace, {key: [{"id": self.id, **item}]})

    def set_battery(self, percent: int) -> None:
        """Have so much left in the battery, and tell it."""
        self.battery = percent
        self.told(f"{_HUB}.Battery", {"value": percent})

    def set_online(self, *, is_online: bool) -> None:
        """Be heard by the hub, or not."""
        self.is_online = is_online
        name = f"{_HUB}.Online"
        online = {"id": self.id, **(self.find(name) or {})}
        self.stage.push(name, {"online": [online]})
        if not is_online:
            lost = {"exception": [{"id": self.id, "code": 5061}]}
            self.stage.push(f"{_HUB}.Exception", lost)


_KEYS: Final = {f"{_SENSOR}.Smoke": "smokeAlarm"}


def _key(namespace: str) -> str:
    last = namespace.rpartition(".")[2]
    return last[0].lower() + last[1:]


class TemperatureSensor(Subdevice):
    """ms100 (tenths of a degree) and ms130 (hundredths in `All`)."""

    def __init__(self, stage: Stage, kind: str, id: str) -> None:  # noqa: A002
        super().__init__(stage, kind, id)
        self._temperature = 214
        self._humidity = 480
        self._sampled = stage.stamp()
        self._offsets: Item = {"temperature": 0, "humidity": 0}
        self._alert: Item = {
            "temperature": [[0, -200, 600]],
            "humidity": [[0, 0, 1000]],
        }
        self._show()

    @property
    def is_fine(self) -> bool:
        """Whether it measures in hundredths."""
        return self.kind == "ms130"

    def measure(self, temperature_c: float, humidity_percent: float) -> None:
        """Measure something else, and tell it."""
        self._temperature = round(temperature_c * 10)
        self._humidity = round(humidity_percent * 10)
        self._sampled = self.stage.stamp()
        self._show()
        name = f"{_SENSOR}.TempHum"
        self.told(name, self.items[name])

    def set(self, namespace: str, wanted: Mapping[str, Any]) -> Item | None:
        """Take an offset, which is added to the one that it has."""
        if namespace != f"{_SENSOR}.Adjust":
            return super().set(namespace, wanted)
        for name in self._offsets:
            self._offsets[name] += whole_of(wanted.get(name)) or 0
        self._show()
        return dict(self._offsets)

    def _measured(self) -> tuple[int, int]:
        return (
            self._temperature + self._offsets["temperature"],
            self._humidity + self._offsets["humidity"],
        )

    def _show(self) -> None:
        (warm, damp), at = self._measured(), self._sampled
        self.items: dict[str, Item] = {
            f"{_SENSOR}.TempHum": {
                "latestTime": at,
                "latestTemperature": warm,
                "latestHumidity": damp,
                "sample": [[warm, damp, at - 60, at]],
            },
            f"{_SENSOR}.Latest": {
                "temperature": {"sample": warm, "time": at},
                "humidity": {"sample": damp, "time": at},
            },
            f"{_SENSOR}.Adjust": dict(self._offsets),
            f"{_SENSOR}.Alert": self._alert,
        }

    def whole(self) -> Item:
        """Give both with their limits, which are in tenths even where they are not."""
        (warm, damp), at = self._measured(), self._sampled
        warm *= 10 if self.is_fine else 1
        return {
            "temperature": {
                "latest": warm,
                "latestSampleTime": at,
                "max": 500,
                "min": -100,
            },
            "humidity": {"latest": damp, "latestSampleTime": at, "max": 1000, "min": 0},
        }

    def short(self) -> Item:
        """Give both."""
        (warm, damp), at = self._measured(), self._sampled
        if self.is_fine:
            return {"tempHumi": {"latestTime": at, "temp": warm * 10, "humi": damp}}
        return {
            self.kind: {
                "latestTime": at,
                "latestTemperature": warm,
                "latestHumidity": damp,
                "voltage": 2810,
            }
        }


class _Sampled(Subdevice):
    """What is one of two things, with the times of its latest changes."""

    def _sample(self, item: Item, value: int) -> None:
        now = self.stage.stamp()
        item["sample"] = [*item.get("sample", []), [value, now]][-_SAMPLES:]


class DoorSensor(_Sampled):
    """ms200: a magnet at a door or a window."""

    _NAME = f"{_SENSOR}.DoorWindow"

    def __init__(self, stage: Stage, kind: str, id: str) -> None:  # noqa: A002
        super().__init__(stage, kind, id)
        now = stage.stamp()
        self.items[self._NAME] = {"status": 0, "lmTime": now, "sample": [[0, now]]}

    def move(self, *, is_open: bool) -> None:
        """Open or close the door, and tell it."""
        item = self.items[self._NAME]
        item.update(status=int(is_open), lmTime=self.stage.stamp())
        self._sample(item, int(is_open))
        self.told(self._NAME, item)

    def whole(self) -> Item:
        """Give the state of the door."""
        own = self.items[self._NAME]
        return {"doorWindow": {"status": own["status"], "lmTime": own["lmTime"]}}

    def short(self) -> Item:
        """Give the same."""
        return self.whole()


class LeakSensor(_Sampled):
    """ms405: two contacts on the floor."""

    _NAME = f"{_SENSOR}.WaterLeak"

    def __init__(self, stage: Stage, kind: str, id: str) -> None:  # noqa: A002
        super().__init__(stage, kind, id)
        never = {"latestWaterLeak": 0, "latestSampleTime": 0, "sample": []}
        self.items[self._NAME] = {**never, "syncedTime": stage.stamp()}

    def leak(self, *, is_wet: bool) -> None:
        """Be wet or dry, and tell it."""
        now = self.stage.stamp()
        item = self.items[self._NAME]
        item.update(latestWaterLeak=int(is_wet), latestSampleTime=now, syncedTime=now)
        self._sample(item, int(is_wet))
        self.told(self._NAME, item)

    def whole(self) -> Item:
        """Give whether it is wet, and since when."""
        own = self.items[self._NAME]
        names = ("latestWaterLeak", "latestSampleTime")
        return {"waterLeak": {name: own[name] for name in names}}

    def short(self) -> Item:
        """Give the same."""
        return self.whole()


class SmokeSensor(Subdevice):
    """gs559: smoke and heat, by the numbers of the reference."""

    FINE: ClassVar[int] = 170
    _NAME = f"{_SENSOR}.Smoke"
    _MUTED: ClassVar[Mapping[int, int]] = {17: 20, 18: 21, 19: 22, 24: 26, 25: 27}

    def __init__(self, stage: Stage, kind: str, id: str) -> None:  # noqa: A002
        super().__init__(stage, kind, id)
        self.items[self._NAME] = {
            "status": self.FINE,
            "interConn": 1,
            "lmTime": stage.stamp(),
        }

    def alarm(self, status: int) -> None:
        """Be in this state: 25 is smoke, 24 heat, 170 nothing; and tell it."""
        fields = {"status": status, "lmTime": self.stage.stamp()}
        self.change(self._NAME, fields)

    def set(self, namespace: str, wanted: Mapping[str, Any]) -> Item | None:
        """Test itself (23), be muted where it may be, or leave the group."""
        if namespace != self._NAME:
            return super().set(namespace, wanted)
        item = self.items[self._NAME]
        status = integer_of(wanted.get("status"))
        if status == 23 or (
            status is not None and status == self._MUTED.get(item["status"])
        ):
            self.alarm(status)
        group = integer_of(wanted.get("interConn"))
        if group is not None:
            self.change(self._NAME, {"interConn": group})
        return item

    def whole(self) -> Item:
        """Give the state, with the spelling of time that stands there."""
        own = self.items[self._NAME]
        told = {"status": own["status"], "interConn": own["interConn"]}
        return {"smokeAlarm": {**told, "lmtime": own["lmTime"]}}

    def short(self) -> Item:
        """Give the state."""
        return {"smokeAlarm": dict(self.items[self._NAME])}
