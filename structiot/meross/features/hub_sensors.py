"""Batteries, and sensors on a hub that tell one number: doors, leaks, smoke.

Facts: reference 4.12.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from structiot.errors import UsageError
from structiot.meross.features.feature import About, Happened, Request, Update
from structiot.meross.features.fields import (
    Field,
    Flag,
    Measured,
    Named,
    Occurring,
    Pressed,
    Setting,
    Switched,
    value_at,
)
from structiot.meross.features.samples import DIGEST_HUB, Sample, SampledFeature
from structiot.meross.features.subdevice import SubFeature
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import Command

__all__ = [
    "SENSOR_ALL",
    "Battery",
    "DoorSensor",
    "HubSensor",
    "LeakSensor",
    "SmokeAlarm",
]

SENSOR_ALL: Final = "Appliance.Hub.Sensor.All"
_DOOR: Final = "Appliance.Hub.Sensor.DoorWindow"
_LEAK: Final = "Appliance.Hub.Sensor.WaterLeak"
_SMOKE: Final = "Appliance.Hub.Sensor.Smoke"
# Spelled in several ways.
_TIMES: Final = ("latestSampleTime", "lmTime", "lmtime")


class Battery(SubFeature):
    """Charge in percent; 4294967295 is unknown, as is all that is no percentage."""

    name = "battery"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Hub.Battery",)
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            "battery",
            ("value",),
            category="diagnostic",
            device_class="battery",
            lowest=0,
            highest=100,
            unit="%",
            decimals=0,
            tells_unknown=True,
        ),
    )


class HubSensor(SubFeature, SampledFeature):
    """A sensor with a namespace of its own, whose item also is an object in others.

    Attributes:
        object_key: What that object is called.
        watched: The key whose changes are told as events, if any.
    """

    object_key: ClassVar[str]
    watched: ClassVar[str] = ""

    def __init__(self, about: About) -> None:
        own = Setting(self.abilities[0], self.fields, pace=None)
        self.settings: Sequence[Setting] = (own, Setting(SENSOR_ALL, pace="live"))
        super().__init__(about)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read it; tell what has changed as an event, too."""
        before = self.known(self.watched)
        update = super().take(namespace, payload, at_utc)
        now = self.known(self.watched)
        if before is None or now is None or before == now:
            return update
        return replace(update, happened=self.happened(int(now), at_utc))

    def happened(
        self,
        now: int,  # noqa: ARG002 - nothing is watched
        at_utc: datetime,  # noqa: ARG002
    ) -> tuple[Happened, ...]:
        """Give what it means that the watched number has become another."""
        return ()

    def part(self, namespace: str, item: Item) -> Item:
        """Give what an item says of it."""
        is_own = namespace == self.abilities[0]
        return item if is_own else object_of(item, self.object_key)

    def samples(self, namespace: str, item: Item) -> Iterable[Sample]:
        """Give what an item says of it; all of that is from one time."""
        found = self.part(namespace, item)
        time = next((found[name] for name in _TIMES if name in found), None)
        return [Sample(f, value_at(found, f.path), time) for f in self.fields]


class DoorSensor(HubSensor):
    """Whether a door or a window is open."""

    name = "door"
    abilities: ClassVar[tuple[str, ...]] = (_DOOR,)
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, SENSOR_ALL, _DOOR})
    object_key = "doorWindow"
    fields: ClassVar[tuple[Field, ...]] = (
        Flag("door", ("status",), name=None, device_class="opening", known=(0, 1)),
    )


class LeakSensor(HubSensor):
    """Whether it is wet, and that it became so."""

    name = "leak"
    abilities: ClassVar[tuple[str, ...]] = (_LEAK,)
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, SENSOR_ALL, _LEAK})
    object_key = "waterLeak"
    watched = "leak"
    fields: ClassVar[tuple[Field, ...]] = (
        Flag(
            "leak",
            ("latestWaterLeak",),
            name=None,
            device_class="moisture",
            known=(0, 1),
        ),
        Occurring("leak_event", name="Leak", event_types=("leak", "dry")),
    )

    def part(self, namespace: str, item: Item) -> Item:
        """The digest's is not known for sure, but may be as that of a door."""
        found = super().part(namespace, item)
        return {"latestWaterLeak": found.get("status"), **found}

    def happened(self, now: int, at_utc: datetime) -> tuple[Happened, ...]:
        """Wet or dry again."""
        event_type = "leak" if now else "dry"
        return (Happened(key="leak_event", event_type=event_type, at_utc=at_utc),)


_SAYS: Final = {
    17: "temperature_fault",
    18: "smoke_fault",
    19: "battery_fault",
    20: "temperature_fault_muted",
    21: "smoke_fault_muted",
    22: "battery_fault_muted",
    23: "self_test",
    24: "heat",
    25: "smoke",
    26: "heat_muted",
    27: "smoke_muted",
    170: "fine",
}
_SELF_TEST: Final = 23
_MUTED: Final = {17: 20, 18: 21, 19: 22, 24: 26, 25: 27}
_EVENTS: Final = {
    **_SAYS,
    **dict.fromkeys((17, 18, 19), "fault"),
    **dict.fromkeys(_MUTED.values(), "muted"),
}


def _status(
    key: str, *on: int, name: str | None = "", of_device: str | None = None
) -> Flag:
    return Flag(
        key,
        ("status",),
        name=name,
        device_class=of_device,
        category="diagnostic" if key in {"fault", "muted"} else None,
        on=on,
        known=_SAYS,
    )


class SmokeAlarm(HubSensor):
    """Smoke, heat and faults (gs559, gs559a); it can be muted and tested."""

    name = "smoke"
    abilities: ClassVar[tuple[str, ...]] = (_SMOKE,)
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, SENSOR_ALL, _SMOKE})
    object_key = "smokeAlarm"
    watched = "smoke_status"
    fields: ClassVar[tuple[Field, ...]] = (
        _status("smoke", 25, 27, name=None, of_device="smoke"),
        _status("heat", 24, 26, of_device="heat"),
        _status("fault", *range(17, 23), of_device="problem"),
        _status("muted", *_MUTED.values()),
        Named(
            "smoke_status",
            ("status",),
            name="Status",
            category="diagnostic",
            device_class="enum",
            options=_SAYS,
        ),
        Pressed("mute", value=0),
        Pressed("self_test", ("status",), category="diagnostic", value=_SELF_TEST),
        Occurring(
            "smoke_alarm",
            name="Alarm",
            event_types=("heat", "smoke", "self_test", "fault", "fine", "muted"),
        ),
        Switched("alarm_group", ("interConn",), category="config"),
    )

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Mute it, test it, or put it into the group.

        Raises:
            UsageError: There is nothing to mute.
        """
        if key != "mute":
            return super().command(key, command, at_utc)
        status = int(self.known(self.watched) or 0)
        if status not in _MUTED:
            said = _SAYS.get(status, "nothing yet")
            raise UsageError(f"there is nothing to mute: the smoke alarm says {said}")
        return [self.order(0, {"status": _MUTED[status]})]

    def happened(self, now: int, at_utc: datetime) -> tuple[Happened, ...]:
        """Tell which alarm or fault there is, or that one has been muted."""
        data, event_type = {"status": _SAYS[now]}, _EVENTS[now]
        return (
            Happened(
                key="smoke_alarm", event_type=event_type, data=data, at_utc=at_utc
            ),
        )
