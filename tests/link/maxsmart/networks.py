"""Networks in memory for the tests of discovery: fleets, dead ends, neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Interface

from structiot import Environment
from structiot._kit.net.network import Address, UdpSocket
from structiot.errors import TransportError
from structiot.sim import FAMILIES, MaxSmartSim, sim_maxsmart_fleet
from structiot.testing import MemoryNetwork

ALL_FAMILIES = list(FAMILIES)


@asynccontextmanager
async def fleet(count: int = 5, network: MemoryNetwork | None = None):
    network = network or MemoryNetwork()
    async with sim_maxsmart_fleet(
        count,
        family=ALL_FAMILIES,
        environment=Environment(network=network),
        broadcast=False,
    ) as found:
        yield network, found.sims


def hosts(devices) -> list[str]:
    return sorted(device.host for device in devices)


async def nothing_is_open(
    network: MemoryNetwork, *, but: Sequence[MaxSmartSim]
) -> bool:
    """Whether every place that has sent something but those can be bound anew."""
    theirs = {(sim.host, sim.udp_port) for sim in but}
    places = {source for _, source, _ in network.datagrams} - theirs
    for host, port in places:
        async with network.open_udp(host, port):
            pass
    return bool(places)


class NoRoute(MemoryNetwork):
    """A network in which some addresses cannot be sent to."""

    def __init__(self, *unreachable: str, subnets: Sequence[str] = ()) -> None:
        super().__init__(subnets=subnets)
        self.unreachable = unreachable

    @asynccontextmanager
    async def open_udp(self, host=None, port=0, *, may_broadcast=False):
        async with super().open_udp(host, port, may_broadcast=may_broadcast) as udp:
            yield _Picky(udp, self.unreachable)


class _Picky:
    def __init__(self, udp: UdpSocket, unreachable: tuple[str, ...]) -> None:
        self._udp = udp
        self._unreachable = unreachable
        self.address = udp.address

    async def send(self, data: bytes, host: str, port: int) -> None:
        if host in self._unreachable:
            raise TransportError(
                f"cannot send to {host}:{port}: network is unreachable"
            )
        await self._udp.send(data, host, port)

    async def receive(self) -> tuple[bytes, Address]:
        return await self._udp.receive()


class Around:
    """A host_network that knows what it is told.

    Attributes:
        asked: The addresses whose hardware address was looked up.
    """

    def __init__(
        self, interfaces: Sequence[str] = (), macs: Mapping[str, str] | None = None
    ) -> None:
        self.asked: list[str] = []
        self._interfaces = [IPv4Interface(text) for text in interfaces]
        self._macs = macs or {}

    async def interfaces(self) -> Sequence[IPv4Interface]:
        return self._interfaces

    async def mac_of(self, address: str) -> str | None:
        self.asked.append(address)
        return self._macs.get(address)
