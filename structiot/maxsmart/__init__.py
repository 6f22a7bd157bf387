"""MaxSmart and Revogi power strips and plugs in the local network.

    async with maxsmart_device("192.168.1.100") as strip:
        await strip.turn_on(1)

`discover_maxsmart()` finds them. No cloud, no account: whoever is in the network may
switch them.
"""

from __future__ import annotations

from structiot.maxsmart.api import MaxSmartStrip, maxsmart_device
from structiot.maxsmart.discovery import Discovery, discover_maxsmart
from structiot.maxsmart.errors import DeviceReplaced, MaxSmartRefused, SwitchStuck
from structiot.maxsmart.identifiers import DeviceIdentifiers, Identifier
from structiot.maxsmart.identify import identify_maxsmart
from structiot.maxsmart.values import DiscoveredMaxSmart, StripData, StripInfo

__all__ = [
    "DeviceIdentifiers",
    "DeviceReplaced",
    "DiscoveredMaxSmart",
    "Discovery",
    "Identifier",
    "MaxSmartRefused",
    "MaxSmartStrip",
    "StripData",
    "StripInfo",
    "SwitchStuck",
    "discover_maxsmart",
    "identify_maxsmart",
    "maxsmart_device",
]
