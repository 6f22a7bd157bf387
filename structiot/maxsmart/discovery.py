"""Who is there: `discover_maxsmart()` awaited, iterated, or entered as a block."""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import anyio

from structiot._kit.arguments import (
    check_argument,
    check_items,
    check_port_argument,
)
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.host_names import check_host
from structiot._kit.net.network import UdpSocket
from structiot.errors import ConnectFailed, TransportError, UsageError
from structiot.maxsmart.identification import (
    DeviceIdentifiers,
    hardware_of,
    identifiers_from,
    identifiers_of,
)
from structiot.maxsmart.link.discovery import DiscoveryListener
from structiot.maxsmart.link.strip import StripLink
from structiot.maxsmart.wire.codec_discovery import ports_of_serial
from structiot.maxsmart.wire.messages import DiscoveryReply

__all__ = ["DiscoveredMaxSmart", "Discovery", "discover_maxsmart"]

_SPACING_S = 0.5
# Devices that answer together are handed out together.
_GRACE_S = 0.05
_MAX_WAITING = 4096
_IDENTIFY_REPLY_S = 2.0
_IDENTIFIED_AT_A_TIME = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredMaxSmart:
    """A device that answered a discovery; None for what it did not say.

    Attributes:
        host: Address that the answer came from.
        serial: Serial number.
        name: Name of the device.
        firmware: Firmware version, such as `"1.30"`.
        mac: Hardware address as 12 lower-case hex digits.
        port_names: Names of the ports; empty where the firmware has none.
        port_count: Number of ports as far as serial or names tell it.
        identifiers: What tells it from others, as far as it was asked.
    """

    host: str
    identifiers: DeviceIdentifiers
    serial: str | None = None
    name: str | None = None
    firmware: str | None = None
    mac: str | None = None
    port_names: tuple[str, ...] = ()
    port_count: int | None = None


def _discovered(reply: DiscoveryReply, host: str) -> DiscoveredMaxSmart:
    names = reply.port_names or ()
    return DiscoveredMaxSmart(
        host=host,
        identifiers=identifiers_from(host, discovery=reply),
        serial=reply.serial,
        name=reply.name,
        firmware=reply.firmware,
        mac=reply.mac,
        port_names=names,
        port_count=ports_of_serial(reply.serial) or len(names) or None,
    )


_AskMore: TypeAlias = Callable[[DiscoveredMaxSmart], Awaitable[DiscoveredMaxSmart]]


class Discovery(anyio.AsyncContextManagerMixin):
    """One discovery, to be used once, in one of three ways; made by `discover_maxsmart`.

    * `devices = await discover_maxsmart()` waits for the whole window and gives a
      list.
    * `async for device in discover_maxsmart(): ...` gives each device as it answers.
      Leaving the loop early leaves nothing open: the socket is closed whenever the
      loop's body runs, and asks again when the loop goes on.
    * `async with discover_maxsmart() as devices: async for device in devices: ...`
      goes on listening while the body runs.
    """

    def __init__(
        self,
        listener: DiscoveryListener,
        *,
        host: str | None,
        local_host: str | None,
        environment: Environment,
        ask_more: _AskMore | None,
    ) -> None:
        self._found: list[DiscoveredMaxSmart] = []
        self._listener = listener
        self._ask_more = ask_more
        # Many at once, so that a silent one delays nobody.
        self._turns = anyio.CapacityLimiter(_IDENTIFIED_AT_A_TIME)
        self._host = host
        self._local_host = local_host
        self._network = environment.network
        self._waiting: list[DiscoveredMaxSmart] = []
        self._is_used = False
        self._is_over = False

    @property
    def found(self) -> tuple[DiscoveredMaxSmart, ...]:
        """The devices that answered so far."""
        return tuple(self._found)

    @property
    def problems(self) -> dict[str, str]:
        """Why some addresses could not be asked, such as for want of a route."""
        return dict(self._listener.problems)

    @property
    def malformed(self) -> int:
        """How many datagrams were no answer to a discovery."""
        return self._listener.malformed

    def __await__(self) -> Generator[object, None, list[DiscoveredMaxSmart]]:
        return self._collect().__await__()

    async def _collect(self) -> list[DiscoveredMaxSmart]:
        self._begin()
        async with self._socket() as udp:
            self._listener.resume()
            while (answer := await self._listener.next_answer(udp)) is not None:
                self._note(answer)
                if self._host is not None:
                    break
        self._finish()
        return await self._identified(range(len(self._found)))

    def __aiter__(self) -> AsyncIterator[DiscoveredMaxSmart]:
        self._begin()
        return self

    async def __anext__(self) -> DiscoveredMaxSmart:
        if not self._waiting and not self._is_over:
            self._waiting += await self._identified(await self._listen_for_some())
        if self._waiting:
            return self._waiting.pop(0)
        self._finish()
        raise StopAsyncIteration

    async def _listen_for_some(self) -> Sequence[int]:
        listener, first = self._listener, len(self._found)
        async with self._socket() as udp:
            listener.resume()
            try:
                answer = await listener.next_answer(udp)
                if answer is not None:
                    self._note(answer)
                if answer is None or self._host is not None:
                    self._is_over = True
                else:
                    with anyio.move_on_after(_GRACE_S):
                        while (answer := await listener.next_answer(udp)) is not None:
                            self._note(answer)
            finally:
                listener.pause()
        return range(first, len(self._found))

    @asynccontextmanager
    async def __asynccontextmanager__(
        self,
    ) -> AsyncGenerator[AsyncIterator[DiscoveredMaxSmart]]:
        self._begin()
        box: Mailbox[DiscoveredMaxSmart] = Mailbox(
            _MAX_WAITING, policy="drop_newest", name="discovered devices"
        )
        async with self._socket() as udp, service_group() as tg:

            async def hand_out(index: int) -> None:
                for device in await self._identified([index]):
                    box.put(device)

            async def listen() -> None:
                self._listener.resume()
                async with service_group(is_awaited=True) as identifying:
                    while (answer := await self._listener.next_answer(udp)) is not None:
                        identifying.start_soon(hand_out, self._note(answer))
                        if self._host is not None:
                            break
                try:
                    self._finish()
                except ConnectFailed as exc:
                    box.close(exc)
                box.close()

            tg.start_soon(listen, name="structiot.maxsmart.discovery")
            yield box

    async def _identified(self, indices: Sequence[int]) -> list[DiscoveredMaxSmart]:
        """Give some of those found with all their identifiers, in the same order."""
        if self._ask_more is not None:
            async with service_group(is_awaited=True) as tg:
                for index in indices:
                    tg.start_soon(self._identify, index, self._ask_more)
        return [self._found[index] for index in indices]

    async def _identify(self, index: int, ask_more: _AskMore) -> None:
        async with self._turns:
            self._found[index] = await ask_more(self._found[index])

    def _socket(self) -> AbstractAsyncContextManager[UdpSocket]:
        return self._network.open_udp(
            self._local_host, may_broadcast=self._host is None
        )

    def _begin(self) -> None:
        if self._is_used:
            message = "a discovery is used once; call discover_maxsmart() again"
            raise UsageError(message)
        self._is_used = True

    def _note(self, answer: tuple[DiscoveryReply, str]) -> int:
        device = _discovered(*answer)
        self._found.append(device)
        _log.debug("discovered %s", device)
        return len(self._found) - 1

    def _finish(self) -> None:
        self._is_over = True
        reasons = "; ".join(self._listener.problems.values())
        if self._found:
            return
        if self._host is not None:
            message = f"no MaxSmart device answers at {self._host}"
            message = f"{message}: {reasons}" if reasons else message
            raise ConnectFailed(message, host=self._host)
        if reasons:
            _log.warning("discovery could not ask everywhere: %s", reasons)


async def _with_identifiers(
    device: DiscoveredMaxSmart,
    *,
    http_port: int,
    udp_port: int,
    environment: Environment,
) -> DiscoveredMaxSmart:
    """Ask a device for all its identifiers; give it with those that it tells."""
    link = StripLink(
        device.host,
        http_port=http_port,
        udp_port=udp_port,
        reply_s=_IDENTIFY_REPLY_S,
        environment=environment,
    )
    link.serial = device.serial
    hardware = None
    try:
        hardware = await hardware_of(link)
    except TransportError as exc:
        _log.debug("%s does not tell its CPU id: %s", device.host, exc)
    identifiers = await identifiers_of(
        device.host,
        environment,
        discovery=DiscoveryReply(serial=device.serial, mac=device.mac),
        hardware=hardware,
    )
    return replace(device, identifiers=identifiers)


def discover_maxsmart(
    ip: str | None = None,
    *,
    window_s: float = 2.5,
    rounds: int = 4,
    broadcast: Sequence[str] | None = None,
    local_host: str | None = None,
    identify: bool = False,
    udp_port: int = 8888,
    http_port: int = 80,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> Discovery:
    """Find MaxSmart and Revogi devices, all in the network or the one at `ip`.

    Each device is given once, by its serial, else its MAC, else its address. What is
    no answer is counted and harms nobody. As a side effect that cannot be helped,
    the devices set their clocks by the question: it holds the local time with its
    zone, as the vendor's app sends it.

    Args:
        ip: Address or name of one device: it is told as soon as it answers. None
            asks everybody.
        window_s: How long to listen, in seconds.
        rounds: How often to ask within the window, 0.5 s apart.
        broadcast: Addresses to ask everybody by; by default each interface's and
            255.255.255.255.
        local_host: Address of this machine to ask from; the system's choice if None.
        identify: Whether each device is also asked for what identifies it beyond its
            serial (see `identify_maxsmart`), all of them at once; one that does not
            answer that is given two seconds later.
        udp_port: Where devices listen.
        http_port: Where devices are asked for their CPU id.
        environment: Network, host network, clock and chance; the system's by default.

    Returns:
        A `Discovery`: await it for a list, iterate over it, or enter it as a block.

    Raises:
        ConnectFailed: Nobody answers at `ip`. Asking everybody in vain gives an
            empty list.
        UsageError: An argument makes no sense.

    Example:
        >>> for device in await discover_maxsmart():
        ...     print(device.host, device.name, device.firmware)
    """
    if ip is not None:
        check_host("ip", ip, port_goes_to="udp_port")
    if broadcast is not None:
        check_items("broadcast", broadcast, str, write="['192.168.1.255']")
        for host in broadcast:
            check_host("each of broadcast", host, port_goes_to="udp_port")
    if local_host is not None:
        check_host("local_host", local_host, port_goes_to="udp_port")
    check_port_argument("udp_port", udp_port)
    check_argument("environment", environment, Environment)
    check_argument("window_s", window_s, float)
    check_argument("rounds", rounds, int)
    if window_s <= 0 or rounds < 1:
        message = f"a discovery takes time and a round: {window_s:g} s, {rounds} rounds"
        raise UsageError(message)
    everybody = None if broadcast is None else tuple(broadcast)
    listener = DiscoveryListener(
        hosts=everybody if ip is None else (ip,),
        is_broadcast=ip is None,
        udp_port=udp_port,
        window_s=window_s,
        rounds=rounds,
        spacing_s=_SPACING_S,
        environment=environment,
    )
    ask_more = partial(
        _with_identifiers,
        http_port=http_port,
        udp_port=udp_port,
        environment=environment,
    )
    return Discovery(
        listener,
        host=ip,
        local_host=local_host,
        environment=environment,
        ask_more=ask_more if identify else None,
    )
