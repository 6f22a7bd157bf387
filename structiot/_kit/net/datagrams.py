"""Questions by UDP: asked again now and then, until an answer is accepted.

An answer counts only if it comes from the address and the port that were asked, and
whoever answers nonsense again and again is not listened to for long.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import Final, TypeVar

import anyio

from structiot._kit.net.network import (
    Address,
    Network,
    RealNetwork,
    UdpSocket,
    place,
)
from structiot.errors import ConnectFailed

__all__ = ["ask_by_udp", "udp_address"]

# Answers that are none, of whoever was asked, to one question.
_MOST_REFUSED: Final = 64

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
    """Send the question now and then until `read` accepts an answer from the host.

    Returns:
        What `read` made of it; None after `wait_s`, or once it has refused 64 answers.
    """
    asked = (await udp_address(host, network), port)
    refused = 0
    async with network.open_udp() as udp:
        ends_at = anyio.current_time() + wait_s
        while (now := anyio.current_time()) < ends_at:
            await udp.send(question, *asked)
            with anyio.CancelScope(deadline=min(now + again_s, ends_at)):
                while refused < _MOST_REFUSED:
                    answer = read(await _answer_of(udp, asked))
                    if answer is not None:
                        return answer
                    refused += 1
                _log.debug("%s answers nothing but nonsense", place(*asked))
                return None
    return None


async def _answer_of(udp: UdpSocket, asked: Address) -> bytes:
    while True:
        data, source = await udp.receive()
        if source == asked:
            return data
        _log.debug("datagram from %s dropped, %s was asked", source, asked)
