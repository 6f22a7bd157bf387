"""What a shell offers for HOST and PORT: the devices that answer, and their ports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from structiot.cli._common.completing import WAIT_S, Offer, completer
from structiot.maxsmart import DiscoveredMaxSmart, discover_maxsmart

__all__ = ["BROADCAST", "complete_host", "complete_port", "devices_that_answer"]

# Names the addresses to ask, where those of the interfaces are not the right ones.
BROADCAST = "STRUCTIOT_MAXSMART_BROADCAST"


async def devices_that_answer(
    udp_port: int, *, within_s: float = 2.5
) -> list[DiscoveredMaxSmart]:
    """Ask the networks of this machine, or those that the environment names."""
    return await discover_maxsmart(
        window_s=within_s,
        broadcast=os.environ.get(BROADCAST, "").split() or None,
        udp_port=udp_port,
    )


@completer
async def complete_host(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the addresses of the devices that answer."""
    found = await devices_that_answer(given.get("udp_port") or 8888, within_s=WAIT_S)
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
