"""What a shell offers for HOST and PORT: the devices that answer, and their ports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from structiot.cli._common.completing import WAIT_S, Offer, completer
from structiot.maxsmart import discover_maxsmart

__all__ = ["BROADCAST", "complete_host", "complete_port"]

# Names the addresses to ask, where those of the interfaces are not the right ones.
BROADCAST = "STRUCTIOT_MAXSMART_BROADCAST"


@completer
async def complete_host(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the addresses of the devices that answer."""
    found = await discover_maxsmart(
        window_s=WAIT_S,
        broadcast=os.environ.get(BROADCAST, "").split() or None,
        udp_port=given.get("udp_port") or 8888,
    )
    return [(one.host, one.name or one.serial) for one in found]


@completer
async def complete_port(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the ports of the device at HOST, with their names."""
    if not given.get("host"):
        return []
    udp_port = given.get("udp_port") or 8888
    (device,) = await discover_maxsmart(
        given["host"], window_s=WAIT_S, udp_port=udp_port
    )
    names = ["all ports", *device.port_names]
    count = device.port_count or len(device.port_names)
    names += [f"port {n}" for n in range(len(names), count + 1)]
    return [(str(number), name) for number, name in enumerate(names)]
