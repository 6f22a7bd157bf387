"""Sensors of leaking water (ms400, ms405). Facts: reference 4.12."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.feature import Happened, Update
from structiot.meross.features.freshness import stamp_of
from structiot.meross.features.subdevice import (
    DIGEST_HUB,
    SubAbout,
    SubFeature,
    SubPoll,
)
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import BinarySensor, Entity, Event

__all__ = ["LEAK_SENSORS", "LeakSensor"]

LEAK_SENSORS: Final = ("ms400", "ms405")

_ALL: Final = "Appliance.Hub.Sensor.All"
_LEAK: Final = "Appliance.Hub.Sensor.WaterLeak"


class LeakSensor(SubFeature):
    """Whether it is wet, and that it became so."""

    name = "leak"
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, _ALL, _LEAK})
    polls: ClassVar[tuple[SubPoll, ...]] = (SubPoll(namespace=_ALL),)

    def __init__(self, about: SubAbout) -> None:
        super().__init__(about)
        self._is_wet: bool | None = None

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Whether it is wet, and the event."""
        return (
            BinarySensor(key="leak", device_class="moisture"),
            Event(key="leak_event", name="Leak", event_types=("leak", "dry")),
        )

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read the contact, if that is newer than what is known."""
        found = item if namespace == _LEAK else object_of(item, "waterLeak")
        # The digest's is not known for sure, but may be as that of the door.
        status = integer_of(found.get("latestWaterLeak", found.get("status")))
        time = found.get("latestSampleTime", found.get("lmTime"))
        stamp = stamp_of(time, at_utc)
        if status not in (0, 1) or not self.freshness.is_newest(
            "leak", stamp, is_old=namespace == DIGEST_HUB
        ):
            return Update()
        before, self._is_wet = self._is_wet, status == 1
        happened = Happened(
            key="leak_event",
            event_type="leak" if self._is_wet else "dry",
            at_utc=at_utc,
        )
        is_news = before is not None and before != self._is_wet
        return Update(
            states={"leak": self._is_wet}, happened=(happened,) if is_news else ()
        )
