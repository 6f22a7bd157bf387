"""Smoke alarms (gs559, gs559a).

Facts: reference 4.12. One number says everything; each alarm and each fault has a second
number, which is the same after it has been muted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.errors import UsageError
from structiot.meross.features.feature import Happened, Request, Update
from structiot.meross.features.fields import Setting, Switched
from structiot.meross.features.freshness import stamp_of
from structiot.meross.features.subdevice import (
    DIGEST_HUB,
    SubAbout,
    SubPoll,
    TableSubFeature,
)
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import BinarySensor, Button, Command, Entity, Event, Sensor, State

__all__ = ["SMOKE_ALARMS", "SmokeAlarm", "SmokeStatus"]

SMOKE_ALARMS: Final = ("gs559", "gs559a")

_ALL: Final = "Appliance.Hub.Sensor.All"
_SMOKE: Final = "Appliance.Hub.Sensor.Smoke"


class SmokeStatus(IntEnum):
    """What a smoke alarm says."""

    TEMPERATURE_FAULT = 17
    SMOKE_FAULT = 18
    BATTERY_FAULT = 19
    TEMPERATURE_FAULT_MUTED = 20
    SMOKE_FAULT_MUTED = 21
    BATTERY_FAULT_MUTED = 22
    SELF_TEST = 23
    HEAT = 24
    SMOKE = 25
    HEAT_MUTED = 26
    SMOKE_MUTED = 27
    FINE = 170


_KNOWN: Final = frozenset(SmokeStatus)
_MUTED: Final = {
    SmokeStatus.TEMPERATURE_FAULT: SmokeStatus.TEMPERATURE_FAULT_MUTED,
    SmokeStatus.SMOKE_FAULT: SmokeStatus.SMOKE_FAULT_MUTED,
    SmokeStatus.BATTERY_FAULT: SmokeStatus.BATTERY_FAULT_MUTED,
    SmokeStatus.HEAT: SmokeStatus.HEAT_MUTED,
    SmokeStatus.SMOKE: SmokeStatus.SMOKE_MUTED,
}
_EVENTS: Final = {
    SmokeStatus.HEAT: "heat",
    SmokeStatus.SMOKE: "smoke",
    SmokeStatus.SELF_TEST: "self_test",
    SmokeStatus.TEMPERATURE_FAULT: "fault",
    SmokeStatus.SMOKE_FAULT: "fault",
    SmokeStatus.BATTERY_FAULT: "fault",
    SmokeStatus.FINE: "fine",
}
_MUTE_EVENT: Final = "muted"
_EVENT_TYPES: Final = (*dict.fromkeys(_EVENTS.values()), _MUTE_EVENT)
_GROUP: Final = Switched(
    key="alarm_group", path=("interConn",), name="Alarm group", category="config"
)


class SmokeAlarm(TableSubFeature):
    """Smoke, heat and faults; it can be muted and tested."""

    name = "smoke"
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, _ALL, _SMOKE})
    polls: ClassVar[tuple[SubPoll, ...]] = (SubPoll(namespace=_ALL),)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(namespace=_SMOKE, fields=(_GROUP,)),
    )

    def __init__(self, about: SubAbout) -> None:
        super().__init__(about)
        self._status: SmokeStatus | None = None

    @property
    def entities(self) -> tuple[Entity, ...]:
        """All of it, then the group."""
        return (
            BinarySensor(key="smoke", device_class="smoke"),
            BinarySensor(key="heat", name="Heat", device_class="heat"),
            BinarySensor(
                key="fault", name="Fault", device_class="problem", category="diagnostic"
            ),
            BinarySensor(key="muted", name="Muted", category="diagnostic"),
            Sensor(
                key="smoke_status",
                name="Status",
                category="diagnostic",
                device_class="enum",
                options=tuple(status.name.lower() for status in SmokeStatus),
            ),
            Button(key="mute", name="Mute"),
            Button(key="self_test", name="Self test", category="diagnostic"),
            Event(key="smoke_alarm", name="Alarm", event_types=_EVENT_TYPES),
            *self.table.entities,
        )

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read the status, if that is newer than what is known, and the group."""
        found = item if namespace == _SMOKE else object_of(item, "smokeAlarm")
        # Spelled in two ways.
        stamp = stamp_of(found.get("lmTime", found.get("lmtime")), at_utc)
        if not self.freshness.is_newest("smoke", stamp, is_old=namespace == DIGEST_HUB):
            return Update()
        states: dict[str, State | None] = dict(self.table.take(_SMOKE, found).states)
        number = integer_of(found.get("status"))
        if number not in _KNOWN:
            return Update(states=states)
        before, status = self._status, SmokeStatus(number)
        self._status = status
        states.update(_states(status))
        is_news = before is not None and before != status
        happened = Happened(
            key="smoke_alarm",
            event_type=_EVENTS.get(status, _MUTE_EVENT),
            data={"status": status.name.lower()},
            at_utc=at_utc,
        )
        return Update(states=states, happened=(happened,) if is_news else ())

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request] | None:
        """Mute it, test it, or put it into the group.

        Raises:
            UsageError: There is nothing to mute.
        """
        if key == "self_test":
            return [self.order(_SMOKE, {"status": int(SmokeStatus.SELF_TEST)})]
        if key != "mute":
            return super().command(key, command, at_utc)
        muted = None if self._status is None else _MUTED.get(self._status)
        if muted is None:
            said = "nothing yet" if self._status is None else self._status.name.lower()
            raise UsageError(f"there is nothing to mute: the smoke alarm says {said}")
        return [self.order(_SMOKE, {"status": int(muted)})]


def _states(status: SmokeStatus) -> dict[str, State | None]:
    return {
        "smoke": status in {SmokeStatus.SMOKE, SmokeStatus.SMOKE_MUTED},
        "heat": status in {SmokeStatus.HEAT, SmokeStatus.HEAT_MUTED},
        "fault": SmokeStatus.TEMPERATURE_FAULT
        <= status
        <= SmokeStatus.BATTERY_FAULT_MUTED,
        "muted": status in set(_MUTED.values()),
        "smoke_status": status.name.lower(),
    }
