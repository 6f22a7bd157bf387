"""What is set once and then left. Facts: reference 4.2 and 4.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.feature import About, Request, entity_key
from structiot.meross.features.fields import Adjustable, Field, Measured, Pace, Switched
from structiot.meross.features.figures import whole_of
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item
from structiot.model import Entity, State

__all__ = ["ChildLock", "Overheating", "PowerRetention", "Standby", "StatusLight"]

CHILD_LOCK: Final = "Appliance.Control.PhysicalLock"
DND_MODE: Final = "Appliance.System.DNDMode"
OVER_TEMP: Final = "Appliance.Config.OverTemp"
POWER_RETENTION: Final = "Appliance.Control.PowerRetention"
STANDBY_KILLER: Final = "Appliance.Config.StandbyKiller"


class StatusLight(ChannelFeature):
    """The light on the device; Meross calls it off "do not disturb"."""

    name = "status_light"
    abilities: ClassVar[tuple[str, ...]] = (DND_MODE,)
    namespaces: ClassVar[frozenset[str]] = frozenset({DND_MODE})
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            key="status_light",
            path=("mode",),
            name="Status light",
            category="config",
            icon="mdi:led-on",
            on=(0,),
            off=1,
        ),
    )
    is_certain = True
    is_list = False
    has_channel = False


class ChildLock(ChannelFeature):
    """The buttons on the device, and whether they work."""

    name = "child_lock"
    abilities: ClassVar[tuple[str, ...]] = (CHILD_LOCK,)
    namespaces: ClassVar[frozenset[str]] = frozenset({CHILD_LOCK})
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            key="child_lock",
            path=("onoff",),
            name="Child lock",
            category="config",
            icon="mdi:lock",
        ),
    )
    asks: ClassVar[Method | None] = Method.PUSH
    is_certain = True


class _WholeFeature(ChannelFeature):
    """A feature whose orders repeat all that is known of a channel.

    Attributes:
        members: What is repeated, if it was told.
    """

    members: ClassVar[tuple[str, ...]]

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._known: dict[int, dict[str, int]] = {}

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Read an item, and remember it."""
        known = self._known.setdefault(channel, {})
        for name in self.members:
            value = whole_of(item.get(name), -1, 10_000_000)
            if value is not None:
                known[name] = value
        return super().read(namespace, item, channel, at_utc)

    def order(self, channel: int, members: Item) -> Request:
        """Give the order with what else is known."""
        return super().order(channel, {**self._known.get(channel, {}), **members})


class Overheating(_WholeFeature):
    """Whether it switches off when it gets too hot; -1 where it cannot."""

    name = "overheating_protection"
    abilities: ClassVar[tuple[str, ...]] = (OVER_TEMP,)
    namespaces: ClassVar[frozenset[str]] = frozenset({OVER_TEMP})
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            key="overheating_protection",
            path=("enable",),
            name="Overheating protection",
            category="config",
            icon="mdi:thermometer-alert",
            off=2,
        ),
    )
    members: ClassVar[tuple[str, ...]] = ("enable", "type")
    is_list = False
    has_channel = False

    def accepts(self, item: Item, channel: int) -> bool:
        """It has no channels."""
        return channel == 0 and super().accepts(item, channel)


class Standby(_WholeFeature):
    """Whether it switches off what takes little for long, and what that is."""

    name = "standby_killer"
    abilities: ClassVar[tuple[str, ...]] = (STANDBY_KILLER,)
    namespaces: ClassVar[frozenset[str]] = frozenset({STANDBY_KILLER})
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            key="standby_killer",
            path=("enable",),
            name="Switch off standby",
            category="config",
            icon="mdi:power-sleep",
            off=2,
        ),
        Adjustable(
            key="standby_power_w",
            path=("power",),
            name="Standby power",
            category="config",
            device_class="power",
            unit="W",
            scale=1000,
            lowest=0,
            highest=10_000,
            minimum=0,
            maximum=100,
            step=0.1,
        ),
        Adjustable(
            key="standby_time_s",
            path=("time",),
            name="Standby time",
            category="config",
            device_class="duration",
            unit="s",
            lowest=0,
            highest=10_000_000,
            minimum=1,
            maximum=86_400,
            step=1,
        ),
    )
    members: ClassVar[tuple[str, ...]] = ("power", "time", "enable", "alert")

    def question(self) -> Payload:
        """Ask for channel 0: there are none with more."""
        return {"config": [{"channel": 0}]}

    def entities_of(self, channel: int) -> Iterable[Entity]:
        """Describe the switch, and the limits that were told."""
        known = self._known.get(channel, {})
        missing = {
            entity_key(field.key, channel)
            for field in self.fields[1:]
            if field.path[0] not in known
        }
        entities = super().entities_of(channel)
        return [entity for entity in entities if entity.key not in missing]


class PowerRetention(ChannelFeature):
    """What it does after a power cut, by the device's number: nobody knows their names."""

    name = "power_retention"
    abilities: ClassVar[tuple[str, ...]] = (POWER_RETENTION,)
    namespaces: ClassVar[frozenset[str]] = frozenset({POWER_RETENTION})
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            key="power_retention",
            path=("state",),
            name="After a power cut",
            category="diagnostic",
            is_enabled=False,
            icon="mdi:power-plug-off",
            lowest=0,
            highest=255,
            unit=None,
            state_class=None,
        ),
    )
    pace: ClassVar[Pace] = "once"

    def question(self) -> Payload:
        """Ask for channel 0."""
        return {"powerRetention": [{"channel": 0}]}
