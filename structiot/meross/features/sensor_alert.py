"""Thresholds of sensors of temperature and humidity: `Sensor.Alert`.

Facts: reference 4.12. Rows are `[state, low, high]`, ten times as large on the wire; 0 is
off, 1 on, 2 on and alarming. All rows of a quantity go out together, so that none can be
set before they are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of, number_of
from structiot.meross.features.feature import Request, Update
from structiot.meross.features.subdevice import SubAbout, SubFeature, SubPoll
from structiot.meross.wire.payloads import Item
from structiot.model import BinarySensor, Command, Entity, Number, State, Switch

__all__ = ["AlertRow", "SensorAlert"]

_ALERT: Final = "Appliance.Hub.Sensor.Alert"
_MOST_ROWS: Final = 4
# Unit, lowest and highest threshold.
_QUANTITIES: Final = {
    "temperature": ("°C", -50.0, 100.0),
    "humidity": ("%", 0.0, 100.0),
}
_ALARMING: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """A range that is watched; numbers as on the wire."""

    state: int
    low: int
    high: int


class SensorAlert(SubFeature):
    """The rows of temperature and humidity, as far as the sensor has told them."""

    name = "alert"
    namespaces: ClassVar[frozenset[str]] = frozenset({_ALERT})
    polls: ClassVar[tuple[SubPoll, ...]] = (SubPoll(namespace=_ALERT, pace="slow"),)

    def __init__(self, about: SubAbout) -> None:
        super().__init__(about)
        self._rows: dict[str, tuple[AlertRow, ...]] = {}

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Of each row a switch and both ends, of each quantity whether it alarms."""
        return tuple(
            entity for quantity in self._rows for entity in self._entities(quantity)
        )

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the rows."""
        states: dict[str, State | None] = {}
        is_changed = False
        for quantity in _QUANTITIES:
            rows = _rows(item.get(quantity))
            if not rows:
                continue
            known = self._rows.get(quantity, ())
            is_changed = is_changed or len(known) != len(rows)
            self._rows[quantity] = rows
            alarming = any(row.state == _ALARMING for row in rows)
            states[f"{quantity}_alert"] = alarming
            for index, row in enumerate(rows):
                states[_key(quantity, "enabled", index)] = row.state != 0
                states[_key(quantity, "low", index)] = row.low / 10
                states[_key(quantity, "high", index)] = row.high / 10
        return Update(states=states, entities_changed=is_changed)

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request] | None:
        """Set one member of a row; all rows of the quantity are sent."""
        for quantity, rows in self._rows.items():
            for index in range(len(rows)):
                for column, member in enumerate(("enabled", "low", "high")):
                    if key == _key(quantity, member, index):
                        table = [[row.state, row.low, row.high] for row in rows]
                        number = round((number_of(command) or 0.0) * 10)
                        table[index][column] = number if column else int(bool(command))
                        return [self.order(_ALERT, {quantity: table})]
        return None

    def _entities(self, quantity: str) -> list[Entity]:
        unit, low, high = _QUANTITIES[quantity]
        found: list[Entity] = [
            BinarySensor(
                key=f"{quantity}_alert",
                name=f"{quantity.capitalize()} alert",
                device_class="problem",
            )
        ]
        for index in range(len(self._rows[quantity])):
            which = f" {index + 1}" if index else ""
            name = f"{quantity.capitalize()} alert{which}"
            key = _key(quantity, "enabled", index)
            found.append(Switch(key=key, name=f"{name} enabled", category="config"))
            found.extend(
                Number(
                    key=_key(quantity, end, index),
                    name=f"{name} {end}",
                    category="config",
                    minimum=low,
                    maximum=high,
                    step=0.1,
                    unit=unit,
                )
                for end in ("low", "high")
            )
        return found


def _key(quantity: str, member: str, index: int) -> str:
    return f"{quantity}_alert_{member}" + (f"_{index + 1}" if index else "")


def _rows(value: object) -> tuple[AlertRow, ...]:
    """Read rows; a quantity with one that makes no sense is not believed at all."""
    if not isinstance(value, list) or len(value) > _MOST_ROWS:
        return ()
    rows = [_row(row) for row in value]
    good = tuple(row for row in rows if row is not None)
    return good if len(good) == len(rows) else ()


def _row(value: object) -> AlertRow | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    state, low, high = (integer_of(number) for number in value)
    if state not in (0, 1, 2) or low is None or high is None:
        return None
    in_range = max(abs(low), abs(high)) <= 2000
    return AlertRow(state=state, low=low, high=high) if in_range else None
