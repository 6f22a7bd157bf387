"""Power, voltage and current, as they are now, and what meters are set to.

Facts: reference 4.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import MAX_CHANNELS, ChannelFeature, States
from structiot.meross.features.energy_days import (
    CONSUMPTION,
    CONSUMPTION_X,
    DayCounter,
    read_daily_energy,
)
from structiot.meross.features.feature import About, Update, entity_key
from structiot.meross.features.fields import Field, Measured, Pace, Setting
from structiot.meross.features.toggles import TOGGLES, Toggles
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of
from structiot.model import Reading

__all__ = ["CircuitFactors", "Electricity", "MeterLimits"]

ELECTRICITY: Final = "Appliance.Control.Electricity"
ELECTRICITY_X: Final = "Appliance.Control.ElectricityX"
# What Refoss's meters call all channels.
_ALL_CHANNELS: Final = 65_535


_POWER: Final = Measured(
    "power_w",
    ("power",),
    name="Power",
    device_class="power",
    scale=1000,
    lowest=-50_000,
    highest=50_000,
    unit="W",
    decimals=1,
)
_CURRENT: Final = Measured(
    "current_a",
    ("current",),
    name="Current",
    device_class="current",
    scale=1000,
    lowest=-500,
    highest=500,
    unit="A",
    decimals=3,
)
_MILLIVOLTS: Final = Measured(
    "voltage_v",
    ("voltage",),
    name="Voltage",
    device_class="voltage",
    scale=1000,
    lowest=0,
    highest=600,
    unit="V",
    decimals=1,
)
_DECIVOLTS: Final = replace(_MILLIVOLTS, scale=10)
_FACTOR: Final = Measured(
    "power_factor",
    ("factor",),
    device_class="power_factor",
    lowest=-1,
    highest=1,
    unit=None,
    decimals=2,
)
_MONTH: Final = Measured(
    "energy_month_wh",
    ("mConsume",),
    name="Energy this month",
    device_class="energy",
    lowest=-50_000_000,
    highest=50_000_000,
    unit="Wh",
    decimals=0,
    state_class="total",
)
_FIGURES: Final = {
    ELECTRICITY: (_POWER, _DECIVOLTS, _CURRENT),
    ELECTRICITY_X: (_POWER, _MILLIVOLTS, _CURRENT, _FACTOR, _MONTH),
}


class Electricity(ChannelFeature):
    """The meter. Negative power is export.

    A reading has the energy that the device has counted, where it counts: this month's
    of `ElectricityX`, else today's.
    """

    is_metered = True
    name = "electricity"
    abilities: ClassVar[tuple[str, ...]] = (ELECTRICITY_X, ELECTRICITY)
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {*abilities, CONSUMPTION, CONSUMPTION_X, *TOGGLES}
    )

    def __init__(self, about: About) -> None:
        self._is_many = ELECTRICITY_X in about.abilities
        self._namespace = ELECTRICITY_X if self._is_many else ELECTRICITY
        self._figures = _FIGURES[self._namespace]
        self.settings: Sequence[Setting] = [
            Setting(self._namespace, self._figures, pace="live")
        ]
        super().__init__(about)
        self._channels = set() if self._is_many else {0}
        self._toggles = Toggles(about)
        self._today = DayCounter(about.zone)
        self._today_wh: float | None = None

    def question(self) -> Payload:
        """Ask for the figures of all channels; they are hardly ever pushed."""
        return {"electricity": [{"channel": _ALL_CHANNELS}] if self._is_many else {}}

    def accepts(self, item: Item, channel: int) -> bool:
        """An answer that names all channels is of none."""
        return channel != _ALL_CHANNELS and item.get("power") is not None

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:  # noqa: ARG002
        """Note what is on, for the readings."""
        self._toggles.take(self._toggles.namespace, digest)
        return Update()

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the figures; of the other namespaces note what readings tell too."""
        if namespace != self._namespace:
            self._toggles.take(namespace, payload)
            if namespace in {CONSUMPTION, CONSUMPTION_X}:
                days = read_daily_energy(payload)
                self._today.zone = self.about.zone
                self._today_wh = self._today.today_wh(days, at_utc)
            return Update()
        update = super().take(namespace, payload, at_utc)
        readings = [
            self._reading(item, channel_of(item), at_utc)
            for item in items_of(payload, key_of(namespace))
            if channel_of(item) in self._channels
        ]
        return replace(update, readings=tuple(readings[:MAX_CHANNELS]))

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> States:
        """Give each figure; None for one that is not told or cannot be."""
        return {entity_key(each.key, channel): each.of(item) for each in self._figures}

    def _reading(self, item: Item, channel: int, at_utc: datetime) -> Reading:
        figures = {each.key: each.of(item) for each in self._figures}
        month_wh = figures.get("energy_month_wh")
        return Reading(
            device=self.about.device,
            channel=channel,
            at_utc=at_utc,
            is_on=self._toggles.is_on.get(channel),
            power_w=figures["power_w"],
            current_a=figures["current_a"],
            voltage_v=figures["voltage_v"],
            energy_wh=month_wh if self._is_many else self._today_wh,
        )


class MeterLimits(ChannelFeature):
    """What the meter is set to: the current at which the device switches off."""

    name = "max_current_a"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.ConsumptionConfig",)
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            "max_current_a",
            ("maxElectricityCurrent",),
            name="Maximum current",
            device_class="current",
            category="diagnostic",
            is_enabled=False,
            scale=1000,
            lowest=0,
            highest=500,
            unit="A",
            decimals=1,
            state_class=None,
        ),
    )
    pace: ClassVar[Pace] = "once"


class CircuitFactors(ChannelFeature):
    """By what a meter multiplies the figures of a channel."""

    name = "circuit_factor"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.CircuitFactor",)
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            "circuit_factor",
            ("factor",),
            category="diagnostic",
            is_enabled=False,
            icon="mdi:multiplication",
            lowest=-1000,
            highest=1000,
            unit=None,
            state_class=None,
        ),
    )
    asked: ClassVar[object] = [{"channel": _ALL_CHANNELS}]
    pace: ClassVar[Pace] = "once"

    def accepts(self, item: Item, channel: int) -> bool:
        """Let through what is of one channel."""
        return channel != _ALL_CHANNELS and super().accepts(item, channel)
