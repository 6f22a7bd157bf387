"""Sensors of temperature and humidity (ms100, ms100f, ms120, ms130).

Facts: reference 4.12. Humidity is ten times as large on the wire. Temperature is ten
times as large with a ms100, and a hundred times with a ms130, though not in all of its
namespaces: what would be no temperature of a room at ten is taken at a hundred. A ms120
is read as a ms130, whose digest it shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import number_of
from structiot.errors import UsageError
from structiot.meross.features.feature import Request, Update
from structiot.meross.features.fields import Adjustable, Setting, scaled
from structiot.meross.features.freshness import stamp_of
from structiot.meross.features.subdevice import (
    DIGEST_HUB,
    SubAbout,
    SubFeature,
    SubPoll,
    TableSubFeature,
)
from structiot.meross.wire.payloads import Item, items_of, object_of
from structiot.model import Command, Entity, Sensor, State

__all__ = ["CLIMATE_SENSORS", "ClimateSensor", "SensorAdjustment"]

CLIMATE_SENSORS: Final = ("ms100", "ms100f", "ms120", "ms130")

ALL: Final = "Appliance.Hub.Sensor.All"
_LATEST: Final = "Appliance.Hub.Sensor.Latest"
_TEMP_HUM: Final = "Appliance.Hub.Sensor.TempHum"
_LATEST_X: Final = "Appliance.Control.Sensor.LatestX"
_ADJUST: Final = "Appliance.Hub.Sensor.Adjust"

_HUNDREDTHS: Final = ("ms120", "ms130")
# At ten times, more than these 60 degrees are a hundred times.
_MOST_TENTHS: Final = 600

_Sample = tuple[object, object]


class ClimateSensor(SubFeature):
    """Temperature, humidity, and where it tells them light and battery voltage."""

    name = "climate"
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {DIGEST_HUB, ALL, _LATEST, _TEMP_HUM, _LATEST_X}
    )
    polls: ClassVar[tuple[SubPoll, ...]] = (SubPoll(namespace=ALL),)

    def __init__(self, about: SubAbout) -> None:
        super().__init__(about)
        self._has_hundredths = about.kind in _HUNDREDTHS
        self._found: dict[str, Entity] = {
            name: _SENSORS[name] for name in ("temperature", "humidity")
        }

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What it senses."""
        return tuple(self._found.values())

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read what it has measured, if that is newer than what is known."""
        states: dict[str, State | None] = {}
        before = len(self._found)
        for name, (value, time) in self._samples(namespace, item).items():
            state = self._state(name, namespace, value)
            stamp = stamp_of(time, at_utc)
            is_old = namespace == DIGEST_HUB
            if state is not None and self.freshness.is_newest(
                name, stamp, is_old=is_old
            ):
                self._found.setdefault(name, _SENSORS[name])
                states[name] = state
        return Update(states=states, entities_changed=len(self._found) != before)

    def _samples(self, namespace: str, item: Item) -> Mapping[str, _Sample]:
        if namespace == DIGEST_HUB:
            return _of_digest(item, self.about.kind)
        if namespace == _TEMP_HUM:
            time = item.get("latestTime") or item.get("syncedTime")
            return {
                "temperature": (item.get("latestTemperature"), time),
                "humidity": (item.get("latestHumidity"), time),
            }
        if namespace == _LATEST_X:
            return _of_latest_x(object_of(item, "data"))
        names = (
            ("latest", "latestSampleTime") if namespace == ALL else ("sample", "time")
        )
        return {
            name: (found.get(names[0]), found.get(names[1]))
            for name in ("temperature", "humidity")
            for found in [object_of(item, name)]
        }

    def _state(self, name: str, namespace: str, value: object) -> State | None:
        if name == "humidity":
            return scaled(value, 10, 0, 100)
        if name == "light":
            return scaled(value, 1, 0, 200_000)
        if name == "voltage":
            return scaled(value, 1000, 0.1, 100)
        is_tenths = not self._has_hundredths or namespace in {_LATEST, _TEMP_HUM}
        if namespace == _LATEST_X:
            is_tenths = False
        number = number_of(value)
        if self._has_hundredths and number is not None and abs(number) > _MOST_TENTHS:
            is_tenths = False
        return scaled(value, 10 if is_tenths else 100, -50, 150)


def _of_digest(item: Item, kind: str) -> Mapping[str, _Sample]:
    shared = object_of(item, "tempHumi")
    if shared:
        time = shared.get("latestTime")
        return {
            "temperature": (shared.get("temp"), time),
            "humidity": (shared.get("humi"), time),
        }
    own = object_of(item, kind) or object_of(item, "ms100")
    time = own.get("latestTime")
    return {
        "temperature": (own.get("latestTemperature"), time),
        "humidity": (own.get("latestHumidity"), time),
        "voltage": (own.get("voltage"), time),
    }


def _of_latest_x(data: Item) -> Mapping[str, _Sample]:
    found: dict[str, _Sample] = {}
    for key, name in (
        ("temp", "temperature"),
        ("humi", "humidity"),
        ("light", "light"),
    ):
        samples = items_of(data, key)[:64]
        if samples:
            newest = max(samples, key=lambda s: number_of(s.get("timestamp")) or 0.0)
            found[name] = (newest.get("value"), newest.get("timestamp"))
    return found


def _sensor(name: str, unit: str, device_class: str) -> Sensor:
    return Sensor(
        key=name,
        name=name.capitalize(),
        device_class=device_class,
        category="diagnostic" if name == "voltage" else None,
        unit=unit,
        state_class="measurement",
        decimals=2 if name == "voltage" else 0 if name == "light" else 1,
    )


_SENSORS: Final = {
    "temperature": _sensor("temperature", "°C", "temperature"),
    "humidity": _sensor("humidity", "%", "humidity"),
    "light": _sensor("light", "lx", "illuminance"),
    "voltage": _sensor("voltage", "V", "voltage"),
}


def _offset(name: str, unit: str, most: float) -> Adjustable:
    return Adjustable(
        key=f"{name}_adjustment",
        path=(name,),
        name=f"{name.capitalize()} adjustment",
        category="config",
        scale=10,
        minimum=-most,
        maximum=most,
        step=0.1,
        unit=unit,
        ends=("", ""),
    )


class SensorAdjustment(TableSubFeature):
    """`Sensor.Adjust`: what is added to what is measured.

    An order holds the difference to what is set already, and the hub adds it: such an
    order never goes out twice, and none does before it is known what is set.
    """

    name = "adjustment"
    namespaces: ClassVar[frozenset[str]] = frozenset({_ADJUST})
    polls: ClassVar[tuple[SubPoll, ...]] = (SubPoll(namespace=_ADJUST, pace="slow"),)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            namespace=_ADJUST,
            fields=(_offset("temperature", "°C", 10), _offset("humidity", "%", 20)),
        ),
    )

    def __init__(self, about: SubAbout) -> None:
        super().__init__(about)
        self._tenths: dict[str, int] = {}

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read what is set."""
        update = super().take_item(namespace, item, at_utc)
        for name in ("temperature", "humidity"):
            state = update.states.get(f"{name}_adjustment")
            if isinstance(state, int | float):
                self._tenths[name] = round(state * 10)
        return update

    def acknowledged(
        self,
        namespace: str,
        asked: Item,
        item: Item | None,  # noqa: ARG002 - may be what was asked
        at_utc: datetime,
    ) -> Update:
        """Add what was asked to what was set."""
        total = {
            name: number + (number_of(asked.get(name)) or 0)
            for name, number in self._tenths.items()
            if name in asked
        }
        return self.take_item(namespace, total, at_utc)

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request] | None:
        """Change an adjustment by what it takes.

        Raises:
            UsageError: It is not known yet what is set.
        """
        if not self.table.has(key):
            return super().command(key, command, at_utc)
        name = key.removesuffix("_adjustment")
        if name not in self._tenths:
            raise UsageError(
                f"{key} cannot be set before the sensor has told what it is"
            )
        difference = round((number_of(command) or 0.0) * 10) - self._tenths[name]
        if not difference:
            return []
        return [self.order(_ADJUST, {name: difference}, is_relative=True)]
