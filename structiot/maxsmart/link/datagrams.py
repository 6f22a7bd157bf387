"""Questions by UDP: who is there, and whatever else is asked by datagram.

An answer counts only if it comes from the address that was asked. Datagrams get
lost, so a question is asked again now and then until its time is over.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import Final, TypeVar

import anyio

from structiot._kit.environment import Clock, Environment
from structiot._kit.net.network import Network, RealNetwork, UdpSocket
from structiot.errors import ConnectFailed, ProtocolViolation
from structiot.maxsmart.wire.codec_discovery import (
    decode_discovery_reply,
    encode_discovery_request,
)
from structiot.maxsmart.wire.messages import DiscoveryReply, DiscoveryRequest

__all__ = [
    "ask_by_udp",
    "ask_who_is_there",
    "discovery_question",
    "udp_address",
]

T = TypeVar("T")

_ASK_AGAIN_S: Final = 0.5
_IDENTIFY_S: Final = 1.5

_log = logging.getLogger(__name__)


def discovery_question(clock: Clock) -> bytes:
    """Write the question who is there, with the full local time and its zone.

    Devices set their clock by it. Without a zone some take the time as UTC.
    """
    now = clock()
    offset = now.utcoffset()
    zone_h = None if offset is None else int(offset.total_seconds() // 3600)
    request = DiscoveryRequest(local_time=now.replace(tzinfo=None), zone_h=zone_h)
    return encode_discovery_request(request)


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


async def ask_who_is_there(
    host: str,
    udp_port: int,
    *,
    environment: Environment,
    wait_s: float = _IDENTIFY_S,
) -> DiscoveryReply | None:
    """Ask one address who it is; None if it says nothing that can be read.

    Raises:
        TransportError: The question could not be sent at all.
    """
    question = discovery_question(environment.clock)

    def read(data: bytes) -> DiscoveryReply | None:
        try:
            return decode_discovery_reply(data)
        except ProtocolViolation as exc:
            _log.debug("discovery reply of %s dropped: %s", host, exc)
            return None

    return await ask_by_udp(
        question,
        read,
        host,
        udp_port,
        environment.network,
        wait_s=wait_s,
        again_s=_ASK_AGAIN_S,
    )


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
