"""What may stand where a host is asked for: an address or a name, and nothing else."""

from __future__ import annotations

import ipaddress

from structiot._kit.arguments import check_argument
from structiot._kit.text import without_credentials
from structiot.errors import UsageError

__all__ = ["check_host", "host_fault"]

_NEVER = frozenset(" /@?#[]")


def host_fault(host: str, *, port_goes_to: str = "a setting of its own") -> str:
    """Say what is wrong with a host and what to write; nothing if it may be one.

    Args:
        host: What was written.
        port_goes_to: By what the port is given, where one was written as well.
    """
    bare, port = _taken_apart(host)
    shown = repr(without_credentials(host))
    if bare != host and _is_host(bare):
        hint = f", and give the port by {port_goes_to}" if port else ""
        return f"{shown} is more than an address or host name: write {bare!r}{hint}"
    if _is_host(host):
        return ""
    return f"{shown} is no address or host name, such as '192.168.1.100'"


def check_host(name: str, host: object, *, port_goes_to: str) -> None:
    """Look whether an argument is a host.

    Args:
        name: The argument's.
        host: Its value.
        port_goes_to: The argument that the port is given by.

    Raises:
        UsageError: It is none; the message says what to write.
    """
    check_argument(name, host, str, write="an address such as '192.168.1.100'")
    fault = host_fault(str(host), port_goes_to=port_goes_to)
    if fault:
        raise UsageError(f"{name}: {fault}")


def _is_host(text: str) -> bool:
    if not text or not text.isprintable() or set(text) & _NEVER:
        return False
    return ":" not in text or _is_ipv6(text)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _taken_apart(text: str) -> tuple[str, str]:
    """Give the host that was meant, and the port that was written with it."""
    place = text.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    if place.startswith("["):
        bare, _, rest = place[1:].partition("]")
        return bare, rest.removeprefix(":")
    if _is_ipv6(place):
        return place, ""
    bare, _, port = place.partition(":")
    return bare, port
