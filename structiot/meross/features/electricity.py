"""Power, voltage and current, as they are now. Facts: reference 4.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import MAX_CHANNELS, ChannelFeature, title
from structiot.meross.features.consumption import CONSUMPTION, CONSUMPTION_X
from structiot.meross.features.energy_days import (
    DayCounter,
    read_daily_energy,
)
from structiot.meross.features.feature import (
    About,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Measured
from structiot.meross.features.toggles import TOGGLES, Toggles
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of
from structiot.model import Entity, Reading, State

__all__ = ["Electricity"]

ELECTRICITY: Final = "Appliance.Control.Electricity"
ELECTRICITY_X: Final = "Appliance.Control.ElectricityX"
# What Refoss's meters call all channels.
_ALL_CHANNELS: Final = 65_535


_POWER: Final = Measured(
    key="power_w",
    path=("power",),
    name="Power",
    device_class="power",
    scale=1000,
    lowest=-50_000,
    highest=50_000,
    unit="W",
    decimals=1,
)
_CURRENT: Final = Measured(
    key="current_a",
    path=("current",),
    name="Current",
    device_class="current",
    scale=1000,
    lowest=-500,
    highest=500,
    unit="A",
    decimals=3,
)
_MILLIVOLTS: Final = Measured(
    key="voltage_v",
    path=("voltage",),
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
    key="power_factor",
    path=("factor",),
    name="Power factor",
    device_class="power_factor",
    lowest=-1,
    highest=1,
    unit=None,
    decimals=2,
)
_MONTH: Final = Measured(
    key="energy_month_wh",
    path=("mConsume",),
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

    name = "electricity"
    abilities: ClassVar[tuple[str, ...]] = (ELECTRICITY_X, ELECTRICITY)
    namespaces: ClassVar[frozenset[str]] = frozenset(
        {*abilities, CONSUMPTION, CONSUMPTION_X, *TOGGLES}
    )

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._is_many = ELECTRICITY_X in about.abilities
        self._namespace = ELECTRICITY_X if self._is_many else ELECTRICITY
        self._figures = _FIGURES[self._namespace]
        if not self._is_many:
            self._channels.add(0)
        self._toggles = Toggles(about)
        self._today = DayCounter(about.zone)
        self._today_wh: float | None = None

    @property
    def polls(self) -> Sequence[Poll]:
        """The figures of all channels; they are hardly ever pushed."""
        payload: Payload = {"electricity": {}}
        if self._is_many:
            payload = {"electricity": [{"channel": _ALL_CHANNELS}]}
        return [
            Poll(
                request=Request(
                    method=Method.GET, namespace=self._namespace, payload=payload
                )
            )
        ]

    def entities_of(self, channel: int) -> tuple[Entity, ...]:
        """Describe a sensor for each figure."""
        return tuple(
            figure.entity(
                entity_key(figure.key, channel),
                title(self.about, channel, figure.name),
                None,
            )
            for figure in self._figures
        )

    def accepts(self, item: Item, channel: int) -> bool:
        """An answer that names all channels is of none."""
        return channel != _ALL_CHANNELS and item.get("power") is not None

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:  # noqa: ARG002
        """Note what is on, for the readings."""
        self._toggles.take_digest(digest)
        return Update()

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read the figures; of the other namespaces note what readings tell too."""
        if namespace in TOGGLES:
            self._toggles.take(namespace, payload)
            return Update()
        if namespace in {CONSUMPTION, CONSUMPTION_X}:
            days = read_daily_energy(payload)
            self._today_wh = self._today.today_wh(days, at_utc)
            return Update()
        if namespace != self._namespace:
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
    ) -> Mapping[str, State | None]:
        """Give each figure; None for one that is not told or cannot be."""
        return {
            entity_key(figure.key, channel): figure.of(item) for figure in self._figures
        }

    def _reading(self, item: Item, channel: int, at_utc: datetime) -> Reading:
        voltage = _MILLIVOLTS if self._is_many else _DECIVOLTS
        return Reading(
            device=self.about.device,
            channel=channel,
            at_utc=at_utc,
            is_on=self._toggles.is_on.get(channel),
            power_w=_POWER.of(item),
            current_a=_CURRENT.of(item),
            voltage_v=voltage.of(item),
            energy_wh=_MONTH.of(item) if self._is_many else self._today_wh,
        )
