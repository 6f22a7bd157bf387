"""Asking a device for everything that identifies it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import anyio

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.errors import ConnectFailed, PeerError, TransportError
from structiot.maxsmart.identifiers import DeviceIdentifiers, identifiers_from
from structiot.maxsmart.link.datagrams import udp_address
from structiot.maxsmart.link.strip import StripLink, is_hang_up, unasked_link
from structiot.maxsmart.values import DiscoveredMaxSmart
from structiot.maxsmart.wire.codec_data import read_identifiers
from structiot.maxsmart.wire.messages import Identifiers, ReadIdentifiers

__all__ = ["Identification", "arp_mac_of", "identify_maxsmart"]

_REPLY_S = 2.0
_AT_A_TIME = 32

_log = logging.getLogger(__name__)


async def identify_maxsmart(
    host: str,
    *,
    port: int = 80,
    udp_port: int = 8888,
    reply_s: float = _REPLY_S,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> DeviceIdentifiers:
    """Ask one device for all that identifies it: CPU id, MAC, serial.

    The CPU id comes from the device by HTTP (only Max Hauri's firmware tells it), the
    serial and a MAC from its answer to a discovery, by which it sets its clock, and
    another MAC from this machine's neighbour table, which knows devices in the
    machine's own networks alone. Nothing of that blocks the event loop.

    Args:
        host: Address or name of the device.
        port: Its HTTP port.
        udp_port: Its port for discovery.
        reply_s: Longest wait for one reply, in seconds.
        environment: Network, host network, clock and chance; the system's by default.

    Returns:
        What was learnt; `.best` is the most trusted of it, `.ranked` all in order.

    Raises:
        ConnectFailed: Nobody answers at `host`.

    Example:
        >>> identifiers = await identify_maxsmart("192.168.1.100")
        >>> identifiers.best.text
        'cpu_0123456789ABCDEF01234567'
    """
    link = unasked_link(
        host,
        port=port,
        udp_port=udp_port,
        reply_s=reply_s,
        environment=environment,
    )
    reason = "it does not say who it is"
    discovery, hardware = None, None
    is_there = True
    try:
        discovery = await link.who_is_there()
    except TransportError as exc:
        reason = str(exc)
    try:
        hardware = await _hardware(link)
    except TransportError as exc:
        is_there = discovery is not None or is_hang_up(exc)
        reason = f"{reason}; {exc}"
    if not is_there:
        message = f"no MaxSmart device answers at {host}: {reason}"
        raise ConnectFailed(message, host=host, port=port)
    return identifiers_from(
        host,
        discovery=discovery,
        hardware=hardware,
        arp_mac=await arp_mac_of(host, environment),
    )


class Identification:
    """Asks many discovered devices at once, so that a silent one delays nobody."""

    def __init__(
        self,
        *,
        http_port: int,
        udp_port: int,
        environment: Environment,
    ) -> None:
        self._http_port = http_port
        self._udp_port = udp_port
        self._environment = environment
        self._turns = anyio.CapacityLimiter(_AT_A_TIME)

    async def identified(
        self, devices: Iterable[DiscoveredMaxSmart]
    ) -> list[DiscoveredMaxSmart]:
        """Give the same devices with all their identifiers, in the same order."""
        found = list(devices)

        async def ask(position: int) -> None:
            async with self._turns:
                found[position] = await self._identified(found[position])

        async with anyio.create_task_group() as tg:
            for position in range(len(found)):
                tg.start_soon(ask, position, name="structiot.maxsmart.identify")
        return found

    async def _identified(self, device: DiscoveredMaxSmart) -> DiscoveredMaxSmart:
        link = unasked_link(
            device.host,
            port=self._http_port,
            udp_port=self._udp_port,
            reply_s=_REPLY_S,
            environment=self._environment,
        )
        link.serial = device.serial
        hardware = None
        try:
            hardware = await _hardware(link)
        except TransportError as exc:
            _log.debug("%s does not tell its CPU id: %s", device.host, exc)
        identifiers = identifiers_from(
            device.host,
            hardware=hardware,
            arp_mac=await arp_mac_of(device.host, self._environment),
        )
        told = device.identifiers
        identifiers = replace(identifiers, mac=told.mac, serial=told.serial)
        return replace(device, identifiers=identifiers)


async def _hardware(link: StripLink) -> Identifiers | None:
    try:
        return read_identifiers(await link.ask(ReadIdentifiers()))
    except PeerError as exc:
        _log.debug("%s does not tell its CPU id: %s", link.host, exc)
        return None


async def arp_mac_of(host: str, environment: Environment) -> str | None:
    """Look up a host's hardware address; None if nobody here knows it."""
    try:
        address = await udp_address(host, environment.network)
        return await environment.host_network.mac_of(address)
    except TransportError as exc:
        _log.debug("%s has no address to look up: %s", host, exc)
        return None
