"""What a user has a strip do: switch, tell and change its names, tell what it knows.

Each errand is checked before anything is sent, and what changes the strip is read
back. Commands take turns.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from structiot._kit.environment import Environment
from structiot.errors import (
    DeviceReplaced,
    PeerError,
    ProtocolViolation,
    StructiotError,
    TransportError,
    UnsupportedDevice,
    UsageError,
)
from structiot.maxsmart.errors import MaxSmartRefused, SwitchStuck
from structiot.maxsmart.identifiers import DeviceIdentifiers, identifiers_from
from structiot.maxsmart.identify import arp_mac_of
from structiot.maxsmart.session import StripSession
from structiot.maxsmart.statistics import (
    DatedBy,
    StripStatistics,
    bucket_start,
    newest_start,
    period_of,
    statistics_from,
    was_set,
)
from structiot.maxsmart.values import check_port
from structiot.maxsmart.wire.capabilities import name_limit_of, renames_by
from structiot.maxsmart.wire.codec_data import (
    read_clock,
    read_identifiers,
    read_statistics,
)
from structiot.maxsmart.wire.messages import (
    ALL_PORTS,
    ReadClock,
    ReadIdentifiers,
    ReadStatistics,
    SetName,
    SetPort,
    StatisticsPeriod,
    Transport,
)
from structiot.maxsmart.wire.protocol import VERIFY_AFTER_S, mismatched_ports

__all__ = ["StripCommands", "StripHealth"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StripHealth:
    """How a device is at this moment.

    Attributes:
        is_reachable: It answered, and it is the right one.
        latency_s: Seconds from the last question to its answer; None without one.
        transport: `"http"` or `"udp_v3"`.
        is_polled: Whether somebody watches it, so that it is polled.
        name: Its name.
        host: Its address.
        firmware: Its firmware.
        error: Why it is not reachable; None if it is.
    """

    is_reachable: bool
    latency_s: float | None
    transport: Transport
    is_polled: bool
    name: str
    host: str
    firmware: str | None
    error: str | None


class StripCommands:
    """Carries out what the strip's user asks, through its session."""

    def __init__(self, session: StripSession, environment: Environment) -> None:
        self._session = session
        self._environment = environment

    # ------------------------------------------------------------ switching

    async def switch(self, port: int, *, is_on: bool) -> None:
        """Switch a port (0: all) and read back until it shows."""
        session = self._session
        check_port(session.info, port, may_be_all=True)
        async with session.commanding():
            await session.ask(SetPort(port=port, is_on=is_on))
            try:
                await self._see_that(port, is_on=is_on)
            finally:
                session.commanded()

    async def _see_that(self, port: int, *, is_on: bool) -> None:
        astray: tuple[int, ...] = ()
        for pause_s in VERIFY_AFTER_S:
            await anyio.sleep(pause_s)
            try:
                data = await self._session.refresh()
            except StructiotError as exc:
                exc.add_note("the command was accepted; reading back failed")
                raise
            astray = mismatched_ports(data.is_on, port, is_on=is_on)
            if not astray:
                return
        state = "on" if is_on else "off"
        ports = ", ".join(map(str, astray))
        message = f"{self._session.info.label} accepted the command, "
        message += f"but port {ports} is not {state}"
        raise SwitchStuck(message, host=self._host, ports=astray, is_on=is_on)

    # ------------------------------------------------------------ statistics

    async def statistics(self, port: int, period: object) -> StripStatistics:
        """Read statistics; see `MaxSmartStrip.get_statistics`."""
        session = self._session
        check_port(session.info, port, may_be_all=True)
        wanted = period_of(period)
        for is_last in (False, True):
            asked_at = anyio.current_time()
            reply = await session.ask(
                ReadStatistics(period=wanted), capability="statistics"
            )
            wire = read_statistics(reply, asked=wanted)
            rows = len(wire.energy_raw)
            if rows != session.info.port_count:
                message = f"{session.info.host}: {rows} rows of statistics for "
                message += f"{session.info.port_count} ports"
                raise ProtocolViolation(message, data=reply.excerpt)
            dated_by: DatedBy = "reply"
            newest = newest_start(wanted, wire.date)
            if newest is None:
                newest, dated_by = await self._newest_by_clock(
                    wanted, asked_at, may_have_turned=not is_last
                )
            if newest is not None:
                return statistics_from(
                    wire,
                    device=session.info.id,
                    port=port,
                    newest=newest,
                    dated_by=dated_by,
                )
        raise AssertionError  # pragma: no cover - the last answer is always dated

    async def _newest_by_clock(
        self, period: StatisticsPeriod, asked_at: float, *, may_have_turned: bool
    ) -> tuple[datetime | None, DatedBy]:
        """Tell in which bucket the device was; None if the next began meanwhile."""
        dated_by: DatedBy = "device_clock"
        shown: datetime | None
        try:
            shown = await self.time()
        except DeviceReplaced:
            raise
        except (TransportError, PeerError) as exc:
            _log.debug("%s does not tell its time: %s", self._host, exc)
            shown = None
        if shown is None or not was_set(shown):
            shown, dated_by = self._environment.clock(), "client_clock"
        start = bucket_start(period, shown)
        elapsed = timedelta(seconds=anyio.current_time() - asked_at)
        has_turned = bucket_start(period, shown - elapsed) != start
        return (None if has_turned and may_have_turned else start), dated_by

    # ------------------------------------------------------------ names

    async def names(self) -> tuple[str, ...]:
        """Read the names anew; see `MaxSmartStrip.retrieve_port_names`."""
        await self._session.identify()
        return self._session.info.port_names

    async def rename(self, port: int, new_name: str) -> str:
        """Change a name; see `MaxSmartStrip.change_port_name`."""
        session = self._session
        check_port(session.info, port, may_be_all=True)
        session.require("rename")
        name = self._checked_name(new_name)
        command = SetName(port=port, name=name)
        async with session.commanding():
            await session.identify()
            before = self._shown_name(port)
            transport = renames_by(session.info.firmware)
            await session.ask(command, capability="rename", transport=transport)
            return await self._read_back(port, name, before)

    def _checked_name(self, new_name: object) -> str:
        info = self._session.info
        name = new_name.strip() if isinstance(new_name, str) else ""
        if not name:
            message = f"a name is a text that is not blank, not {new_name!r}"
            raise UsageError(message)
        if not name.isprintable():
            message = f"a name has no control characters: {name!r}"
            raise UsageError(message)
        limit = name_limit_of(info.firmware)
        length = limit.length_of(name)
        if length > limit.most:
            message = f"{name!r} has {length} {limit.unit}; firmware "
            message += f"{info.firmware or '?'} takes {limit.most}"
            raise UsageError(message)
        return name

    def _shown_name(self, port: int) -> str | None:
        """Give a name as the device tells it; None if it does not."""
        identity = self._session.identity
        if port == ALL_PORTS or self._session.info.port_count == 1:
            # A plug has one name, whichever port is given.
            return identity.who.name
        names = (identity.who.port_names or ()) if identity.has_port_names else ()
        return names[port - 1] if port <= len(names) else None

    async def _read_back(self, port: int, name: str, before: str | None) -> str:
        if before is None:
            self._session.identity.remember_port_name(port, name)
            self._session.describe()
            return name
        shown: str | None = before
        for pause_s in VERIFY_AFTER_S:
            await anyio.sleep(pause_s)
            try:
                await self._session.identify()
            except StructiotError as exc:
                exc.add_note("the new name was accepted; reading it back failed")
                raise
            shown = self._shown_name(port)
            if shown == name:
                return name
        if shown == before or shown is None:
            message = f"{self._session.info.label} accepted the name {name!r}, "
            message += f"but is still called {before!r}"
            raise MaxSmartRefused(message, host=self._host, command="SetName")
        # Cut short, or in letters that the device can show.
        return shown

    # ------------------------------------------------------------ clock

    async def time(self) -> datetime:
        """Read the clock; see `MaxSmartStrip.get_device_time`."""
        reply = await self._session.ask(ReadClock(), capability="clock")
        return read_clock(reply).local_time

    async def set_time(self) -> datetime | None:
        """Set the clock; see `MaxSmartStrip.set_device_time`."""
        await self._session.identify()
        try:
            return await self.time()
        except UnsupportedDevice:
            return None

    # ------------------------------------------------------------ identity and health

    async def identifiers(self) -> DeviceIdentifiers:
        """Read the identifiers; see `MaxSmartStrip.get_device_identifiers`."""
        session = self._session
        hardware = None
        try:
            reply = await session.ask(ReadIdentifiers(), capability="identifiers")
            hardware = read_identifiers(reply)
            with session.noticing():
                session.identity.confirm(hardware.cpu_id)
        except UnsupportedDevice as exc:
            _log.debug("%s: no identifiers of the hardware: %s", self._host, exc)
        return identifiers_from(
            self._host,
            discovery=session.identity.who,
            hardware=hardware,
            arp_mac=await arp_mac_of(self._host, self._environment),
        )

    async def health(self) -> StripHealth:
        """See how the strip is; see `MaxSmartStrip.health_check`."""
        session, error = self._session, None
        try:
            await session.refresh(attempts=1)
        except (TransportError, PeerError) as exc:
            error = exc
        info = session.info
        return StripHealth(
            is_reachable=error is None,
            latency_s=None if error else session.link.latency_s,
            transport=session.link.transport,
            is_polled=session.subscribers.size > 0,
            name=info.name,
            host=info.host,
            firmware=info.firmware,
            error=None if error is None else str(error),
        )

    @property
    def _host(self) -> str:
        return self._session.info.host
