"""What is set once and then left. Facts: reference 4.2 and 4.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import (
    ChannelFeature,
    channel_of_key,
    title,
)
from structiot.meross.features.feature import About, Poll, Request, entity_key
from structiot.meross.features.figures import whole_of
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import Item, key_of
from structiot.model import Command, Entity, Number, Sensor, State, Switch

__all__ = ["ChildLock", "Overheating", "PowerRetention", "Standby", "StatusLight"]

CHILD_LOCK: Final = "Appliance.Control.PhysicalLock"
DND_MODE: Final = "Appliance.System.DNDMode"
OVER_TEMP: Final = "Appliance.Config.OverTemp"
POWER_RETENTION: Final = "Appliance.Control.PowerRetention"
STANDBY_KILLER: Final = "Appliance.Config.StandbyKiller"


class _SwitchSetting(ChannelFeature):
    """A setting that is on or off.

    Attributes:
        what: What people call it.
        icon: Its icon.
        field: Where it stands in an item.
        off_on: What the wire calls off and on.
    """

    what: ClassVar[str]
    icon: ClassVar[str]
    field: ClassVar[str] = "onoff"
    off_on: ClassVar[tuple[int, int]] = (0, 1)

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe a switch among the settings."""
        return [
            Switch(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, self.what),
                category="config",
                icon=self.icon,
            )
        ]

    def is_on(self, item: Item) -> bool | None:
        """Read it; None for what is neither off nor on."""
        value = whole_of(item.get(self.field), 0, 255)
        return self.off_on.index(value) == 1 if value in self.off_on else None

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read whether it is on."""
        is_on = self.is_on(item)
        return {} if is_on is None else {entity_key(self.name, channel): is_on}

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Set it."""
        channel = channel_of_key(key, self.name)
        return [self.order(channel, {self.field: self.off_on[command is True]})]

    def order(self, channel: int, fields: Mapping[str, object]) -> Request:
        """Give the order for fields of a channel."""
        namespace = self.abilities[0]
        payload = {key_of(namespace): [{"channel": channel, **fields}]}
        return Request(method=Method.SET, namespace=namespace, payload=payload)


class StatusLight(_SwitchSetting):
    """The light on the device; Meross calls it off "do not disturb"."""

    name = "status_light"
    abilities: ClassVar[tuple[str, ...]] = (DND_MODE,)
    namespaces: ClassVar[frozenset[str]] = frozenset({DND_MODE})
    is_certain = True
    what = "Status light"
    icon = "mdi:led-on"
    field = "mode"
    off_on: ClassVar[tuple[int, int]] = (1, 0)

    @property
    def polls(self) -> Sequence[Poll]:
        """It is never pushed."""
        request = Request(method=Method.GET, namespace=DND_MODE)
        return [Poll(request=request, pace="slow")]

    def order(self, channel: int, fields: Mapping[str, object]) -> Request:  # noqa: ARG002
        """It has no channels."""
        payload = {key_of(DND_MODE): dict(fields)}
        return Request(method=Method.SET, namespace=DND_MODE, payload=payload)


class ChildLock(_SwitchSetting):
    """The buttons on the device, and whether they work."""

    name = "child_lock"
    abilities: ClassVar[tuple[str, ...]] = (CHILD_LOCK,)
    namespaces: ClassVar[frozenset[str]] = frozenset({CHILD_LOCK})
    is_certain = True
    what = "Child lock"
    icon = "mdi:lock"

    @property
    def polls(self) -> Sequence[Poll]:
        """It is asked for by an empty PUSH."""
        request = Request(method=Method.PUSH, namespace=CHILD_LOCK)
        return [Poll(request=request, pace="slow")]


class Overheating(_SwitchSetting):
    """Whether it switches off when it gets too hot; -1 where it cannot."""

    name = "overheating_protection"
    abilities: ClassVar[tuple[str, ...]] = (OVER_TEMP,)
    namespaces: ClassVar[frozenset[str]] = frozenset({OVER_TEMP})
    what = "Overheating protection"
    icon = "mdi:thermometer-alert"
    field = "enable"
    off_on: ClassVar[tuple[int, int]] = (2, 1)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._type: int | None = None

    @property
    def polls(self) -> Sequence[Poll]:
        """It is never pushed."""
        request = Request(method=Method.GET, namespace=OVER_TEMP)
        return [Poll(request=request, pace="slow")]

    def accepts(self, item: Item, channel: int) -> bool:
        """It has no channels, and many devices do not have it."""
        return channel == 0 and self.is_on(item) is not None

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Read it, and how it is done, which an order repeats."""
        kind = whole_of(item.get("type"), -1, 255)
        self._type = self._type if kind is None else kind
        return super().read(namespace, item, channel, at_utc)

    def order(self, channel: int, fields: Mapping[str, object]) -> Request:  # noqa: ARG002
        """It has no channels."""
        known = {} if self._type is None else {"type": self._type}
        payload = {key_of(OVER_TEMP): {**fields, **known}}
        return Request(method=Method.SET, namespace=OVER_TEMP, payload=payload)


class Standby(_SwitchSetting):
    """Whether it switches off what takes little for long, and what that is."""

    name = "standby_killer"
    abilities: ClassVar[tuple[str, ...]] = (STANDBY_KILLER,)
    namespaces: ClassVar[frozenset[str]] = frozenset({STANDBY_KILLER})
    what = "Switch off standby"
    icon = "mdi:power-sleep"
    field = "enable"
    off_on: ClassVar[tuple[int, int]] = (2, 1)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._known: dict[int, dict[str, int]] = {}

    @property
    def polls(self) -> Sequence[Poll]:
        """Those of channel 0: there are none with more."""
        payload = {key_of(STANDBY_KILLER): [{"channel": 0}]}
        request = Request(method=Method.GET, namespace=STANDBY_KILLER, payload=payload)
        return [Poll(request=request, pace="slow")]

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe the switch and its limits."""
        known = self._known.get(channel, {})
        limits = [
            Number(
                key=entity_key(key, channel),
                name=title(self.about, channel, what),
                device_class=device_class,
                category="config",
                minimum=0 if field == "power" else 1,
                maximum=most,
                step=0.1 if field == "power" else 1,
                unit=unit,
            )
            for key, (field, what, device_class, unit, most, _) in _LIMITS.items()
            if field in known
        ]
        return [*super().entities_of(channel), *limits]

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """An answer may be of nothing but the channel."""
        return self.is_on(item) is not None

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Read the switch and its limits, which an order repeats."""
        known = self._known.setdefault(channel, {})
        states = dict(super().read(namespace, item, channel, at_utc))
        for field in ("power", "time", "enable", "alert"):
            value = whole_of(item.get(field), 0, 10_000_000)
            if value is not None:
                known[field] = value
        for key, (field, *_, scale) in _LIMITS.items():
            if field in known:
                states[entity_key(key, channel)] = known[field] / scale
        return states

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Set the switch or a limit; the device wants all of them together."""
        for name, (field, *_, scale) in _LIMITS.items():
            if key.startswith(name) and isinstance(command, int | float):
                channel = channel_of_key(key, name)
                return [self.order(channel, {field: round(command * scale)})]
        return super().command(key, command, at_utc)

    def order(self, channel: int, fields: Mapping[str, object]) -> Request:
        """Give the order with what else is known."""
        return super().order(channel, {**self._known.get(channel, {}), **fields})


# By key: field, name, device class, unit, the most, and the wire's scale.
_LIMITS: Final = {
    "standby_power_w": ("power", "Standby power", "power", "W", 100, 1000),
    "standby_time_s": ("time", "Standby time", "duration", "s", 86_400, 1),
}


class PowerRetention(ChannelFeature):
    """What it does after a power cut, by the device's number: nobody knows their names."""

    name = "power_retention"
    abilities: ClassVar[tuple[str, ...]] = (POWER_RETENTION,)
    namespaces: ClassVar[frozenset[str]] = frozenset({POWER_RETENTION})

    @property
    def polls(self) -> Sequence[Poll]:
        """It is hardly ever changed."""
        payload = {key_of(POWER_RETENTION): [{"channel": 0}]}
        request = Request(method=Method.GET, namespace=POWER_RETENTION, payload=payload)
        return [Poll(request=request, pace="once")]

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """Let through what has a number."""
        return whole_of(item.get("state"), 0, 255) is not None

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe a sensor for those who know."""
        return [
            Sensor(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, "After a power cut"),
                category="diagnostic",
                is_enabled=False,
                icon="mdi:power-plug-off",
            )
        ]

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read the number."""
        return {entity_key(self.name, channel): whole_of(item.get("state"), 0, 255)}
