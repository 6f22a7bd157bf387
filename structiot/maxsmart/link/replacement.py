"""Whether the device at an address is still the one that was opened.

Data over HTTP name nobody, so the device is asked now and then: for its CPU id, where
its firmware knows that (a question without side effects, asked every few polls), and
by discovery, which also brings new names, but makes the device set its clock, so it
is asked seldom. After a failure or on suspicion either must answer before data count.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import anyio

from structiot.errors import PeerError, ReplyTimeout, TransportError
from structiot.maxsmart.link.strip import StripLink, replaced
from structiot.maxsmart.wire.codec_data import read_identifiers
from structiot.maxsmart.wire.codec_discovery import readable_serial
from structiot.maxsmart.wire.messages import DiscoveryReply, ReadIdentifiers, Reply
from structiot.maxsmart.wire.protocol import Identity, Suspicion

__all__ = ["ReplacementCheck"]

# At the usual pace of 5 s a twin in the strip's place is found out within 30 s.
_POLLS_BETWEEN_CHECKS = 6
# Who keeps silent about who it is is asked again after this time, then after twice ...
_UNKNOWN_AGAIN_S = 10.0

_log = logging.getLogger(__name__)


class ReplacementCheck:
    """Asks a device who it is when it is time to.

    Attributes:
        who: What the device says about itself, newest first.
        has_port_names: Whether names of ports were part of it; None before it spoke.
    """

    def __init__(
        self, link: StripLink, who: DiscoveryReply | None, *, identify_s: float
    ) -> None:
        self.who: DiscoveryReply = who or DiscoveryReply()
        self.has_port_names: bool | None = None if who is None else bool(who.port_names)
        self._link = link
        self._identify_s = identify_s
        self._identity = Identity(serial=self.who.serial, mac=self.who.mac)
        self._asked_at = anyio.current_time()
        self._ask_again_s = _UNKNOWN_AGAIN_S
        self._has_answered = who is not None
        self._polls = 0
        self._cpu_id: str | None = None
        # V3 has no such command; over HTTP it shows when it is first asked.
        self._may_have_cpu_id = link.transport == "http"

    def is_due(self, suspicion: Suspicion) -> bool:
        """Whether it is time to ask; to be called once a poll, with how it looks."""
        self._polls += 1
        if self._is_discovery_due() or suspicion == "strong":
            return True
        is_time = self._polls >= _POLLS_BETWEEN_CHECKS or suspicion == "some"
        return is_time and self._may_have_cpu_id

    def heard(self, reply: Reply) -> bool:
        """Take a serial from data, which some firmware adds; whether it was needed."""
        serial = readable_serial(reply.serial)
        if self._identity.is_known or serial is None:
            return False
        self._learn(DiscoveryReply(serial=serial))
        return True

    def _is_discovery_due(self) -> bool:
        after_s = self._identify_s
        if not self._has_answered:
            after_s = min(after_s, self._ask_again_s)
        return anyio.current_time() - self._asked_at >= after_s

    async def check(self, *, is_required: bool) -> None:
        """Ask; quiet if it is the same device.

        Args:
            is_required: No answer is not good enough.

        Raises:
            DeviceReplaced: It is another one.
            ReplyTimeout: It does not say, and an answer is required.
            TransportError: The question could not be sent.
        """
        self._polls = 0
        is_cpu_asked = self._cpu_id is not None and not self._is_discovery_due()
        if is_cpu_asked and await self._asked_cpu_id() == self._cpu_id:
            return
        # Where that is another one, or none, the serial tells more.
        await self._discover(is_required=is_required)

    async def ask_anew(self) -> None:
        """Ask by discovery, whatever was asked before; it has to answer.

        Raises:
            DeviceReplaced: It is another one.
            ReplyTimeout: It does not say.
            TransportError: The question could not be sent.
        """
        if not await self._discover(is_required=False):
            message = f"{self._link.host} does not say who it is (UDP discovery)"
            raise ReplyTimeout(message, request="discovery")

    def confirm(self, cpu_id: str | None) -> None:
        """Hold what the device told on another occasion against what is known.

        Raises:
            DeviceReplaced: It is another one's.
        """
        if cpu_id is not None:
            if self._cpu_id not in {None, cpu_id}:
                raise replaced(self._link.host, self._name, f"CPU {cpu_id}")
            self._cpu_id = cpu_id

    def remember_port_name(self, port: int, name: str) -> None:
        """Keep a name that the device was given and does not tell."""
        names = list(self.who.port_names or ())
        names += [""] * (port - len(names))
        names[port - 1] = name
        self.who = replace(self.who, port_names=tuple(names))

    async def _discover(self, *, is_required: bool) -> bool:
        """Ask, and tell whether it answered."""
        reply = await self._link.who_is_there()
        if reply is not None and self._identity.is_other(reply):
            # One garbled answer is no proof of another device.
            reply = await self._link.who_is_there()
        self._asked_at = anyio.current_time()
        host = self._link.host
        if reply is None:
            self._ask_again_s *= 2
            if self._cpu_id is not None:
                await self._fall_back_to_cpu_id()
            elif is_required and self._identity.is_known:
                message = f"{host} does not say who it is (UDP discovery)"
                raise ReplyTimeout(message, request="discovery")
            elif not self._identity.is_known:
                await self._learn_cpu_id()
            return False
        if self._identity.is_other(reply):
            found = reply.serial or reply.mac or "?"
            raise replaced(host, self._name, found)
        if not self._identity.is_known and self._cpu_id is not None:
            await self._fall_back_to_cpu_id()
        self._learn(reply)
        self._has_answered = True
        self.has_port_names = bool(reply.port_names) or bool(self.has_port_names)
        await self._learn_cpu_id()
        return True

    async def _learn_cpu_id(self) -> None:
        if self._may_have_cpu_id:
            # One question that got no answer is no reason to forget.
            self._cpu_id = await self._asked_cpu_id() or self._cpu_id
            self._may_have_cpu_id = self._cpu_id is not None

    async def _fall_back_to_cpu_id(self) -> None:
        found = await self._asked_cpu_id()
        if found is None:
            message = f"{self._link.host} does not say who it is (discovery, CPU id)"
            raise ReplyTimeout(message, request="discovery")
        if found != self._cpu_id:
            raise replaced(self._link.host, self._name, f"CPU {found}")

    @property
    def _name(self) -> str:
        return self._identity.serial or self._identity.mac or f"CPU {self._cpu_id}"

    async def _asked_cpu_id(self) -> str | None:
        try:
            return read_identifiers(await self._link.ask(ReadIdentifiers())).cpu_id
        except (TransportError, PeerError) as exc:
            _log.debug("%s does not tell its CPU id: %s", self._link.host, exc)
            return None

    def _learn(self, reply: DiscoveryReply) -> None:
        if not self._identity.is_known:
            self._identity = Identity(serial=reply.serial, mac=reply.mac)
            self._link.serial = reply.serial
        # What a reply leaves out or garbles is known from before.
        self.who = replace(
            reply,
            serial=reply.serial or self.who.serial,
            mac=reply.mac or self.who.mac,
            name=reply.name or self.who.name,
            firmware=reply.firmware or self.who.firmware,
            port_names=reply.port_names or self.who.port_names,
        )
