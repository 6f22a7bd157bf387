"""One strip over time: polled once for all who watch it, judged, and healed.

Nobody polls while nobody watches. While somebody does, one task polls on the
schedule of `wire.protocol`, gives what it reads to every watcher, and tells when the
strip goes away and comes back. Commands take turns, and what is read for them goes
to the watchers, too.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.backoff import Backoff
from structiot.errors import (
    DeviceReplaced,
    PeerError,
    ProtocolViolation,
    ReplyTimeout,
    TransportError,
    UnsupportedDevice,
    UsageError,
)
from structiot.maxsmart.errors import MaxSmartRefused
from structiot.maxsmart.link.identity import IdentityCheck, suspicion_of
from structiot.maxsmart.link.strip import StripLink, is_hang_up
from structiot.maxsmart.subscribers import Subscribers
from structiot.maxsmart.values import StripData, StripInfo, data_from, info_from
from structiot.maxsmart.wire.capabilities import Capabilities, Capability
from structiot.maxsmart.wire.codec_data import read_port_data
from structiot.maxsmart.wire.messages import (
    Command,
    DiscoveryReply,
    PortData,
    ReadData,
    Reply,
    Transport,
    WattUnit,
)
from structiot.maxsmart.wire.protocol import (
    PollSchedule,
    Reachability,
    Verdict,
    is_other_kind,
)

__all__ = ["Settings", "StripSession"]

T = TypeVar("T")

# A strip that was not heard of for longer than this may be another one by now.
_FRESH_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a strip is kept; see `maxsmart_device` for the meaning."""

    poll_s: float
    burst_s: float
    burst_polls: int
    identify_s: float
    offline_after: int
    watt_unit: WattUnit | None
    name: str | None
    attempts: int = 2
    device_id: str | None = None
    assume_supported: frozenset[str] = frozenset()


class StripSession:
    """See the module's text; `run` is its background task.

    Attributes:
        link: Requests to it.
        identity: Whether it is still the same, and what it says about itself.
        capabilities: What it can, as far as that is known.
        subscribers: Who watches, and what they were told last.
        schedule: When it is polled.
        reach: Whether it is there.
    """

    def __init__(
        self,
        link: StripLink,
        who: DiscoveryReply | None,
        first: Reply,
        settings: Settings,
        environment: Environment,
    ) -> None:
        self.link = link
        self._environment = environment
        self._settings = settings
        self._retries = Backoff(
            first_s=min(1.0, settings.poll_s),
            factor=1.5,
            cap_s=60.0,
            jitter=0.2,
            stable_s=0.0,
        ).start(environment.random)
        self.identity: IdentityCheck = IdentityCheck(
            link, who, identify_s=settings.identify_s
        )
        self.capabilities: Capabilities = Capabilities(
            transport=link.transport,
            has_port_names=self.identity.has_port_names,
            assumed=settings.assume_supported,
        )
        self.identity.heard(first)
        self._heard_at = anyio.current_time()
        self._ports = read_port_data(first, watt_unit=settings.watt_unit)
        info = self._info_now()
        self.subscribers: Subscribers = Subscribers(
            info, self._converted(self._ports, info.id), environment
        )
        self.schedule: PollSchedule = PollSchedule(
            poll_s=settings.poll_s,
            burst_s=settings.burst_s,
            burst_polls=settings.burst_polls,
        )
        self.reach: Reachability = Reachability(offline_after=settings.offline_after)
        self._wake = anyio.Event()
        self._refreshing = anyio.Lock(fast_acquire=True)
        self._commanding = anyio.Lock(fast_acquire=True)
        self._is_closed = False

    @property
    def info(self) -> StripInfo:
        """Who the strip is."""
        return self.subscribers.info

    # ------------------------------------------------------------ polling

    async def run(self) -> None:
        """Poll while anybody watches, until cancelled."""
        while True:
            await self._until_due()
            self.schedule.tick(anyio.current_time())
            try:
                # Not refused when closed: the block may be ending at this moment.
                await self._refresh(attempts=1)
            except (TransportError, PeerError) as exc:
                _log.debug("%s: poll failed: %s", self.link.host, exc)

    async def _until_due(self) -> None:
        while (wait_s := self.schedule.next_at - anyio.current_time()) > 0:
            self._wake = anyio.Event()
            with anyio.move_on_after(wait_s):
                await self._wake.wait()

    async def refresh(self, *, attempts: int | None = None) -> StripData:
        """Read the strip's data and give them to all who watch.

        Raises:
            TransportError: The strip could not be reached.
            PeerError: It is another device, or what it says makes no sense.
        """
        self._check_open()
        return await self._refresh(attempts=attempts or self._settings.attempts)

    async def _refresh(self, *, attempts: int) -> StripData:
        # Data are handed on in the order in which they were read.
        async with self._refreshing:
            try:
                ports = await self._read_as_the_same(attempts)
            except (TransportError, PeerError) as exc:
                self._failed(exc)
                raise
            return self._accept(ports)

    async def _read_as_the_same(self, attempts: int) -> PortData:
        reply = await self.link.ask(ReadData(), attempts=attempts)
        if self.identity.heard(reply):
            self.describe()
        ports = read_port_data(reply, watt_unit=self._settings.watt_unit)
        is_other = is_other_kind(self._ports, ports)
        must_identify = is_other or self.reach.must_identify or self._is_stale()
        # A command of ours makes nothing strange.
        is_still = not self._commanding.locked()
        strangeness = suspicion_of(self._ports, ports) if is_still else "not at all"
        if self.identity.is_due(strangeness) or must_identify:
            await self.identity.check(is_required=must_identify)
            self.describe()
        if len(ports.switches) != self.info.port_count:
            message = (
                f"{len(ports.switches)} ports reported, {self.info.port_count} exist"
            )
            raise ProtocolViolation(f"{self.link.host}: {message}", data=reply.excerpt)
        return ports

    def _accept(self, ports: PortData) -> StripData:
        self._ports = ports
        self._heard_at = anyio.current_time()
        self._retries.succeeded(0.0)
        away_since = self.reach.away_since
        if self.reach.succeeded() is Verdict.CAME_BACK and away_since is not None:
            away_s = self._heard_at - away_since
            _log.info("%s is back after %.0f s", self.info.label, away_s)
            self.subscribers.tell_availability(is_available=True)
        data = self._converted(ports, self.info.id)
        self.subscribers.tell_data(data)
        return data

    def _failed(self, error: TransportError | PeerError) -> None:
        now = anyio.current_time()
        is_other = isinstance(error, DeviceReplaced)
        verdict = self.reach.failed(now, is_certain=is_other)
        delay_s = self._retries.next_delay_s() or 0.0
        self.schedule.retry(now, delay_s)
        self._wake.set()
        is_news = is_other and self.subscribers.availability.reason != str(error)
        if verdict is Verdict.WENT_AWAY or is_news:
            _log.warning("%s is away: %s; asking on", self.info.label, error)
            self.subscribers.tell_availability(is_available=False, reason=str(error))

    def _converted(self, ports: PortData, device: str) -> StripData:
        return data_from(ports, device=device, at_utc=self._environment.now_utc())

    def describe(self) -> None:
        """Tell what the device says about itself, where that is new."""
        self.capabilities.has_port_names = self.identity.has_port_names
        info = self._info_now()
        if not self.info.is_provisional:
            info = replace(info, id=self.info.id, is_provisional=False)
        self.subscribers.tell_info(info)

    def _info_now(self) -> StripInfo:
        return info_from(
            self.identity.who,
            host=self.link.host,
            # Data with another number of ports are never accepted.
            port_count=len(self._ports.switches),
            name=self._settings.name,
            device_id=self._settings.device_id,
        )

    def is_recent(self) -> bool:
        """Whether the strip was heard of as lately as if it were polled."""
        return anyio.current_time() - self._heard_at <= self._settings.poll_s

    def _is_stale(self) -> bool:
        return anyio.current_time() - self._heard_at > max(
            _FRESH_S, 2 * self._settings.poll_s
        )

    # ------------------------------------------------------------ commands

    @asynccontextmanager
    async def commanding(self) -> AsyncGenerator[None]:
        """Take the turn of a command; quick polls follow, or one at once if it fails."""
        self._check_open()
        async with self._commanding:
            try:
                yield
            except (TransportError, DeviceReplaced):
                self.schedule.hurry(anyio.current_time())
                self._wake.set()
                raise

    @contextmanager
    def noticing(self) -> Generator[None]:
        """Tell who watches when another device answers."""
        try:
            yield
        except DeviceReplaced as exc:
            self._failed(exc)
            raise

    def commanded(self) -> None:
        """Poll quicker for a while."""
        self.schedule.commanded(anyio.current_time())
        self._wake.set()

    async def be_sure(self) -> None:
        """Find out whether this is still the same strip, if it was silent for long."""
        if self.reach.must_identify or self._is_stale():
            await self._refresh(attempts=self._settings.attempts)

    async def identify(self) -> None:
        """Ask the strip by discovery who it is and what it and its ports are called.

        Raises:
            DeviceReplaced: It is another one.
            TransportError: It does not say.
        """
        self._check_open()
        # In turn with the polls, which ask as well: no old answer comes after a new.
        async with self._refreshing:
            with self.noticing():
                await self.identity.ask_anew()
            self.describe()

    async def ask(
        self,
        command: Command,
        *,
        capability: Capability | None = None,
        transport: Transport | None = None,
    ) -> Reply:
        """Send a command of the user's; a lost one is sent again, see `attempts`.

        Args:
            command: What is asked.
            capability: What a device needs for that, where not every one has it; the
                answer tells whether this one has.
            transport: How it is sent; as all are, by default.

        Raises:
            UnsupportedDevice: Its firmware does not know the command; nothing was
                sent if that was known before.
            MaxSmartRefused: The strip refused it, by code or by hanging up.
            DeviceReplaced: It is another one.
            TransportError: The strip could not be reached.
        """
        self.require(capability)
        await self.be_sure()
        firmware = self.info.firmware
        is_unknown = (
            capability is not None
            and self.capabilities.of(capability, firmware) is None
        )
        try:
            with self.noticing():
                reply = await self.link.ask(
                    command, attempts=self._settings.attempts, transport=transport
                )
        except TransportError as exc:
            has_hung_up = is_hang_up(exc)
            if not has_hung_up and not (is_unknown and isinstance(exc, ReplyTimeout)):
                raise
            lost = exc
        else:
            if capability is not None:
                self.capabilities.show(capability, firmware, is_supported=True)
            return reply
        # So devices answer what they do not know. Or is it no longer there?
        await self.link.ask(ReadData())
        if capability is None:
            what = type(command).__name__
            message = f"{self.info.label} hung up on {what}"
            raise MaxSmartRefused(message, host=self.link.host, command=what) from lost
        if has_hung_up:
            # Silence is not remembered: requests do get lost.
            self.capabilities.show(capability, firmware, is_supported=False)
        raise self._missing(capability) from lost

    def require(self, capability: Capability | None) -> None:
        """Refuse what the strip is known not to be capable of, before anything is sent.

        Raises:
            UnsupportedDevice: It cannot.
        """
        self._check_open()
        if capability is None:
            return
        if self.capabilities.of(capability, self.info.firmware) is False:
            raise self._missing(capability)

    def _missing(self, capability: Capability) -> UnsupportedDevice:
        return self.capabilities.missing(capability, self.info.label, self.info)

    # ------------------------------------------------------------ who watches

    @asynccontextmanager
    async def watching(self, box: AbstractContextManager[T]) -> AsyncGenerator[T]:
        """Poll as long as a box of the audience is open."""
        self._check_open()
        if not self.subscribers.size:
            self.schedule.begin(anyio.current_time())
            self._wake.set()
        try:
            with box as opened:
                yield opened
        finally:
            if not self.subscribers.size:
                self.schedule.stop()

    def close(self) -> None:
        """End every iteration; what is called from now on is an error."""
        self._is_closed = True
        self.subscribers.close()

    def _check_open(self) -> None:
        if self._is_closed:
            message = f"{self.info.label} is closed: its `async with` block has ended"
            raise UsageError(message)
