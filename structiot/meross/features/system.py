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
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, object_of
from structiot.model import Entity, Event, Sensor, State, UpdateState
from structiot.model import Update as UpdateEntity

__all__ = ["CircuitFactors", "Connections", "Firmware", "Signal"]

CIRCUIT_FACTOR: Final = "Appliance.Control.CircuitFactor"
DEBUG: Final = "Appliance.System.Debug"
FIRMWARE: Final = "Appliance.System.Firmware"
RUNTIME: Final = "Appliance.System.Runtime"
UPGRADE: Final = "Appliance.Control.Upgrade"
_ALL_CHANNELS: Final = 65_535
_MOST: Final = 1_000_000_000


class Signal(Feature):
    """How well it hears its access point."""

    name = "signal"
    abilities: ClassVar[tuple[str, ...]] = (RUNTIME,)
    namespaces: ClassVar[frozenset[str]] = frozenset({RUNTIME})

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Describe a sensor."""
        return (
            Sensor(
                key=self.name,
                name="Wi-Fi signal",
                category="diagnostic",
                icon="mdi:wifi",
                unit="%",
                state_class="measurement",
                decimals=0,
            ),
        )

    @property
    def polls(self) -> Sequence[Poll]:
        """It is not pushed."""
        request = Request(method=Method.GET, namespace=RUNTIME)
        return [Poll(request=request, pace="slow")]

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read it, in percent."""
        runtime = object_of(payload, "runtime")
        if "signal" not in runtime:
            return Update()
        return Update(states={self.name: whole_of(runtime["signal"], 0, 100)})


class Firmware(Feature):
    """Which firmware runs, and whether an upgrade has come off.

    Attributes:
        latest: The newest that there is, when whoever can look has looked.
    """

    name = "firmware"
    abilities: ClassVar[tuple[str, ...]] = (FIRMWARE, UPGRADE)
    namespaces: ClassVar[frozenset[str]] = frozenset(abilities)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.latest: str | None = None
        self._installed = about.system.firmware

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Describe the firmware, and what becomes of upgrades."""
        firmware = UpdateEntity(
            key=self.name,
            name="Firmware",
            device_class="firmware",
            category="diagnostic",
        )
        if UPGRADE not in self.about.abilities:
            return (firmware,)
        upgrade = Event(
            key="upgrade",
            name="Upgrade",
            category="diagnostic",
            is_enabled=False,
            icon="mdi:update",
            event_types=("finished", "failed"),
        )
        return (firmware, upgrade)

    @property
    def polls(self) -> Sequence[Poll]:
        """The version, once: it may have changed while the device was away."""
        request = Request(method=Method.GET, namespace=FIRMWARE)
        has_it = FIRMWARE in self.about.abilities
        return [Poll(request=request, pace="once")] if has_it else []

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:  # noqa: ARG002
        """Tell the version that is known."""
        return self._update()

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the version, or what has become of an upgrade."""
        if namespace == UPGRADE:
            status = whole_of(object_of(payload, "upgradeInfo").get("status"), 0, 255)
            if status is None:
                return Update()
            what = "finished" if status == 1 else "failed"
            return Update(
                happened=(Happened(key="upgrade", event_type=what, at_utc=at_utc),)
            )
        version = label_of(object_of(payload, "firmware").get("version"))
        self._installed = version or self._installed
        return self._update()

    @staticmethod
    def upgrade(url: str, md5: str) -> Request:
        """Give the order to fetch firmware and install it."""
        payload = {"upgrade": {"md5": md5, "url": url}}
        return Request(method=Method.SET, namespace=UPGRADE, payload=payload)

    def _update(self) -> Update:
        state = UpdateState(installed=self._installed, latest=self.latest)
        return Update(states={self.name: state} if self._installed else {})


class Connections(Feature):
    """How often it has lost its connections, and since when it runs."""

    name = "connections"
    abilities: ClassVar[tuple[str, ...]] = (DEBUG,)
    namespaces: ClassVar[frozenset[str]] = frozenset({DEBUG})

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Describe sensors for those who look for a fault."""
        counters = [
            Sensor(
                key=key,
                name=what,
                category="diagnostic",
                is_enabled=False,
                icon="mdi:lan-disconnect",
                state_class="total_increasing",
                decimals=0,
            )
            for key, (_, _, what) in _COUNTERS.items()
        ]
        uptime = Sensor(
            key="uptime",
            name="Running for",
            category="diagnostic",
            is_enabled=False,
            icon="mdi:clock-outline",
        )
        return (*counters, uptime)

    @property
    def polls(self) -> Sequence[Poll]:
        """All of it; once, as few want to know."""
        return [Poll(request=Request(method=Method.GET, namespace=DEBUG), pace="once")]

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read what is told."""
        states: dict[str, State | None] = {}
        for key, (part, field, _) in _COUNTERS.items():
            found = object_of(payload, "debug", part)
            if field in found:
                states[key] = whole_of(found[field], 0, _MOST)
        system = object_of(payload, "debug", "system")
        if "sysUpTime" in system:
            states["uptime"] = label_of(system["sysUpTime"])
        return Update(states=states)


_COUNTERS: Final = {
    "wifi_losses": ("network", "wifiDisconnectCount", "Wi-Fi losses"),
    "cloud_losses": ("cloud", "sysDisconnectCount", "Cloud losses"),
}


class CircuitFactors(ChannelFeature):
    """By what a meter multiplies the figures of a channel."""

    name = "circuit_factor"
    abilities: ClassVar[tuple[str, ...]] = (CIRCUIT_FACTOR,)
    namespaces: ClassVar[frozenset[str]] = frozenset({CIRCUIT_FACTOR})

    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            key="circuit_factor",
            path=("factor",),
            name="Circuit factor",
            category="diagnostic",
            is_enabled=False,
            icon="mdi:multiplication",
            lowest=-1000,
            highest=1000,
            unit=None,
            state_class=None,
        ),
    )
    pace: ClassVar[Pace] = "once"

    def question(self) -> Payload:
        """Ask for those of all channels."""
        return {"circuitFactor": [{"channel": _ALL_CHANNELS}]}

    def accepts(self, item: Item, channel: int) -> bool:
        """Let through what is of one channel."""
        return channel != _ALL_CHANNELS and super().accepts(item, channel)
