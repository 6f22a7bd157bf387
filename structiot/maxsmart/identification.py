"""By what a device can be told from all others, and which of it is trusted most.

A CPU id is burnt in. A MAC belongs to the radio; the device's own word counts more
than what the neighbour table of this machine says of its address, which is a router's
where a router is between. Serials arrive corrupted from some units. An address says
nothing: the router may give it to another device tomorrow.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.net.datagrams import udp_address
from structiot._kit.redact import Secret
from structiot.errors import ConnectFailed, PeerError, TransportError
from structiot.maxsmart.link.strip import StripLink, is_hang_up
from structiot.maxsmart.wire.codec_data import normal_mac, read_identifiers
from structiot.maxsmart.wire.messages import (
    DiscoveryReply,
    Identifiers,
    ReadIdentifiers,
)

__all__ = [
    "DeviceIdentifiers",
    "Identifier",
    "IdentifierKind",
    "IdentifierSource",
    "hardware_of",
    "identifiers_from",
    "identifiers_of",
    "identify_maxsmart",
]

IdentifierKind: TypeAlias = Literal["cpu_id", "mac", "serial", "address"]
IdentifierSource: TypeAlias = Literal["hardware", "discovery", "arp", "network"]

_log = logging.getLogger(__name__)

_PREFIXES: Final = {"cpu_id": "cpu", "mac": "mac", "serial": "sn", "address": "ip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """One thing that tells a device from others.

    Attributes:
        kind: What it is.
        value: Normalised: a CPU id in upper-case hex digits, a MAC as 12 lower-case
            hex digits, a serial or an address as it is.
        source: Who says so: the `hardware` (command 124), its answer to a
            `discovery`, this machine's neighbour table (`arp`), or the `network`.
    """

    kind: IdentifierKind
    value: str
    source: IdentifierSource

    @property
    def is_reliable(self) -> bool:
        """Whether it stays with the device; an address does not."""
        return self.kind != "address"

    @property
    def text(self) -> str:
        """It as one word that tells its kind, such as `"mac_020000000001"`."""
        value = self.value
        if self.kind == "address":
            value = value.replace(".", "_").replace(":", "_")
        return f"{_PREFIXES[self.kind]}_{value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentifiers:
    """Everything that identifies a device; None for what could not be learnt.

    Attributes:
        host: Its address or name in the network.
        cpu_id: Identifier of its processor, upper-case hex digits.
        mac: Hardware address by its own word, 12 lower-case hex digits.
        arp_mac: The same by this machine's neighbour table; None for a device that is
            not in a network of this machine.
        serial: Serial number.
        plc_mac: MAC of its powerline modem, 12 lower-case hex digits.
        plc_key: Access key of its powerline modem.
        server: Host that it reports to.
    """

    host: str
    cpu_id: str | None = None
    mac: str | None = None
    arp_mac: str | None = None
    serial: str | None = None
    plc_mac: str | None = None
    plc_key: Secret | None = field(default=None, repr=False)
    server: str | None = None

    @property
    def ranked(self) -> tuple[Identifier, ...]:
        """What is known, the most trusted first: CPU id, MAC, serial, address."""
        arp_mac = None if self.arp_mac == self.mac else self.arp_mac
        told: tuple[tuple[IdentifierKind, str | None, IdentifierSource], ...] = (
            ("cpu_id", self.cpu_id, "hardware"),
            ("mac", self.mac, "discovery"),
            ("mac", arp_mac, "arp"),
            ("serial", self.serial, "discovery"),
            ("address", self.host, "network"),
        )
        return tuple(
            Identifier(kind=kind, value=value, source=source)
            for kind, value, source in told
            if value is not None
        )

    @property
    def best(self) -> Identifier:
        """The most trusted one; the address where nothing else is known."""
        return self.ranked[0]


def identifiers_from(
    host: str,
    *,
    discovery: DiscoveryReply | None = None,
    hardware: Identifiers | None = None,
    arp_mac: str | None = None,
) -> DeviceIdentifiers:
    """Bring together what different sources say about the device at `host`.

    Args:
        host: Its address or name.
        discovery: Its answer to a discovery, if it gave one.
        hardware: Its answer to command 124, if it gave one; a CPU id of up to 8
            digits, or of one digit again and again, is none.
        arp_mac: What the neighbour table says; all zeros and the like do not count.
    """
    said = discovery or DiscoveryReply()
    burnt_in = hardware or Identifiers()
    return DeviceIdentifiers(
        host=host,
        cpu_id=burnt_in.cpu_id if _tells_apart(burnt_in.cpu_id) else None,
        mac=said.mac,
        arp_mac=normal_mac(arp_mac),
        serial=said.serial,
        plc_mac=burnt_in.plc_mac,
        plc_key=burnt_in.plc_key,
        server=burnt_in.server,
    )


def _tells_apart(cpu_id: str | None) -> bool:
    return cpu_id is not None and len(cpu_id) > 8 and len(set(cpu_id)) > 1


async def identify_maxsmart(
    host: str,
    *,
    http_port: int = 80,
    udp_port: int = 8888,
    reply_s: float = 2.0,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> DeviceIdentifiers:
    """Ask one device for all that identifies it: CPU id, MAC, serial.

    The CPU id comes from the device by HTTP (only Max Hauri's firmware tells it), the
    serial and a MAC from its answer to a discovery, by which it sets its clock, and
    another MAC from this machine's neighbour table, which knows devices in the
    machine's own networks alone. Nothing of that blocks the event loop.

    Args:
        host: Address or name of the device.
        http_port: Its HTTP port.
        udp_port: Its port for discovery.
        reply_s: Longest wait for one reply, in seconds.
        environment: Network, host network, clock and chance; the system's by default.

    Returns:
        What was learnt; `.best` is the most trusted of it, `.ranked` all in order.

    Raises:
        ConnectFailed: Nobody answers at `host`.
        UsageError: An argument makes no sense.

    Example:
        >>> identifiers = await identify_maxsmart("192.168.1.100")
        >>> identifiers.best.text
        'cpu_0123456789ABCDEF01234567'
    """
    link = StripLink(
        host,
        http_port=http_port,
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
        hardware = await hardware_of(link)
    except TransportError as exc:
        is_there = discovery is not None or is_hang_up(exc)
        reason = f"{reason}; {exc}"
    if not is_there:
        message = f"no MaxSmart device answers at {host}: {reason}"
        raise ConnectFailed(message, host=host, port=http_port)
    return await identifiers_of(
        host, environment, discovery=discovery, hardware=hardware
    )


async def identifiers_of(
    host: str,
    environment: Environment,
    *,
    discovery: DiscoveryReply | None,
    hardware: Identifiers | None,
) -> DeviceIdentifiers:
    """Bring together what a device said and what the neighbour table says."""
    arp_mac = None
    try:
        address = await udp_address(host, environment.network)
        arp_mac = await environment.host_network.mac_of(address)
    except TransportError as exc:
        _log.debug("%s has no address to look up: %s", host, exc)
    return identifiers_from(
        host, discovery=discovery, hardware=hardware, arp_mac=arp_mac
    )


async def hardware_of(link: StripLink) -> Identifiers | None:
    """Ask a device for the identifiers of its hardware; None if it tells none.

    Raises:
        TransportError: It does not answer.
    """
    try:
        return read_identifiers(await link.ask(ReadIdentifiers()))
    except PeerError as exc:
        _log.debug("%s does not tell its CPU id: %s", link.host, exc)
        return None
