"""Alarms that a device passes on, and those of its own. Facts: reference 4.4 and 4.9."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.feature import Feature, Happened, Update
from structiot.meross.features.figures import label_of, utc_of, whole_of
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of
from structiot.model import Entity, Event

__all__ = ["Alarms", "OverTemperature"]

ALARM: Final = "Appliance.Control.Alarm"
OVER_TEMP: Final = "Appliance.Control.OverTemp"
_MAX_ALARMS: Final = 16
_MAX_SOURCES: Final = 16


class Alarms(Feature):
    """Alarms of others, such as of smoke detectors that are connected with it."""

    name = "alarm"
    abilities: ClassVar[tuple[str, ...]] = (ALARM,)
    namespaces: ClassVar[frozenset[str]] = frozenset({ALARM})

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Describe an event."""
        return (
            Event(
                key=self.name,
                name="Alarm",
                icon="mdi:alarm-light",
                event_types=("alarm", "cleared"),
            ),
        )

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read what has happened, newest last as it came."""
        happened = [
            one
            for item in items_of(payload, "alarm")[:_MAX_ALARMS]
            for one in self._read(item, at_utc)
        ]
        return Update(happened=tuple(happened[:_MAX_ALARMS]))

    def _read(self, item: Item, at_utc: datetime) -> Sequence[Happened]:
        found = []
        for what, detail in _events_of(item):
            value = whole_of(detail.get("value"), 0, 0xFFFF_FFFF)
            if value is None:
                continue
            sources = [
                source
                for one in items_of(detail, "source")[:_MAX_SOURCES]
                if (source := label_of(one.get("subId"))) is not None
            ]
            found.append(
                Happened(
                    key=self.name,
                    event_type="alarm" if value else "cleared",
                    data={
                        "channel": channel_of(item),
                        "kind": what,
                        "value": value,
                        "sources": sources,
                    },
                    at_utc=utc_of(detail.get("timestamp")) or at_utc,
                )
            )
        return found


def _events_of(item: Item) -> Sequence[tuple[str, Item]]:
    events = item.get("event")
    if not isinstance(events, dict):
        return []
    named = [(label_of(name), detail) for name, detail in events.items()]
    known = [(n, d) for n, d in named if n is not None and isinstance(d, dict)]
    return known[:_MAX_ALARMS]


class OverTemperature(Feature):
    """That it has got too hot."""

    name = "over_temperature"
    abilities: ClassVar[tuple[str, ...]] = (OVER_TEMP,)
    namespaces: ClassVar[frozenset[str]] = frozenset({OVER_TEMP})

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Describe an event."""
        return (
            Event(
                key=self.name,
                name="Over-temperature",
                category="diagnostic",
                icon="mdi:thermometer-alert",
                event_types=("too_hot",),
            ),
        )

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Each item is one time; what else it tells is not known."""
        happened = [
            Happened(
                key=self.name,
                event_type="too_hot",
                data={"channel": channel_of(item)},
                at_utc=at_utc,
            )
            for item in items_of(payload, "overTemp")[:_MAX_ALARMS]
            if item
        ]
        return Update(happened=tuple(happened))
