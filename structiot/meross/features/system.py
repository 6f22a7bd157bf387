"""How a device itself is doing: its signal, its firmware, its connections.

Facts: reference 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.feature import (
    About,
    Feature,
    Happened,
    Poll,
    Request,
    Update,
)
from structiot.meross.features.fields import Field, Measured, Pace
from structiot.meross.features.figures import label_of, whole_of
from structiot.meross.features.requests import order, polled
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import object_of
from structiot.model import Entity, Event, Sensor, UpdateState
from structiot.model import Update as UpdateEntity

__all__ = ["Connections", "Firmware", "Signal"]

FIRMWARE: Final = "Appliance.System.Firmware"
UPGRADE: Final = "Appliance.Control.Upgrade"


class Signal(ChannelFeature):
    """How well it hears its access point; it is not pushed."""

    name = "signal"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.System.Runtime",)
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            "signal",
            ("signal",),
            name="Wi-Fi signal",
            category="diagnostic",
            icon="mdi:wifi",
            tells_unknown=True,
            lowest=0,
            highest=100,
            unit="%",
            decimals=0,
        ),
    )
    is_certain = True


class Firmware(Feature):
    """Which firmware runs, and whether an upgrade has come off.

    Attributes:
        latest: The newest that there is, when whoever can look has looked.
    """

    name = "firmware"
    abilities: ClassVar[tuple[str, ...]] = (FIRMWARE, UPGRADE)
    fixed: ClassVar[tuple[Entity, ...]] = (
        UpdateEntity(
            key="firmware",
            name="Firmware",
            device_class="firmware",
            category="diagnostic",
        ),
        Event(
            key="upgrade",
            name="Upgrade",
            category="diagnostic",
            is_enabled=False,
            icon="mdi:update",
            event_types=("finished", "failed"),
        ),
    )

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.latest: str | None = None
        self._installed = about.system.firmware

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The firmware, and what becomes of upgrades where there are some."""
        return self.fixed if UPGRADE in self.about.abilities else self.fixed[:1]

    @property
    def polls(self) -> Sequence[Poll]:
        """The version, once: it may have changed while the device was away."""
        has_it = FIRMWARE in self.about.abilities
        return [polled(FIRMWARE, pace="once")] if has_it else []

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:  # noqa: ARG002
        """Tell the version that is known."""
        state = UpdateState(installed=self._installed, latest=self.latest)
        return Update(states={self.name: state} if self._installed else {})

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the version, or what has become of an upgrade."""
        if namespace == UPGRADE:
            status = whole_of(object_of(payload, "upgradeInfo").get("status"), 0, 255)
            if status is None:
                return Update()
            what = "finished" if status == 1 else "failed"
            told = Happened(key="upgrade", event_type=what, at_utc=at_utc)
            return Update(happened=(told,))
        version = label_of(object_of(payload, "firmware").get("version"))
        self._installed = version or self._installed
        return self.take_digest({}, at_utc)

    @staticmethod
    def upgrade(url: str, md5: str) -> Request:
        """Give the order to fetch firmware and install it."""
        return order(UPGRADE, {"md5": md5, "url": url})


class _Text(Field):
    """A text, shown as it is told."""

    kind: ClassVar[type[Entity]] = Sensor

    def read(self, value: object) -> str | None:
        """Read it."""
        return label_of(value)


def _losses(key: str, path: tuple[str, str], name: str) -> Measured:
    return Measured(
        key=key,
        path=path,
        name=name,
        category="diagnostic",
        is_enabled=False,
        icon="mdi:lan-disconnect",
        lowest=0,
        highest=1_000_000_000,
        unit=None,
        state_class="total_increasing",
        decimals=0,
    )


class Connections(ChannelFeature):
    """How often it has lost its connections, and since when it runs."""

    name = "connections"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.System.Debug",)
    fields: ClassVar[tuple[Field, ...]] = (
        _losses("wifi_losses", ("network", "wifiDisconnectCount"), "Wi-Fi losses"),
        _losses("cloud_losses", ("cloud", "sysDisconnectCount"), "Cloud losses"),
        _Text(
            "uptime",
            ("system", "sysUpTime"),
            name="Running for",
            category="diagnostic",
            is_enabled=False,
            icon="mdi:clock-outline",
        ),
    )
    is_certain = True
    pace: ClassVar[Pace] = "once"
