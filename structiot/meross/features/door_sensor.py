"""Contacts at doors and windows (ms200). Facts: reference 4.12."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from structiot._kit.json_text import integer_of
from structiot.meross.features.feature import Update
from structiot.meross.features.freshness import stamp_of
from structiot.meross.features.subdevice import DIGEST_HUB, SubFeature, SubPoll
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import BinarySensor, Entity

__all__ = ["DOOR_SENSORS", "DoorSensor"]

DOOR_SENSORS: Final = ("ms200",)

_ALL: Final = "Appliance.Hub.Sensor.All"
_DOOR: Final = "Appliance.Hub.Sensor.DoorWindow"


class DoorSensor(SubFeature):
    """Whether it is open."""

    name = "door"
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, _ALL, _DOOR})
    polls: ClassVar[tuple[SubPoll, ...]] = (SubPoll(namespace=_ALL),)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The contact."""
        return (BinarySensor(key="door", device_class="opening"),)

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:
        """Read the contact, if that is newer than what is known."""
        found = item if namespace == _DOOR else object_of(item, "doorWindow")
        status = integer_of(found.get("status"))
        stamp = stamp_of(found.get("lmTime"), at_utc)
        if status not in (0, 1) or not self.freshness.is_newest(
            "door", stamp, is_old=namespace == DIGEST_HUB
        ):
            return Update()
        return Update(states={"door": status == 1})
