"""Who is there: `discover_maxsmart()` awaited, iterated, or entered as a block."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import Network, UdpSocket
from structiot.errors import ConnectFailed, UsageError
from structiot.maxsmart.identify import Identification
from structiot.maxsmart.link.discovery_replies import Listener
from structiot.maxsmart.values import DiscoveredMaxSmart, discovered_from
from structiot.maxsmart.wire.messages import DiscoveryReply

__all__ = ["Discovery", "discover_maxsmart"]

_SPACING_S = 0.5
# Devices that answer together are handed out together.
_GRACE_S = 0.05
_MAX_WAITING = 4096

_log = logging.getLogger(__name__)


class Discovery(anyio.AsyncContextManagerMixin):
    """One discovery, to be used once, in one of three ways.

    * `devices = await discover_maxsmart()` waits for the whole window and gives a
      list.
    * `async for device in discover_maxsmart(): ...` gives each device as it answers.
      Leaving the loop early leaves nothing open: the socket is closed whenever the
      loop's body runs, and asks again when the loop goes on.
    * `async with discover_maxsmart() as devices: async for device in devices: ...`
      goes on listening while the body runs.

    Attributes:
        found: The devices that answered so far.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        host: str | None,
        local_host: str | None,
        network: Network,
        identification: Identification | None,
    ) -> None:
        self.found: tuple[DiscoveredMaxSmart, ...] = ()
        self._listener = listener
        self._identification = identification
        self._host = host
        self._local_host = local_host
        self._network = network
        self._waiting: list[DiscoveredMaxSmart] = []
        self._is_used = False
        self._is_over = False

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
        return await self._identified(list(self.found))

    def __aiter__(self) -> AsyncIterator[DiscoveredMaxSmart]:
        self._begin()
        return _Steps(self)

    async def step(self) -> DiscoveredMaxSmart:
        """Give the next device; used by the loop over the discovery itself."""
        if not self._waiting and not self._is_over:
            self._waiting += await self._identified(await self._listen_for_some())
        if self._waiting:
            return self._waiting.pop(0)
        self._finish()
        raise StopAsyncIteration

    async def _listen_for_some(self) -> list[DiscoveredMaxSmart]:
        listener = self._listener
        heard: list[DiscoveredMaxSmart] = []
        async with self._socket() as udp:
            listener.resume()
            try:
                answer = await listener.next_answer(udp)
                if answer is not None:
                    heard.append(self._note(answer))
                if answer is None or self._host is not None:
                    self._is_over = True
                    return heard
                with anyio.move_on_after(_GRACE_S):
                    while (answer := await listener.next_answer(udp)) is not None:
                        heard.append(self._note(answer))
            finally:
                listener.pause()
        return heard

    @asynccontextmanager
    async def __asynccontextmanager__(
        self,
    ) -> AsyncGenerator[AsyncIterator[DiscoveredMaxSmart]]:
        self._begin()
        box: Mailbox[DiscoveredMaxSmart] = Mailbox(
            _MAX_WAITING, policy="drop_newest", name="discovered devices"
        )
        async with self._socket() as udp, service_group() as tg:

            async def hand_out(device: DiscoveredMaxSmart) -> None:
                for identified in await self._identified([device]):
                    box.put(identified)

            async def listen() -> None:
                self._listener.resume()
                async with anyio.create_task_group() as identifying:
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

    async def _identified(
        self, devices: list[DiscoveredMaxSmart]
    ) -> list[DiscoveredMaxSmart]:
        if self._identification is None:
            return devices
        identified = await self._identification.identified(devices)
        now = {id(old): new for old, new in zip(devices, identified, strict=True)}
        self.found = tuple(now.get(id(device), device) for device in self.found)
        return identified

    def _socket(self) -> AbstractAsyncContextManager[UdpSocket]:
        return self._network.open_udp(
            self._local_host, may_broadcast=self._host is None
        )

    def _begin(self) -> None:
        if self._is_used:
            message = "a discovery is used once; call discover_maxsmart() again"
            raise UsageError(message)
        self._is_used = True

    def _note(self, answer: tuple[DiscoveryReply, str]) -> DiscoveredMaxSmart:
        device = discovered_from(*answer)
        self.found = (*self.found, device)
        _log.debug("discovered %s", device)
        return device

    def _finish(self) -> None:
        self._is_over = True
        reasons = "; ".join(self._listener.problems.values())
        if self.found:
            return
        if self._host is not None:
            message = f"no MaxSmart device answers at {self._host}"
            message = f"{message}: {reasons}" if reasons else message
            raise ConnectFailed(message, host=self._host)
        if reasons:
            _log.warning("discovery could not ask everywhere: %s", reasons)


class _Steps:
    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery

    def __aiter__(self) -> _Steps:
        return self

    async def __anext__(self) -> DiscoveredMaxSmart:
        return await self._discovery.step()


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

    Example:
        >>> for device in await discover_maxsmart():
        ...     print(device.host, device.name, device.firmware)
    """
    if window_s <= 0 or rounds < 1:
        message = f"a discovery takes time and a round: {window_s:g} s, {rounds} rounds"
        raise UsageError(message)
    everybody = None if broadcast is None else tuple(broadcast)
    identification = Identification(
        http_port=http_port,
        udp_port=udp_port,
        environment=environment,
    )
    listener = Listener(
        hosts=everybody if ip is None else (ip,),
        is_broadcast=ip is None,
        udp_port=udp_port,
        window_s=window_s,
        rounds=rounds,
        spacing_s=_SPACING_S,
        environment=environment,
    )
    return Discovery(
        listener,
        host=ip,
        local_host=local_host,
        network=environment.network,
        identification=identification if identify else None,
    )
