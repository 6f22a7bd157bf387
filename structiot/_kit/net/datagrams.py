"""Questions by UDP: asked again now and then, until an answer is accepted.

An answer counts only if it comes from the address that was asked.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import TypeVar

import anyio

from structiot._kit.net.network import Network, RealNetwork, UdpSocket
from structiot.errors import ConnectFailed

__all__ = ["ask_by_udp", "udp_address"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


async def udp_address(host: str, network: Network) -> str:
    """Give the address of a host; in a network of its own a name is an address.

    Raises:
        ConnectFailed: Nobody knows the name.
    """
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        if not isinstance(network, RealNetwork):
            return host
    try:
        found = await anyio.getaddrinfo(
            host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM
        )
    except (OSError, UnicodeError) as exc:
        message = f"cannot find the address of {host}: {exc}"
        raise ConnectFailed(message, host=host) from exc
    return str(found[0][4][0])


async def ask_by_udp(
    question: bytes,
    read: Callable[[bytes], T | None],
    host: str,
    port: int,
    network: Network,
    *,
    wait_s: float,
    again_s: float,
) -> T | None:
    """Send the question now and then until `read` accepts an answer from the host."""
    address = await udp_address(host, network)
    async with network.open_udp() as udp:
        ends_at = anyio.current_time() + wait_s
        while (now := anyio.current_time()) < ends_at:
            await udp.send(question, address, port)
            with anyio.CancelScope(deadline=min(now + again_s, ends_at)):
                return await _first_accepted(udp, read, address)
    return None


async def _first_accepted(
    udp: UdpSocket, read: Callable[[bytes], T | None], address: str
) -> T:
    while True:
        data, (source, _) = await udp.receive()
        if source != address:
            _log.debug("datagram from %s dropped, %s was asked", source, address)
        elif (answer := read(data)) is not None:
            return answer
