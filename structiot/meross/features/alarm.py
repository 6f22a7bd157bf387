"""Alarms that a device passes on, and those of its own. Facts: reference 4.4 and 4.9."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import ClassVar, Final

from structiot.meross.features.feature import Feature, Happened, Update
from structiot.meross.features.figures import label_of, utc_of, whole_of
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, object_of
from structiot.model import Entity, Event

__all__ = ["Alarms", "OverTemperature"]

_MAX_ALARMS: Final = 16
_MAX_SOURCES: Final = 16


class Alarms(Feature):
    """Alarms of others, such as of smoke detectors that are connected with it."""

    name = "alarm"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.Alarm",)
    fixed: ClassVar[tuple[Entity, ...]] = (
        Event(
            key="alarm",
            name="Alarm",
            icon="mdi:alarm-light",
            event_types=("alarm", "cleared"),
        ),
    )

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read what has happened, newest last as it came."""
        happened = (
            one
            for item in items_of(payload, "alarm")[:_MAX_ALARMS]
            for one in self._read(item, at_utc)
        )
        return Update(happened=tuple(islice(happened, _MAX_ALARMS)))

    def _read(self, item: Item, at_utc: datetime) -> Iterator[Happened]:
        events = object_of(item, "event")
        for name in list(events)[:_MAX_ALARMS]:
            detail, kind = object_of(events, name), label_of(name)
            value = whole_of(detail.get("value"), 0, 0xFFFF_FFFF)
            if value is None or kind is None:
                continue
            sources = items_of(detail, "source")[:_MAX_SOURCES]
            labels = [label_of(source.get("subId")) for source in sources]
            yield Happened(
                key=self.name,
                event_type="alarm" if value else "cleared",
                data={
                    "channel": channel_of(item),
                    "kind": kind,
                    "value": value,
                    "sources": [label for label in labels if label is not None],
                },
                at_utc=utc_of(detail.get("timestamp")) or at_utc,
            )


class OverTemperature(Feature):
    """That it has got too hot."""

    name = "over_temperature"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.OverTemp",)
    fixed: ClassVar[tuple[Entity, ...]] = (
        Event(
            key="over_temperature",
            name="Over-temperature",
            category="diagnostic",
            icon="mdi:thermometer-alert",
            event_types=("too_hot",),
        ),
    )

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Each item is one time; what else it tells is not known."""
        items = [item for item in items_of(payload, "overTemp")[:_MAX_ALARMS] if item]
        return Update(
            happened=tuple(
                Happened(
                    key=self.name,
                    event_type="too_hot",
                    data={"channel": channel_of(item)},
                    at_utc=at_utc,
                )
                for item in items
            )
        )
