"""By what a device can be told from all others, and which of it is trusted most.

A CPU id is burnt in. A MAC belongs to the radio; the device's own word counts more
than what the neighbour table of this machine says of its address, which is a router's
where a router is between. Serials arrive corrupted from some units. An address says
nothing: the router may give it to another device tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from structiot._kit.redact import Secret
from structiot.maxsmart.wire.codec_data import normal_mac
from structiot.maxsmart.wire.messages import DiscoveryReply, Identifiers

__all__ = [
    "DeviceIdentifiers",
    "Identifier",
    "IdentifierKind",
    "IdentifierSource",
    "identifiers_from",
]

IdentifierKind: TypeAlias = Literal["cpu_id", "mac", "serial", "address"]
IdentifierSource: TypeAlias = Literal["hardware", "discovery", "arp", "network"]

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
        return tuple(self._known())

    @property
    def best(self) -> Identifier:
        """The most trusted one; the address where nothing else is known."""
        return self.ranked[0]

    def _known(self) -> Iterator[Identifier]:
        if self.cpu_id is not None:
            yield Identifier(kind="cpu_id", value=self.cpu_id, source="hardware")
        if self.mac is not None:
            yield Identifier(kind="mac", value=self.mac, source="discovery")
        if self.arp_mac not in {None, self.mac}:
            yield Identifier(kind="mac", value=str(self.arp_mac), source="arp")
        if self.serial is not None:
            yield Identifier(kind="serial", value=self.serial, source="discovery")
        yield Identifier(kind="address", value=self.host, source="network")


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
