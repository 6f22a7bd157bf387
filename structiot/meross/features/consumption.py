"""What a device has used by its own count. Facts: reference 4.6."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import MAX_CHANNELS, ChannelFeature
from structiot.meross.features.energy_days import (
    DailyEnergy,
    DayCounter,
    HourlyEnergy,
    read_daily_energy,
    read_hourly_energy,
)
from structiot.meross.features.feature import (
    About,
    Feature,
    Poll,
    Request,
    Update,
)
from structiot.meross.features.fields import Field, Measured, Pace
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import channel_of, items_of, key_of
from structiot.model import Entity, Sensor

__all__ = ["DayConsumption", "HourConsumption", "MeterLimits", "days_request"]

CONSUMPTION: Final = "Appliance.Control.Consumption"
CONSUMPTION_CONFIG: Final = "Appliance.Control.ConsumptionConfig"
CONSUMPTION_H: Final = "Appliance.Control.ConsumptionH"
CONSUMPTION_X: Final = "Appliance.Control.ConsumptionX"
_MOST_A: Final = 500_000.0


def days_request(about: About) -> Request | None:
    """Give the question for the energy of each day; None if it has no such memory."""
    for namespace in (CONSUMPTION_X, CONSUMPTION):
        if namespace in about.abilities:
            payload: Payload = {key_of(namespace): []}
            return Request(method=Method.GET, namespace=namespace, payload=payload)
    return None


class DayConsumption(Feature):
    """The energy of today, and of the days before.

    Attributes:
        days: What the device told last, oldest first.
    """

    name = "energy_today_wh"
    abilities: ClassVar[tuple[str, ...]] = (CONSUMPTION_X, CONSUMPTION)
    namespaces: ClassVar[frozenset[str]] = frozenset(abilities)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.days: tuple[DailyEnergy, ...] = ()
        self._counter = DayCounter(about.zone)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """A counter that begins anew with each day of the device."""
        return (
            Sensor(
                key=self.name,
                name="Energy today",
                device_class="energy",
                unit="Wh",
                state_class="total_increasing",
                decimals=0,
            ),
        )

    @property
    def polls(self) -> Sequence[Poll]:
        """The days, now and then: it counts slowly."""
        request = days_request(self.about)
        return [Poll(request=request, pace="slow")] if request else []

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the days."""
        days = read_daily_energy(payload)
        if not days:
            return Update()
        self.days = days
        today_wh = self._counter.today_wh(days, at_utc)
        return Update() if today_wh is None else Update(states={self.name: today_wh})


class HourConsumption(Feature):
    """The energy of the last hours; it is only remembered, no entity tells it.

    Attributes:
        hours: What the device told last, by channel, oldest first.
    """

    name = "energy_hours"
    abilities: ClassVar[tuple[str, ...]] = (CONSUMPTION_H,)
    namespaces: ClassVar[frozenset[str]] = frozenset(abilities)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.hours: dict[int, tuple[HourlyEnergy, ...]] = {}

    @staticmethod
    def request(channel: int = 0) -> Request:
        """Give the question for the hours of one channel."""
        payload = {"consumptionH": [{"channel": channel}]}
        return Request(method=Method.GET, namespace=CONSUMPTION_H, payload=payload)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the hours."""
        items = items_of(payload, key_of(namespace))
        for channel in sorted({channel_of(item) for item in items})[:MAX_CHANNELS]:
            if channel in self.hours or len(self.hours) < MAX_CHANNELS:
                self.hours[channel] = read_hourly_energy(payload, channel)
        return Update()


class MeterLimits(ChannelFeature):
    """What the meter is set to: the current at which the device switches off."""

    name = "max_current_a"
    abilities: ClassVar[tuple[str, ...]] = (CONSUMPTION_CONFIG,)
    namespaces: ClassVar[frozenset[str]] = frozenset(abilities)

    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            key="max_current_a",
            path=("maxElectricityCurrent",),
            name="Maximum current",
            device_class="current",
            category="diagnostic",
            is_enabled=False,
            scale=1000,
            lowest=0,
            highest=_MOST_A / 1000,
            unit="A",
            decimals=1,
            state_class=None,
        ),
    )
    pace: ClassVar[Pace] = "once"
