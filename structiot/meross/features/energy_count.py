"""What a meter's power has come to since the device was opened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from structiot.energy import EnergyMeter
from structiot.meross.features.channels import title
from structiot.meross.features.electricity import Electricity
from structiot.meross.features.feature import About, Feature, Update, entity_key
from structiot.meross.wire.envelope import Payload
from structiot.model import Entity, Sensor

__all__ = ["EnergyCount"]

# Through the cloud a meter is asked every three minutes; a lost answer is bridged.
_MAX_GAP_S: Final = 450.0


class EnergyCount(Feature):
    """Energy by channel, summed up of the power that is read; a gateway makes totals of it.

    What is fed back is not counted, and what happened while nothing was read is not made
    up. What the device itself has counted is told by `DayConsumption`.
    """

    name = "energy"
    abilities: ClassVar[tuple[str, ...]] = Electricity.abilities
    namespaces: ClassVar[frozenset[str]] = Electricity.namespaces

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._electricity = Electricity(about)
        self._meter = EnergyMeter(max_gap_s=_MAX_GAP_S)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """A counter for each channel."""
        return tuple(
            Sensor(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, "Energy"),
                device_class="energy",
                unit="kWh",
                state_class="total_increasing",
                decimals=3,
            )
            for channel in self._electricity.channels
        )

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Note what is on."""
        self._electricity.take_digest(digest, at_utc)
        return Update()

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Sum up what the meter tells."""
        told = self._electricity.take(namespace, payload, at_utc)
        states = {}
        for reading in told.readings:
            power_w = None if reading.power_w is None else max(0.0, reading.power_w)
            self._meter.add(replace(reading, power_w=power_w))
            energy_wh = self._meter.energy_wh(channel=reading.channel)
            # Whole watt-hours, so that they are told only now and then.
            key = entity_key(self.name, reading.channel)
            states[key] = math.floor(energy_wh) / 1000
        return Update(states=states, entities_changed=told.entities_changed)
