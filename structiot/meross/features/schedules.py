"""Weekly schedules of thermostats and valves, as they are read and written.

Facts: reference 4.10 and 4.12. A day is a list of slots, each so many minutes long; the
minutes of a day sum up to 1440.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from structiot._kit.json_text import text_of
from structiot.errors import UsageError
from structiot.meross.features.feature import Request
from structiot.meross.features.fields import celsius
from structiot.meross.features.figures import whole_of
from structiot.meross.features.requests import order, question
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of

__all__ = [
    "SCHEDULE",
    "SCHEDULE_B",
    "VALVE_SCHEDULE",
    "VALVE_SCHEDULE_B",
    "WEEKDAYS",
    "Schedule",
    "Slot",
    "ask_schedule",
    "read_schedules",
    "write_schedule",
]

SCHEDULE: Final = "Appliance.Control.Thermostat.Schedule"
SCHEDULE_B: Final = "Appliance.Control.Thermostat.ScheduleB"
VALVE_SCHEDULE: Final = "Appliance.Hub.Mts100.Schedule"
VALVE_SCHEDULE_B: Final = "Appliance.Hub.Mts100.ScheduleB"
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SCALES: Final = {
    SCHEDULE: 10,
    SCHEDULE_B: 100,
    VALVE_SCHEDULE: 10,
    VALVE_SCHEDULE_B: 10,
}
_MINUTES_OF_A_DAY: Final = 1440
_MOST_SLOTS: Final = 48
_MOST_SCHEDULES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A part of a day.

    Attributes:
        minutes: How long it lasts.
        target_c: The target; that for heating, of devices with two.
        cool_target_c: The target for cooling, of devices with two.
    """

    minutes: int
    target_c: float
    cool_target_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A week.

    Attributes:
        days: The slots of each day, by `WEEKDAYS`.
        channel: The thermostat's channel.
        subdevice: The valve's id, of a hub; None for a thermostat.
        section: How many slots a day has at most, by the device's words.
    """

    days: Mapping[str, tuple[Slot, ...]]
    channel: int = 0
    subdevice: str | None = None
    section: int | None = None


def ask_schedule(
    namespace: str, *, channel: int = 0, subdevice: str | None = None
) -> Request:
    """Give the question for a schedule, of a thermostat's channel or of a valve."""
    return question(namespace, [_whose(channel, subdevice)])


def read_schedules(namespace: str, payload: Payload) -> tuple[Schedule, ...]:
    """Read the schedules of an answer; days that do not sum up to 1440 are left out."""
    scale = _SCALES.get(namespace)
    if scale is None:
        return ()
    items = items_of(payload, key_of(namespace))[:_MOST_SCHEDULES]
    return tuple(_read(item, scale) for item in items)


def write_schedule(namespace: str, schedule: Schedule) -> Request:
    """Give the order that sets a schedule.

    Raises:
        UsageError: No namespace of schedules, a day that is none, more slots than the
            device has, or minutes that do not sum up to 1440.
    """
    scale = _SCALES.get(namespace)
    if scale is None:
        raise UsageError(f"{namespace} has no schedules")
    days = {day: _written(schedule, day, scale) for day in schedule.days}
    item: dict[str, object] = {**_whose(schedule.channel, schedule.subdevice), **days}
    if schedule.section is not None:
        item["section"] = schedule.section
    return order(namespace, [item])


def _whose(channel: int, subdevice: str | None) -> dict[str, object]:
    return {"channel": channel} if subdevice is None else {"id": subdevice}


def _read(item: Item, scale: int) -> Schedule:
    days = {day: _slots(item.get(day), scale) for day in WEEKDAYS}
    sub_id = text_of(item.get("id"))
    return Schedule(
        days={day: slots for day, slots in days.items() if slots},
        channel=channel_of(item),
        subdevice=sub_id[:32] if sub_id else None,
        section=whole_of(item.get("section"), 1, _MOST_SLOTS),
    )


def _slots(value: object, scale: int) -> tuple[Slot, ...]:
    if not isinstance(value, list) or len(value) > _MOST_SLOTS:
        return ()
    slots = tuple(slot for entry in value if (slot := _slot(entry, scale)) is not None)
    return slots if len(slots) == len(value) and _sums_up(slots) else ()


def _slot(entry: object, scale: int) -> Slot | None:
    if not isinstance(entry, list) or not 2 <= len(entry) <= 3:
        return None
    minutes = whole_of(entry[0], 0, _MINUTES_OF_A_DAY)
    target_c = celsius(entry[1], scale)
    cool_c = celsius(entry[2], scale) if len(entry) == 3 else None
    if minutes is None or target_c is None:
        return None
    return Slot(minutes=minutes, target_c=target_c, cool_target_c=cool_c)


def _written(schedule: Schedule, day: str, scale: int) -> list[list[int]]:
    slots = schedule.days[day]
    if day not in WEEKDAYS:
        raise UsageError(f"{day} is no day; there are {', '.join(WEEKDAYS)}")
    if len(slots) > (schedule.section or _MOST_SLOTS):
        raise UsageError(f"{day} has {len(slots)} slots, of {schedule.section} at most")
    if not _sums_up(slots):
        total = sum(slot.minutes for slot in slots)
        raise UsageError(f"the slots of {day} last {total} minutes, not 1440")
    return [
        [slot.minutes, round(slot.target_c * scale)]
        + ([] if slot.cool_target_c is None else [round(slot.cool_target_c * scale)])
        for slot in slots
    ]


def _sums_up(slots: tuple[Slot, ...]) -> bool:
    is_positive = all(slot.minutes >= 0 for slot in slots)
    return is_positive and sum(slot.minutes for slot in slots) == _MINUTES_OF_A_DAY
