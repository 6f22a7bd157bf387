"""Sensors of temperature and humidity (ms100, ms100f, ms120, ms130), and their settings.

Facts: reference 4.12. Humidity is ten times as large on the wire. Temperature is ten
times as large with a ms100, and a hundred times with a ms130, though not in all of its
namespaces: what would be no temperature of a room at ten is taken at a hundred. A ms120
is read as a ms130, whose digest it shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of, number_of
from structiot.errors import UsageError
from structiot.meross.features.feature import About, Request, Update
from structiot.meross.features.fields import (
    Adjustable,
    Field,
    Flag,
    Measured,
    Pace,
    Switched,
)
from structiot.meross.features.hub_sensors import SENSOR_ALL
from structiot.meross.features.samples import (
    DIGEST_HUB,
    HUMIDITY,
    LIGHT,
    TEMPERATURE,
    Sample,
    SampledFeature,
    samples_of,
)
from structiot.meross.features.subdevice import SubFeature
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, items_of, key_of, object_of
from structiot.model import Command, Entity, State

__all__ = ["ClimateSensor", "SensorAdjustment", "SensorAlert"]

_LATEST: Final = "Appliance.Hub.Sensor.Latest"
_TEMP_HUM: Final = "Appliance.Hub.Sensor.TempHum"
_LATEST_X: Final = "Appliance.Control.Sensor.LatestX"
_ADJUST: Final = "Appliance.Hub.Sensor.Adjust"
_ALERT: Final = "Appliance.Hub.Sensor.Alert"

_HUNDREDTHS: Final = ("ms120", "ms130")
_ALARMING: Final = 2
_MOST_ROWS: Final = 4
# Unit, lowest and highest threshold.
_WATCHED: Final = {"temperature": ("°C", -50.0, 100.0), "humidity": ("%", 0.0, 100.0)}
# At ten times, more than these 60 degrees are a hundred times.
_MOST_TENTHS: Final = 600
_IN_TENTHS: Final = replace(TEMPERATURE, scale=10, is_optional=False)
_HUMIDITY: Final = replace(HUMIDITY, is_optional=False)
_VOLTAGE: Final = Measured(
    "voltage",
    device_class="voltage",
    category="diagnostic",
    scale=1000,
    lowest=0.1,
    highest=100,
    unit="V",
    decimals=2,
    is_optional=True,
)


class ClimateSensor(SubFeature, SampledFeature):
    """Temperature, humidity, and where it tells them light and battery voltage."""

    name = "climate"
    abilities: ClassVar[tuple[str, ...]] = (SENSOR_ALL,)
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {DIGEST_HUB, SENSOR_ALL, _LATEST, _TEMP_HUM, _LATEST_X}
    )
    fields: ClassVar[tuple[Field, ...]] = (_IN_TENTHS, _HUMIDITY, LIGHT, _VOLTAGE)
    pace: ClassVar[Pace] = "live"

    def samples(self, namespace: str, item: Item) -> Iterable[Sample]:
        """Give what an item tells, temperatures at the scale that they have there."""
        if namespace == _LATEST_X:
            yield from samples_of(item, ("temp", "humi", "light"))
            return
        if namespace in {SENSOR_ALL, _LATEST}:
            for field in (_IN_TENTHS, _HUMIDITY):
                found = object_of(item, field.key)
                value = found.get("latest", found.get("sample"))
                time = found.get("latestSampleTime", found.get("time"))
                yield self._sample(namespace, field, value, time)
            return
        if namespace == DIGEST_HUB:
            names = ("tempHumi", self.about.model, "ms100")
            item = next((own for n in names if (own := object_of(item, n))), {})
        time = item.get("latestTime") or item.get("syncedTime")
        temperature = item.get("latestTemperature", item.get("temp"))
        yield self._sample(namespace, _IN_TENTHS, temperature, time)
        yield Sample(_HUMIDITY, item.get("latestHumidity", item.get("humi")), time)
        yield Sample(_VOLTAGE, item.get("voltage"), time)

    def _sample(
        self, namespace: str, field: Measured, value: object, time: object
    ) -> Sample:
        if field is _IN_TENTHS and self.about.model in _HUNDREDTHS:
            number = number_of(value)
            is_large = number is not None and abs(number) > _MOST_TENTHS
            if is_large or namespace not in {_LATEST, _TEMP_HUM}:
                field = TEMPERATURE
        return Sample(field, value, time)


def _offset(name: str, unit: str, most: float) -> Adjustable:
    return Adjustable(
        f"{name}_adjustment",
        (name,),
        category="config",
        scale=10,
        minimum=-most,
        maximum=most,
        step=0.1,
        unit=unit,
        ends=("", ""),
    )


class SensorAdjustment(SubFeature):
    """`Sensor.Adjust`: what is added to what is measured.

    An order holds the difference to what is set already, and the hub adds it: such an
    order never goes out twice, and none does before it is known what is set.
    """

    name = "adjustment"
    abilities: ClassVar[tuple[str, ...]] = (_ADJUST,)
    fields: ClassVar[tuple[Field, ...]] = (
        _offset("temperature", "°C", 10),
        _offset("humidity", "%", 20),
    )

    def acknowledged(
        self,
        request: Request,
        payload: Payload,  # noqa: ARG002 - may be what was asked
        at_utc: datetime,
    ) -> Update:
        """Add what was asked to what was set."""
        key = key_of(_ADJUST)
        asked = next(iter(items_of(request.payload, key)), {})
        total = {
            field.path[0]: known + (number_of(asked.get(field.path[0])) or 0)
            for field in self.fields
            if field.path[0] in asked and (known := self.known(field.key)) is not None
        }
        return self.take(_ADJUST, {key: total}, at_utc)

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Change an adjustment by what it takes.

        Raises:
            UsageError: It is not known yet what is set.
        """
        field = next(field for field in self.fields if field.key == key)
        known = self.known(key)
        if known is None:
            raise UsageError(
                f"{key} cannot be set before the sensor has told what it is"
            )
        difference = round((number_of(command) or 0.0) * 10 - known)
        if not difference:
            return []
        return [replace(self.order(0, {field.path[0]: difference}), is_relative=True)]


def _row(quantity: str, index: int) -> tuple[Field, Field, Field]:
    """Give the fields of a range: whether it is watched, and both its ends."""
    suffix = f"_{index + 1}" if index else ""
    name = f"{quantity.capitalize()} alert{suffix.replace('_', ' ')}"
    unit, minimum, maximum = _WATCHED[quantity]
    enabled = Switched(
        f"{quantity}_alert_enabled{suffix}",
        name=f"{name} enabled",
        category="config",
        on=(1, _ALARMING),
    )
    low, high = (
        Adjustable(
            f"{quantity}_alert_{end}{suffix}",
            name=f"{name} {end}",
            category="config",
            scale=10,
            lowest=-200,
            highest=200,
            minimum=minimum,
            maximum=maximum,
            step=0.1,
            unit=unit,
        )
        for end in ("low", "high")
    )
    return enabled, low, high


class SensorAlert(SubFeature):
    """`Sensor.Alert`: ranges that are watched, as far as the sensor has told them.

    Rows are `[state, low, high]`; 0 is off, 1 on, 2 on and alarming. All rows of a
    quantity go out together, so that none can be set before they are known.
    """

    name = "alert"
    abilities: ClassVar[tuple[str, ...]] = (_ALERT,)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._tables: dict[str, list[list[int]]] = {}

    def entities_of(self, channel: int) -> Iterable[Entity]:  # noqa: ARG002
        """Of each quantity whether it alarms, of each row a switch and both ends."""
        for quantity, table in self._tables.items():
            alert = Flag(f"{quantity}_alert", device_class="problem")
            rows = [
                field for index in range(len(table)) for field in _row(quantity, index)
            ]
            for field in (alert, *rows):
                yield field.entity(field.key, field.label)

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,  # noqa: ARG002
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read the rows; a quantity with one that makes no sense is not believed."""
        states: dict[str, State | None] = {}
        for quantity in _WATCHED:
            table = _table(item.get(quantity))
            if not table:
                continue
            self._tables[quantity] = table
            states[f"{quantity}_alert"] = any(row[0] == _ALARMING for row in table)
            for index, row in enumerate(table):
                fields = zip(_row(quantity, index), row, strict=True)
                states.update({field.key: field.read(value) for field, value in fields})
        return states

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Set one member of a row; all rows of the quantity are sent."""
        for quantity, table in self._tables.items():
            for index in range(len(table)):
                for column, field in enumerate(_row(quantity, index)):
                    if field.key == key:
                        changed = [[*row] for row in table]
                        changed[index][column] = integer_of(field.write(command)) or 0
                        return [self.order(0, {quantity: changed})]
        return super().command(key, command, at_utc)


def _table(value: object) -> list[list[int]]:
    """Read rows; none if there is one that makes no sense."""
    if not isinstance(value, list) or len(value) > _MOST_ROWS:
        return []
    found = [
        [n for n in map(integer_of, row) if n is not None and abs(n) <= 2000]
        for row in value
        if isinstance(row, list)
    ]
    makes_sense = all(len(row) == 3 and row[0] in (0, 1, _ALARMING) for row in found)
    return found if makes_sense and len(found) == len(value) else []
