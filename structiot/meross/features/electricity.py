"""Power, voltage and current, as they are now. Facts: reference 4.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from structiot.meross.features.figures import figure_of
from structiot.meross.features.toggles import TOGGLES, Toggles
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of
from structiot.model import Entity, Reading, Sensor, State

__all__ = ["Electricity"]

ELECTRICITY: Final = "Appliance.Control.Electricity"
ELECTRICITY_X: Final = "Appliance.Control.ElectricityX"
# What Refoss's meters call all channels.
_ALL_CHANNELS: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One figure of an item: where it stands, and what it is worth at most."""

    field: str
    key: str
    what: str
    unit: str | None
    most: float
    device_class: str
    decimals: int
    divisor: int = 1000
    can_be_negative: bool = True

    def read(self, item: Item) -> float | None:
        number = figure_of(
            item.get(self.field),
            -self.most * self.divisor if self.can_be_negative else 0.0,
            self.most * self.divisor,
        )
        return None if number is None else round(number / self.divisor, 3)

    def entity(self, about: About, channel: int) -> Sensor:
        is_count = self.device_class == "energy"
        return Sensor(
            key=entity_key(self.key, channel),
            name=title(about, channel, self.what),
            device_class=self.device_class,
            unit=self.unit,
            state_class="total" if is_count else "measurement",
            decimals=self.decimals,
        )


_POWER: Final = _Figure(
    field="power",
    key="power_w",
    what="Power",
    unit="W",
    most=50_000.0,
    device_class="power",
    decimals=1,
)
_CURRENT: Final = _Figure(
    field="current",
    key="current_a",
    what="Current",
    unit="A",
    most=500.0,
    device_class="current",
    decimals=3,
)
_MILLIVOLTS: Final = _Figure(
    field="voltage",
    key="voltage_v",
    what="Voltage",
    unit="V",
    most=600.0,
    device_class="voltage",
    decimals=1,
    can_be_negative=False,
)
_DECIVOLTS: Final = replace(_MILLIVOLTS, divisor=10)
_FACTOR: Final = _Figure(
    field="factor",
    key="power_factor",
    what="Power factor",
    unit=None,
    most=1.0,
    device_class="power_factor",
    decimals=2,
    divisor=1,
)
_MONTH: Final = _Figure(
    field="mConsume",
    key="energy_month_wh",
    what="Energy this month",
    unit="Wh",
    most=50_000_000.0,
    device_class="energy",
    decimals=0,
    divisor=1,
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
        return tuple(figure.entity(self.about, channel) for figure in self._figures)

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
            entity_key(figure.key, channel): figure.read(item)
            for figure in self._figures
        }

    def _reading(self, item: Item, channel: int, at_utc: datetime) -> Reading:
        voltage = _MILLIVOLTS if self._is_many else _DECIVOLTS
        return Reading(
            device=self.about.device,
            channel=channel,
            at_utc=at_utc,
            is_on=self._toggles.is_on.get(channel),
            power_w=_POWER.read(item),
            current_a=_CURRENT.read(item),
            voltage_v=voltage.read(item),
            energy_wh=_MONTH.read(item) if self._is_many else self._today_wh,
        )
