"""The host_network as the operating system tells it, on Linux, macOS and Windows."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Interface
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    import ifaddr

__all__ = [
    "SystemHostNetwork",
    "interfaces_of",
    "mac_in_output",
    "mac_in_table",
]

_TABLE = "/proc/net/arp"
_COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "win32": (("arp", "-a"),),
    "linux": (("ip", "neigh", "show"), ("arp", "-n")),
}
_OTHER_COMMANDS = (("arp", "-n"),)
_LOOKUP_S = 2.0
# BSD and macOS leave out leading zeros: 2:0:0:0:0:1.
_MAC = re.compile(r"\b[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}\b")
_IS_COMPLETE = 0x2

_log = logging.getLogger(__name__)


class SystemHostNetwork:
    """Asks the operating system, in worker threads and processes with a deadline.

    Args:
        table: File with the kernel's neighbour table, where there is one.
        commands: Programs that show it elsewhere; an address is put behind.
        lookup_s: Longest time for one look-up, in seconds.
    """

    def __init__(
        self,
        *,
        table: str = _TABLE,
        commands: Sequence[Sequence[str]] | None = None,
        lookup_s: float = _LOOKUP_S,
    ) -> None:
        if commands is None:
            commands = _COMMANDS.get(sys.platform, _OTHER_COMMANDS)
        self._table = anyio.Path(table)
        self._commands = commands
        self._lookup_s = lookup_s

    async def interfaces(self) -> Sequence[IPv4Interface]:
        """Give the machine's own IPv4 addresses; none if the system does not tell."""
        with anyio.move_on_after(self._lookup_s):
            try:
                return await anyio.to_thread.run_sync(
                    _interfaces, abandon_on_cancel=True
                )
            except OSError as exc:
                _log.debug("the system does not tell its interfaces: %s", exc)
        return ()

    async def mac_of(self, address: str) -> str | None:
        """Look an address up in the neighbour table; None for what is not in it."""
        try:
            wanted = IPv4Address(address)
        except AddressValueError:
            return None
        interfaces = await self.interfaces()
        if not any(wanted in interface.network for interface in interfaces):
            # The hardware behind it would be a router's.
            return None
        with anyio.move_on_after(self._lookup_s):
            try:
                return mac_in_table(await self._table.read_text("ascii"), address)
            except (OSError, ValueError):
                return await self._mac_by_command(address)
        return None

    async def _mac_by_command(self, address: str) -> str | None:
        for command in self._commands:
            try:
                run = await anyio.run_process([*command, address], check=False)
            except OSError as exc:
                _log.debug("cannot run %s: %s", command[0], exc)
                continue
            return mac_in_output(run.stdout.decode("ascii", "replace"), address)
        return None


def _interfaces() -> tuple[IPv4Interface, ...]:
    import ifaddr  # noqa: PLC0415 - with ctypes, which hardly anybody else needs

    return interfaces_of(ifaddr.get_adapters())


def interfaces_of(adapters: Iterable[ifaddr.Adapter]) -> tuple[IPv4Interface, ...]:
    """Give the IPv4 addresses of adapters; what makes no network is left out."""
    found = []
    for ip in (ip for adapter in adapters for ip in adapter.ips if ip.is_IPv4):
        try:
            found.append(IPv4Interface(f"{ip.ip}/{ip.network_prefix}"))
        except ValueError:
            # Windows has adapters without a network: their prefix is none.
            _log.debug("no network: %s/%s", ip.ip, ip.network_prefix)
    return tuple(found)


def mac_in_table(table: str, address: str) -> str | None:
    """Find an address in the text of Linux's `/proc/net/arp`.

    Its columns are address, type of hardware, flags, hardware address, mask, device;
    an entry without the flag 0x2 waits for an answer or was given up.
    """
    for line in table.splitlines():
        columns = line.split()
        if len(columns) >= 4 and columns[0] == address:
            try:
                is_complete = bool(int(columns[2], 16) & _IS_COMPLETE)
            except ValueError:
                continue
            if is_complete:
                return _first_mac(columns[3])
    return None


def mac_in_output(output: str, address: str) -> str | None:
    """Find an address in what `arp` or `ip neigh` prints, whichever system's it is."""
    mentions = re.compile(rf"(?<![\d.]){re.escape(address)}(?![\d.])")
    lines = (line for line in output.splitlines() if mentions.search(line))
    return next((mac for line in lines if (mac := _first_mac(line))), None)


def _first_mac(text: str) -> str | None:
    found = _MAC.search(text.lower())
    if found is None:
        return None
    return ":".join(part.zfill(2) for part in re.split("[:-]", found[0]))
