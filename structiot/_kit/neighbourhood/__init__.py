"""What this machine knows of the networks around it: a seam of its own.

Sockets go through `structiot._kit.network`; which networks the machine is part of, and
which hardware address it has seen behind an address, no socket tells. Everything that
wants to know takes `neighbourhood: Neighbourhood | None = None`, where None is the
system's for real sockets and nothing for a network in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface
from typing import Protocol

from structiot._kit.neighbourhood.system import SystemNeighbourhood
from structiot._kit.network import Network, RealNetwork

__all__ = [
    "NO_NEIGHBOURHOOD",
    "SYSTEM_NEIGHBOURHOOD",
    "Neighbourhood",
    "SystemNeighbourhood",
    "broadcast_addresses",
    "neighbourhood_of",
]

_EVERYWHERE = "255.255.255.255"
# Two addresses (or one) are a line between two machines: there is no broadcast.
_LONGEST_PREFIX = 30


class Neighbourhood(Protocol):
    """The networks around this machine; nothing here blocks or raises."""

    async def interfaces(self) -> Sequence[IPv4Interface]:
        """Give the machine's own IPv4 addresses, each with its network."""
        ...

    async def mac_of(self, address: str) -> str | None:
        """Give the hardware address behind an IPv4 address, if the machine knows it.

        Six pairs of hex digits; None for an address beyond the machine's own
        networks, for one that nobody has talked to lately, and for a name.
        """
        ...


class _NoNeighbourhood:
    async def interfaces(self) -> Sequence[IPv4Interface]:
        return ()

    async def mac_of(self, address: str) -> str | None:  # noqa: ARG002 - of nobody
        return None


NO_NEIGHBOURHOOD: Neighbourhood = _NoNeighbourhood()
SYSTEM_NEIGHBOURHOOD: Neighbourhood = SystemNeighbourhood()


def neighbourhood_of(network: Network) -> Neighbourhood:
    """Give what is around a network: the system's if its sockets are real."""
    is_real = isinstance(network, RealNetwork)
    return SYSTEM_NEIGHBOURHOOD if is_real else NO_NEIGHBOURHOOD


async def broadcast_addresses(neighbourhood: Neighbourhood) -> tuple[str, ...]:
    """Give where to ask everybody: each network's broadcast address and the general one.

    The general one, 255.255.255.255, leaves by one interface alone. Loopback and
    networks of fewer than four addresses have no broadcast.
    """
    found = [
        str(interface.network.broadcast_address)
        for interface in await neighbourhood.interfaces()
        if interface.network.prefixlen <= _LONGEST_PREFIX and not interface.is_loopback
    ]
    return (*dict.fromkeys(found), _EVERYWHERE)
