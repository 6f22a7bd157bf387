"""Meross in the gateway: its section of the configuration, its driver, a simulated account."""

from __future__ import annotations

from structiot.gateway.drivers.meross.driver import MerossDriver
from structiot.gateway.drivers.meross.section import (
    MerossDeviceSection,
    MerossLimitsSection,
    MerossSection,
)

__all__ = [
    "MerossDeviceSection",
    "MerossDriver",
    "MerossLimitsSection",
    "MerossSection",
]
