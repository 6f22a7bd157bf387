"""Requests to one device, by HTTP or by UDP V3.

A device serves one connection at a time and closes it after its reply, so requests
take turns and nothing is kept open.
"""

from __future__ import annotations

import logging
from typing import Final

import anyio

from structiot._kit.arguments import check_argument, check_port_argument
from structiot._kit.environment import Environment
from structiot._kit.http.device import DeviceHttp
from structiot._kit.net.datagrams import ask_by_udp
from structiot._kit.net.host_names import check_host
from structiot._kit.net.network import place
from structiot._kit.redact import redact
from structiot._kit.text import printable
from structiot.errors import (
    ConnectFailed,
    DeviceReplaced,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    TransportError,
)
from structiot.maxsmart.errors import MaxSmartRefused
from structiot.maxsmart.link.discovery import discovery_question
from structiot.maxsmart.link.lenient_http import LenientNetwork
from structiot.maxsmart.wire.codec import (
    decode_reply,
    decode_v3_reply,
    encode_http_target,
    encode_v3_request,
    response_number,
)
from structiot.maxsmart.wire.codec_data import has_power
from structiot.maxsmart.wire.codec_discovery import decode_discovery_reply
from structiot.maxsmart.wire.messages import (
    CODE_OK,
    Command,
    DiscoveryReply,
    ReadData,
    Reply,
    Request,
    Transport,
)

__all__ = ["StripLink", "first_contact", "is_hang_up", "replaced"]

# The real ones fill less than 2 KiB; anything longer is not one of them.
MAX_REPLY_BYTES: Final = 65536
# What `structiot._kit.http` says when a peer closes without a byte.
HUNG_UP: Final = "hung up without a reply"
_V3_SENDS: Final = 3
_IDENTIFY_S: Final = 1.5
_IDENTIFY_AGAIN_S: Final = 0.5
_RETRY_PAUSE_S: Final = 0.3
_MOST_SHOWN: Final = 60
# Some units tell a corrupted serial now and then, some always.
_INTRODUCTIONS: Final = 3

_log = logging.getLogger(__name__)


class StripLink:
    """Requests to one device, one at a time; safe to use from several tasks.

    Attributes:
        host: Address or name of the device.
        http_port: Its HTTP port.
        udp_port: Its port for discovery and V3.
        serial: Serial that is sent with every request; None where it is not known.
        transport: How the device is spoken to.
        latency_s: Seconds that the last reply took; None before the first.
    """

    def __init__(
        self,
        host: str,
        *,
        http_port: int,
        udp_port: int,
        reply_s: float,
        environment: Environment,
    ) -> None:
        check_host("host", host, port_goes_to="http_port")
        check_port_argument("http_port", http_port)
        check_port_argument("udp_port", udp_port)
        check_argument("reply_s", reply_s, float)
        check_argument("environment", environment, Environment)
        self.host = host
        self.http_port = http_port
        self.udp_port = udp_port
        self.serial: str | None = None
        self.transport: Transport = "http"
        self.latency_s: float | None = None
        self._http = DeviceHttp(
            f"http://{place(host, http_port)}",
            reply_s=reply_s,
            max_body_bytes=MAX_REPLY_BYTES,
            network=LenientNetwork(environment.network),
        )
        self._reply_s = reply_s
        self._environment = environment
        self._turn = anyio.Lock(fast_acquire=True)

    async def who_is_there(self) -> DiscoveryReply | None:
        """Ask the address who it is; None if it says nothing that can be read.

        Raises:
            TransportError: The question could not be sent.
        """

        def read(data: bytes) -> DiscoveryReply | None:
            try:
                return decode_discovery_reply(data)
            except ProtocolViolation as exc:
                _log.debug("discovery reply of %s dropped: %s", self.host, exc)
                return None

        return await ask_by_udp(
            discovery_question(self._environment.clock),
            read,
            self.host,
            self.udp_port,
            self._environment.network,
            wait_s=_IDENTIFY_S,
            again_s=_IDENTIFY_AGAIN_S,
        )

    async def ask(
        self,
        command: Command,
        *,
        attempts: int = 1,
        transport: Transport | None = None,
    ) -> Reply:
        """Send a command and wait for its reply; only lost ones are sent again.

        Args:
            command: What is asked.
            attempts: How often it is sent at most.
            transport: How it is sent; as all are, by default.

        Raises:
            MaxSmartRefused: The device answered with a code other than 200.
            ProtocolViolation: What came back is no reply.
            DeviceReplaced: The reply names another device.
            TransportError: No connection, no reply in time, or hung up.
            UnsupportedDevice: The device's protocol has no such command.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self._turn:
                    sent_at = anyio.current_time()
                    reply = await self._exchange(command, transport or self.transport)
                    self.latency_s = anyio.current_time() - sent_at
                self._show(reply, command)
                return self._checked(reply, command)
            except TransportError:
                if attempt == attempts:
                    raise
            await anyio.sleep(_RETRY_PAUSE_S)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _exchange(self, command: Command, transport: Transport) -> Reply:
        request = Request(command=command, serial=self.serial)
        if transport == "udp_v3":
            return await self._exchange_v3(request)
        target = encode_http_target(request)
        answer = await self._http.get(target)
        if answer.status != CODE_OK:
            message = f"{self.host} answered with HTTP status {answer.status}"
            raise ProtocolViolation(message, data=answer.body, code=answer.status)
        return decode_reply(answer.body)

    async def _exchange_v3(self, request: Request) -> Reply:
        question = encode_v3_request(request)
        number = response_number(request.command, is_v3=True)
        violation: ProtocolViolation | None = None

        def read(data: bytes) -> Reply | None:
            nonlocal violation
            try:
                reply = decode_v3_reply(data)
            except ProtocolViolation as exc:
                violation = exc
                return None
            return reply if reply.response == number else None

        wait_s = self._reply_s
        reply = await ask_by_udp(
            question,
            read,
            self.host,
            self.udp_port,
            self._environment.network,
            wait_s=wait_s,
            again_s=wait_s / _V3_SENDS,
        )
        if reply is None and violation is not None:
            raise violation
        if reply is None:
            what = f"V3 command {number} to {self.host}:{self.udp_port}"
            message = f"no reply to {what} within {wait_s:g} s"
            raise ReplyTimeout(message, request=what, after_s=wait_s)
        return reply

    def _show(self, reply: Reply, command: Command) -> None:
        # Some replies hold keys, and firmware adds the pairing key where it likes.
        if _log.isEnabledFor(logging.DEBUG):
            what, raw = type(command).__name__, {"data": reply.data, **reply.extra}
            _log.debug("%s: %s: %s %s", self.host, what, reply.code, redact(raw))

    def _checked(self, reply: Reply, command: Command) -> Reply:
        if None not in (self.serial, reply.serial) and reply.serial != self.serial:
            raise replaced(self.host, str(self.serial), str(reply.serial))
        if reply.code != CODE_OK:
            what = type(command).__name__
            code = printable(str(reply.code), most=_MOST_SHOWN)
            message = f"{self.host} refused {what} with code {code}"
            raise MaxSmartRefused(
                message, host=self.host, command=what, code=reply.code
            )
        return reply


def replaced(host: str, expected: str, found: str) -> DeviceReplaced:
    """Make the error for an address at which another device answers."""
    shown = printable(found, most=_MOST_SHOWN)
    message = f"another device answers at {host}: {shown} instead of {expected}"
    return DeviceReplaced(message, host=host, expected=expected, found=found)


async def first_contact(
    link: StripLink, *, connect_s: float
) -> tuple[DiscoveryReply | None, Reply]:
    """Find out who a device is and how it is spoken to.

    HTTP is tried first, then UDP V3; some firmware speaks only one of them, and
    some answers by V3 without power.

    Returns:
        Who the device says it is, and its first data.

    Raises:
        ConnectFailed: Nobody answers in `connect_s`.
        ProtocolViolation: Something else than a MaxSmart device answers.
    """
    try:
        with anyio.fail_after(connect_s):
            return await _first_contact(link)
    except (TransportError, TimeoutError) as exc:
        is_late = not isinstance(exc, TransportError)
        why = f"silent for {connect_s:g} s" if is_late else str(exc)
        ports = f"TCP {link.http_port}, UDP {link.udp_port}"
        message = f"no MaxSmart device at {link.host} ({ports}): {why}"
        raise ConnectFailed(message, host=link.host, port=link.http_port) from exc


async def _first_contact(link: StripLink) -> tuple[DiscoveryReply | None, Reply]:
    try:
        identity = await _introduction(link)
    except TransportError as exc:
        # A firewall may keep UDP back; HTTP will tell whether anybody is there.
        _log.debug("%s: cannot ask who is there: %s", link.host, exc)
        identity = None
    if identity is not None:
        link.serial = identity.serial
    try:
        # A strip serves one client at a time; it may just be busy with another.
        return identity, await link.ask(ReadData(), attempts=2)
    except (TransportError, ProtocolViolation) as exc:
        http_error = exc
    link.transport = "udp_v3"
    try:
        reply = await link.ask(ReadData())
    except (TransportError, ProtocolViolation):
        # HTTP is what most devices speak, so its error says more.
        raise http_error from None
    if not has_power(reply):
        # Firmware 2.11 answers so; its power is to be had by HTTP alone.
        raise http_error
    return identity, reply


async def _introduction(link: StripLink) -> DiscoveryReply | None:
    """Ask who is there; more than once if the serial, which is its name, is garbled."""
    first: DiscoveryReply | None = None
    for _ in range(_INTRODUCTIONS):
        reply = await link.who_is_there()
        if reply is None or reply.serial is not None:
            return reply or first
        first = first or reply
    return first


def is_hang_up(error: Exception) -> bool:
    """Whether a device closed the connection without a byte, as on unknown commands."""
    return isinstance(error, LinkLost) and error.reason == HUNG_UP
