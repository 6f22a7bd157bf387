"""Asking everybody who is there, and listening to who answers."""

from __future__ import annotations

import logging
import math
import socket
import struct
from collections.abc import Sequence

import anyio

from structiot._kit.network import Network, RealNetwork, UdpSocket
from structiot.errors import ProtocolViolation, TransportError
from structiot.maxsmart.link.datagrams import Clock, discovery_question, udp_address
from structiot.maxsmart.wire.codec_discovery import decode_discovery_reply
from structiot.maxsmart.wire.messages import DiscoveryReply
from structiot.maxsmart.wire.protocol import Rollcall

__all__ = ["EVERYWHERE", "Listener", "broadcast_addresses"]

EVERYWHERE = "255.255.255.255"

_SIOCGIFFLAGS = 0x8913
_SIOCGIFBRDADDR = 0x8919
_IFF_UP_AND_BROADCAST = 0x1 | 0x2

_log = logging.getLogger(__name__)


def broadcast_addresses(network: Network) -> tuple[str, ...]:
    """Give where to ask everybody: each interface's broadcast address and the general one.

    The general one leaves by one interface alone. Only Linux tells the others.
    """
    if not isinstance(network, RealNetwork):
        return (EVERYWHERE,)
    try:
        import fcntl  # noqa: PLC0415 - exists on Unix alone

        found = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for _, name in socket.if_nameindex():
                request = struct.pack("16s16x", name.encode()[:15])
                try:
                    flags = fcntl.ioctl(probe, _SIOCGIFFLAGS, request)
                    answer = fcntl.ioctl(probe, _SIOCGIFBRDADDR, request)
                except OSError:
                    continue
                (bits,) = struct.unpack_from("=H", flags, 16)
                if bits & _IFF_UP_AND_BROADCAST == _IFF_UP_AND_BROADCAST:
                    is_set = any(answer[20:24])
                    found.append(socket.inet_ntoa(answer[20:24]) if is_set else "")
    except (ImportError, OSError, AttributeError):
        return (EVERYWHERE,)
    return (*dict.fromkeys(filter(None, found)), EVERYWHERE)


class Listener:
    """Asks in rounds and tells each new answer; its time passes only while it listens.

    Attributes:
        problems: Why it could not ask somewhere, by address.
        malformed: Datagrams that were no answer.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str],
        is_broadcast: bool,
        udp_port: int,
        window_s: float,
        rounds: int,
        spacing_s: float,
        network: Network,
        clock: Clock,
    ) -> None:
        self.problems: dict[str, str] = {}
        self.malformed: int = 0
        self._hosts = hosts
        self._is_broadcast = is_broadcast
        self._udp_port = udp_port
        self._window_s = window_s
        self._rounds_left = rounds
        self._spacing_s = spacing_s
        self._network = network
        self._clock = clock
        self._roll = Rollcall()
        self._sources: set[str] = set()
        self._ask_at = -math.inf
        self._ends_at = math.inf
        self._listened_s = 0.0

    def resume(self) -> None:
        """Begin to listen on a new socket: ask at once, those of before do not count."""
        now = anyio.current_time()
        # What is left of the window, but long enough for answers to this round.
        left_s = max(self._window_s - self._listened_s, self._spacing_s)
        self._ends_at = now + left_s
        self._ask_at = now
        self._rounds_left = max(self._rounds_left, 1)

    def pause(self) -> None:
        """Note that nobody listens any more, for now."""
        left_s = max(0.0, self._ends_at - anyio.current_time())
        self._listened_s = max(self._listened_s, self._window_s - left_s)

    async def next_answer(self, udp: UdpSocket) -> tuple[DiscoveryReply, str] | None:
        """Wait for the next new device; None when the window has passed."""
        while (now := anyio.current_time()) < self._ends_at:
            if self._rounds_left and now >= self._ask_at:
                await self._ask(udp)
            wake_at = self._ask_at if self._rounds_left else self._ends_at
            with anyio.CancelScope(deadline=min(wake_at, self._ends_at)):
                data, (source, _) = await udp.receive()
                if (reply := self._read(data, source)) is not None:
                    return reply, source
        return None

    async def _ask(self, udp: UdpSocket) -> None:
        self._rounds_left -= 1
        self._ask_at = anyio.current_time() + self._spacing_s
        question = discovery_question(self._clock)
        for host in self._hosts:
            try:
                address = await udp_address(host, self._network)
                self._sources.add(address)
                await udp.send(question, address, self._udp_port)
            except TransportError as exc:
                self.problems[host] = str(exc)
                _log.debug("discovery cannot ask %s: %s", host, exc)

    def _read(self, data: bytes, source: str) -> DiscoveryReply | None:
        if not self._is_broadcast and source not in self._sources:
            _log.debug("discovery answer of %s dropped: not asked", source)
            return None
        try:
            reply = decode_discovery_reply(data)
        except ProtocolViolation as exc:
            # Whoever sends nonsense harms nobody else.
            self.malformed += 1
            _log.debug("discovery answer of %s dropped: %s", source, exc)
            return None
        return reply if self._roll.is_new(reply, source) else None
