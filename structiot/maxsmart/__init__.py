"""MaxSmart and Revogi power strips and plugs in the local network.

    async with maxsmart_device("192.168.1.100") as strip:
        await strip.turn_on(1)

`discover_maxsmart()` finds them. No cloud, no account: whoever is in the network may
switch them.
"""

from __future__ import annotations

from structiot._device.changes import Change as StripChange
from structiot._device.changes import PowerChanged, StateChanged
from structiot.maxsmart.device import MaxSmartStrip
from structiot.maxsmart.discovery import (
    DiscoveredMaxSmart,
    Discovery,
    discover_maxsmart,
)
from structiot.maxsmart.errors import MaxSmartRefused, SwitchStuck
from structiot.maxsmart.health import StripHealth
from structiot.maxsmart.identification import (
    DeviceIdentifiers,
    Identifier,
    identify_maxsmart,
)
from structiot.maxsmart.info import StripInfo
from structiot.maxsmart.opening import maxsmart_device
from structiot.maxsmart.readings import StripData
from structiot.maxsmart.statistics import EnergyPoint, StripStatistics
from structiot.maxsmart.wire.capabilities import CAPABILITIES, Capability

__all__ = [
    "CAPABILITIES",
    "Capability",
    "DeviceIdentifiers",
    "DiscoveredMaxSmart",
    "Discovery",
    "EnergyPoint",
    "Identifier",
    "MaxSmartRefused",
    "MaxSmartStrip",
    "PowerChanged",
    "StateChanged",
    "StripChange",
    "StripData",
    "StripHealth",
    "StripInfo",
    "StripStatistics",
    "SwitchStuck",
    "discover_maxsmart",
    "identify_maxsmart",
    "maxsmart_device",
]
