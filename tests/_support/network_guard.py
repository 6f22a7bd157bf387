"""No test leaves the machine.

An audit hook sees every use of a socket by Python code, whichever library makes it;
uvloop's C code goes unseen, but the same tests run on asyncio as well.
Connections and datagrams to anything but loopback raise `OutsideNetwork`, but for the
limited broadcast (255.255.255.255) that discovery sends and no router forwards. Names
other than `localhost` do not resolve, as on a machine without a name server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import Any

_LOCAL_NAMES = {"", "localhost", "localhost.localdomain", socket.gethostname()}
_BROADCAST = "255.255.255.255"
_SENDING = {"socket.connect", "socket.sendto", "socket.sendmsg"}


class OutsideNetwork(RuntimeError):
    """A test tried to reach something beyond this machine."""


class NetworkGuard:
    """The switch of the audit hook; hooks themselves cannot be removed."""

    def __init__(self) -> None:
        self.is_on = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.is_on or not event.startswith("socket."):
            return
        if event in _SENDING:
            _check_address(event, args[1])
        elif event == "socket.getaddrinfo":
            _check_name(args[0])


def _check_address(event: str, address: object) -> None:
    if not isinstance(address, tuple):  # unix domain, netlink, or a connected socket
        return
    host = address[0]
    if not _is_local(host):
        raise OutsideNetwork(f"{event} to {host!r}: tests stay on loopback")


def _check_name(host: str | bytes | None) -> None:
    name = os.fsdecode(host) if host is not None else ""
    if name not in _LOCAL_NAMES and not _is_address(name):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.split("%", 1)[0])
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    if host in _LOCAL_NAMES or host == _BROADCAST:
        return True
    if not _is_address(host):
        return False
    address = ipaddress.ip_address(host.split("%", 1)[0])
    return address.is_loopback or address.is_unspecified


GUARD = NetworkGuard()
