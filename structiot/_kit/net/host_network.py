"""What this machine knows of the networks around it: a seam of its own.

Sockets go through `structiot._kit.net.network`; which networks the machine is part of, and
which hardware address it has seen behind an address, no socket tells. Everything that
wants to know takes `host_network: HostNetwork | None = None`, where None is the
system's for real sockets and nothing for a network in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface
from typing import Protocol

from structiot._kit.net.network import Network, RealNetwork
from structiot._kit.net.system_host import SystemHostNetwork

__all__ = [
    "NO_HOST_NETWORK",
    "SYSTEM_HOST_NETWORK",
    "HostNetwork",
    "SystemHostNetwork",
    "broadcast_addresses",
    "host_network_of",
]

_EVERYWHERE = "255.255.255.255"
# Two addresses (or one) are a line between two machines: there is no broadcast.
_LONGEST_PREFIX = 30


class HostNetwork(Protocol):
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


class _NoHostNetwork:
    async def interfaces(self) -> Sequence[IPv4Interface]:
        return ()

    async def mac_of(self, address: str) -> str | None:  # noqa: ARG002 - of nobody
        return None


NO_HOST_NETWORK: HostNetwork = _NoHostNetwork()
SYSTEM_HOST_NETWORK: HostNetwork = SystemHostNetwork()


def host_network_of(network: Network) -> HostNetwork:
    """Give what is around a network: the system's if its sockets are real."""
    is_real = isinstance(network, RealNetwork)
    return SYSTEM_HOST_NETWORK if is_real else NO_HOST_NETWORK


async def broadcast_addresses(host_network: HostNetwork) -> tuple[str, ...]:
    """Give where to ask everybody: each network's broadcast address and the general one.

    The general one, 255.255.255.255, leaves by one interface alone. Loopback and
    networks of fewer than four addresses have no broadcast.
    """
    found = [
        str(interface.network.broadcast_address)
        for interface in await host_network.interfaces()
        if interface.network.prefixlen <= _LONGEST_PREFIX and not interface.is_loopback
    ]
    return (*dict.fromkeys(found), _EVERYWHERE)
