"""One strip over time: polled once for all who watch it, judged, and healed.

Nobody polls while nobody watches. While somebody does, one task polls on the
schedule of `wire.protocol`, gives what it reads to every watcher, and tells when the
strip goes away and comes back. Commands take turns, are verified by reading back,
and what was read for that goes to the watchers, too.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from random import Random

import anyio

from structiot._kit.backoff import Backoff
from structiot._kit.mailbox import Mailbox
from structiot.errors import (
    PeerError,
    ProtocolViolation,
    StructiotError,
    TransportError,
    UnsupportedDevice,
    UsageError,
)
from structiot.maxsmart.audience import Audience, EventBox
from structiot.maxsmart.errors import DeviceReplaced, MaxSmartRefused, SwitchStuck
from structiot.maxsmart.identity import IdentityCheck, Strangeness
from structiot.maxsmart.link.datagrams import Clock
from structiot.maxsmart.link.strip import StripLink, is_hang_up
from structiot.maxsmart.values import StripData, StripInfo, data_from, info_from
from structiot.maxsmart.wire.codec_data import read_port_data
from structiot.maxsmart.wire.messages import (
    Command,
    DiscoveryReply,
    PortData,
    ReadData,
    Reply,
    SetPort,
    WattUnit,
)
from structiot.maxsmart.wire.protocol import (
    VERIFY_AFTER_S,
    PollSchedule,
    Reachability,
    Verdict,
    has_jumped,
    is_other_kind,
    ports_astray,
)
from structiot.model import Reading

__all__ = ["Settings", "StripSession"]

# A strip that was not heard of for longer than this may be another one by now.
_FRESH_S = 60.0
_COMMAND_ATTEMPTS = 2

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
    device_id: str | None = None


class StripSession:
    """See the module's text; `run` is its background task.

    Attributes:
        audience: Who watches, and what they were told last.
        schedule: When it is polled.
        reach: Whether it is there.
    """

    def __init__(
        self,
        link: StripLink,
        who: DiscoveryReply | None,
        first: Reply,
        settings: Settings,
        *,
        clock: Clock,
        random: Random | None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._settings = settings
        self._retries = Backoff(
            first_s=min(1.0, settings.poll_s),
            factor=1.5,
            cap_s=60.0,
            jitter=0.2,
            stable_s=0.0,
        ).start(random)
        self._identity = IdentityCheck(link, who, identify_s=settings.identify_s)
        self._identity.heard(first)
        self._heard_at = anyio.current_time()
        self._ports = read_port_data(first, watt_unit=settings.watt_unit)
        info = info_from(
            self._identity.who,
            host=link.host,
            port_count=len(self._ports.switches),
            name=settings.name,
            device_id=settings.device_id,
        )
        self.audience: Audience = Audience(
            info, self._converted(self._ports, info.id), clock
        )
        self.schedule: PollSchedule = PollSchedule(
            poll_s=settings.poll_s,
            burst_s=settings.burst_s,
            burst_polls=settings.burst_polls,
        )
        self.reach: Reachability = Reachability(offline_after=settings.offline_after)
        self._wake = anyio.Event()
        self._refreshing = anyio.Lock()
        self._commanding = anyio.Lock()
        self._is_closed = False

    @property
    def info(self) -> StripInfo:
        """Who the strip is."""
        return self.audience.info

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
                _log.debug("%s: poll failed: %s", self._link.host, exc)

    async def _until_due(self) -> None:
        while (wait_s := self.schedule.next_at - anyio.current_time()) > 0:
            self._wake = anyio.Event()
            with anyio.move_on_after(wait_s):
                await self._wake.wait()

    async def refresh(self, *, attempts: int = 1) -> StripData:
        """Read the strip's data and give them to all who watch.

        Raises:
            TransportError: The strip could not be reached.
            PeerError: It is another device, or what it says makes no sense.
        """
        self._check_open()
        return await self._refresh(attempts=attempts)

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
        reply = await self._link.ask(ReadData(), attempts=attempts)
        if self._identity.heard(reply):
            self._describe()
        ports = read_port_data(reply, watt_unit=self._settings.watt_unit)
        is_other = is_other_kind(self._ports, ports)
        must_identify = is_other or self.reach.must_identify or self._is_stale()
        if self._identity.is_due(self._strangeness_of(ports)) or must_identify:
            await self._identity.check(is_required=must_identify)
            self._describe()
        if len(ports.switches) != self.info.port_count:
            message = (
                f"{len(ports.switches)} ports reported, {self.info.port_count} exist"
            )
            raise ProtocolViolation(f"{self._link.host}: {message}", data=reply.excerpt)
        return ports

    def _strangeness_of(self, ports: PortData) -> Strangeness:
        """Judge data from a strip that nobody here has switched."""
        if self._commanding.locked():
            return "not at all"
        if self._ports.switches != ports.switches:
            # Somebody pressed a button, or it is no more the same strip.
            return "very"
        return "a little" if has_jumped(self._ports, ports) else "not at all"

    def _accept(self, ports: PortData) -> StripData:
        self._ports = ports
        self._heard_at = anyio.current_time()
        self._retries.succeeded(0.0)
        away_since = self.reach.away_since
        if self.reach.succeeded() is Verdict.CAME_BACK and away_since is not None:
            away_s = self._heard_at - away_since
            _log.info("%s is back after %.0f s", self._label, away_s)
            self.audience.tell_availability(is_available=True)
        data = self._converted(ports, self.info.id)
        self.audience.tell_data(data)
        return data

    def _failed(self, error: TransportError | PeerError) -> None:
        now = anyio.current_time()
        is_other = isinstance(error, DeviceReplaced)
        verdict = self.reach.failed(now, is_certain=is_other)
        delay_s = self._retries.next_delay_s() or 0.0
        self.schedule.retry(now, delay_s)
        self._wake.set()
        is_news = is_other and self.audience.availability.reason != str(error)
        if verdict is Verdict.WENT_AWAY or is_news:
            _log.warning("%s is away: %s; asking on", self._label, error)
            self.audience.tell_availability(is_available=False, reason=str(error))

    def _converted(self, ports: PortData, device: str) -> StripData:
        return data_from(ports, device=device, at_utc=self._clock().astimezone(UTC))

    @property
    def _label(self) -> str:
        return f"{self.info.name} ({self._link.host})"

    def _describe(self) -> None:
        info = info_from(
            self._identity.who,
            host=self._link.host,
            port_count=self.info.port_count,
            name=self._settings.name,
            device_id=self._settings.device_id,
        )
        if not self.info.is_provisional:
            info = replace(info, id=self.info.id, is_provisional=False)
        self.audience.tell_info(info)

    def _is_stale(self) -> bool:
        return anyio.current_time() - self._heard_at > max(
            _FRESH_S, 2 * self._settings.poll_s
        )

    # ------------------------------------------------------------ commands

    async def switch(self, port: int, *, is_on: bool) -> None:
        """Switch a port (0: all) and read back until it shows."""
        self._check_open()
        self.check_port(port, may_be_all=True)
        async with self._commanding:
            try:
                await self._switch(port, is_on=is_on)
            except (TransportError, DeviceReplaced) as exc:
                if isinstance(exc, DeviceReplaced):
                    self._failed(exc)
                self.schedule.hurry(anyio.current_time())
                self._wake.set()
                raise

    async def _switch(self, port: int, *, is_on: bool) -> None:
        if self.reach.must_identify or self._is_stale():
            # It may be another one by now.
            await self._refresh(attempts=_COMMAND_ATTEMPTS)
        await self.ask(SetPort(port=port, is_on=is_on))
        try:
            await self._verify(port, is_on=is_on)
        finally:
            self.schedule.commanded(anyio.current_time())
            self._wake.set()

    async def ask(self, command: Command) -> Reply:
        """Send a command of the user's; a lost one is sent once more.

        Raises:
            MaxSmartRefused: The strip refused it, by code or by hanging up.
            UnsupportedDevice: Its firmware does not know the command.
            TransportError: The strip could not be reached.
        """
        self._check_open()
        try:
            return await self._link.ask(command, attempts=_COMMAND_ATTEMPTS)
        except TransportError as exc:
            if not is_hang_up(exc):
                raise
            hang_up = exc
        # So it does to commands that it does not know; is it still there?
        await self._link.ask(ReadData())
        raise self._hung_up_on(command) from hang_up

    def _hung_up_on(self, command: Command) -> PeerError:
        what = type(command).__name__
        message = f"{self._label} hung up on {what}"
        if isinstance(command, SetPort):
            return MaxSmartRefused(message, host=self._link.host, command=what)
        model, firmware = self.info.model, self.info.firmware
        message = f"{message}: firmware {firmware or '?'} does not know it"
        return UnsupportedDevice(message, model=model, firmware=firmware)

    async def _verify(self, port: int, *, is_on: bool) -> None:
        astray: tuple[int, ...] = ()
        for pause_s in VERIFY_AFTER_S:
            await anyio.sleep(pause_s)
            try:
                data = await self._refresh(attempts=_COMMAND_ATTEMPTS)
            except StructiotError as exc:
                exc.add_note("the command was accepted; reading back failed")
                raise
            astray = ports_astray(data.is_on, port, is_on=is_on)
            if not astray:
                return
        state = "on" if is_on else "off"
        ports = ", ".join(map(str, astray))
        message = f"{self._label} accepted the command, but port {ports} is not {state}"
        raise SwitchStuck(message, host=self._link.host, ports=astray, is_on=is_on)

    def check_port(self, port: int, *, may_be_all: bool = False) -> None:
        """Refuse a port that does not exist, before anything is sent."""
        first = 0 if may_be_all else 1
        count = self.info.port_count
        if isinstance(port, bool) or not isinstance(port, int):
            message = f"a port is a number, not {port!r}"
            raise UsageError(message)
        if not first <= port <= count:
            ports = (
                "its only port is 1" if count == 1 else f"its ports are 1 to {count}"
            )
            hint = " (0 is all)" if may_be_all else ""
            message = f"{self._label} has no port {port}; {ports}{hint}"
            raise UsageError(message)

    # ------------------------------------------------------------ who watches

    @asynccontextmanager
    async def readings(self, max_items: int) -> AsyncGenerator[Mailbox[Reading]]:
        """Give the readings of each poll for the length of the block."""
        with self._watched(), self.audience.readings(max_items) as box:
            yield box

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[EventBox]:
        """Give availability and states, the present ones first."""
        with self._watched(), self.audience.events() as box:
            yield box

    @contextmanager
    def _watched(self) -> Generator[None]:
        self._check_open()
        if not self.audience.size:
            self.schedule.begin(anyio.current_time())
            self._wake.set()
        try:
            yield
        finally:
            if not self.audience.size:
                self.schedule.stop()

    def close(self) -> None:
        """End every iteration; what is called from now on is an error."""
        self._is_closed = True
        self.audience.close()

    def _check_open(self) -> None:
        if self._is_closed:
            message = f"{self._label} is closed: its `async with` block has ended"
            raise UsageError(message)
