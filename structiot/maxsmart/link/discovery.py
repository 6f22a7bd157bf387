"""Asking everybody who is there, and listening to who answers."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import anyio

from structiot._kit.environment import Clock, Environment
from structiot._kit.net.datagrams import udp_address
from structiot._kit.net.host_network import broadcast_addresses
from structiot._kit.net.network import UdpSocket, place
from structiot.errors import ProtocolViolation, TransportError
from structiot.maxsmart.wire.codec_discovery import (
    decode_discovery_reply,
    encode_discovery_request,
)
from structiot.maxsmart.wire.messages import DiscoveryReply, DiscoveryRequest
from structiot.maxsmart.wire.protocol import DiscoveryDeduplicator

__all__ = ["DiscoveryListener", "discovery_question"]

# One device answers each round, by each interface that asked, and many may do so from
# one address; but anyone may send more, and nonsense.
_MOST_SENDERS: Final = 4096
_MOST_OF_ONE: Final = 16_384
_NONSENSE_COUNTS: Final = 256

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


class DiscoveryListener:
    """Asks in rounds and tells each new answer; its time passes only while it listens.

    Without hosts it asks everybody, by every interface; those that cannot send cost
    only themselves. Of one address 16,384 datagrams are read in all, or 64 that are
    nonsense, and of 4,096 addresses.

    Attributes:
        problems: Why it could not ask somewhere, by address.
        malformed: Datagrams that were no answer.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str] | None,
        is_broadcast: bool,
        udp_port: int,
        window_s: float,
        rounds: int,
        spacing_s: float,
        environment: Environment,
    ) -> None:
        self.problems: dict[str, str] = {}
        self.malformed: int = 0
        self._hosts = hosts
        self._is_broadcast = is_broadcast
        self._udp_port = udp_port
        self._window_s = window_s
        self._rounds_left = rounds
        self._spacing_s = spacing_s
        self._environment = environment
        self._roll = DiscoveryDeduplicator()
        self._sources: set[str] = set()
        self._heard: Counter[str] = Counter()
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
                data, (source, port) = await udp.receive()
                if not self._is_expected(source, port):
                    _log.debug("datagram of %s dropped", place(source, port))
                elif (reply := self._read(data, source)) is not None:
                    return reply, source
        return None

    async def _ask(self, udp: UdpSocket) -> None:
        self._rounds_left -= 1
        self._ask_at = anyio.current_time() + self._spacing_s
        if self._hosts is None:
            self._hosts = await broadcast_addresses(self._environment.host_network)
        question = discovery_question(self._environment.clock)
        for host in self._hosts:
            try:
                address = await udp_address(host, self._environment.network)
                self._sources.add(address)
                await udp.send(question, address, self._udp_port)
            except TransportError as exc:
                self.problems[host] = str(exc)
                _log.debug("discovery cannot ask %s: %s", host, exc)

    def _is_expected(self, source: str, port: int) -> bool:
        """Whether somebody was asked, and has not said too much already.

        Devices answer from the port that was asked.
        """
        if port != self._udp_port:
            return False
        if not self._is_broadcast and source not in self._sources:
            return False
        if source not in self._heard and len(self._heard) >= _MOST_SENDERS:
            return False
        self._heard[source] += 1
        return self._heard[source] <= _MOST_OF_ONE

    def _read(self, data: bytes, source: str) -> DiscoveryReply | None:
        try:
            reply = decode_discovery_reply(data)
        except ProtocolViolation as exc:
            # Whoever sends nonsense harms nobody else.
            self.malformed += 1
            self._heard[source] += _NONSENSE_COUNTS - 1
            _log.debug("discovery answer of %s dropped: %s", source, exc)
            return None
        return reply if self._roll.is_new(reply, source) else None
