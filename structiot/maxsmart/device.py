"""An open strip, as its user holds it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import overload

import anyio

from structiot.errors import (
    DeviceReplaced,
    PeerError,
    ProtocolViolation,
    StructiotError,
    TransportError,
    UnsupportedDevice,
)
from structiot.maxsmart.entities import port_of_key
from structiot.maxsmart.errors import MaxSmartRefused, SwitchStuck
from structiot.maxsmart.health import StripHealth
from structiot.maxsmart.identification import DeviceIdentifiers, identifiers_of
from structiot.maxsmart.info import check_name, check_port
from structiot.maxsmart.polling import PolledStrip
from structiot.maxsmart.readings import StripData
from structiot.maxsmart.statistics import (
    DatedBy,
    PeriodName,
    StripStatistics,
    bucket_start,
    newest_start,
    period_of,
    statistics_from,
    was_set,
)
from structiot.maxsmart.wire.capabilities import CAPABILITIES, Capability, renames_by
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
)
from structiot.maxsmart.wire.protocol import VERIFY_AFTER_S, mismatched_ports
from structiot.model import Command, Reading

__all__ = ["MaxSmartStrip"]

_log = logging.getLogger(__name__)


class MaxSmartStrip(PolledStrip):
    """A power strip or plug, for several tasks at once; made by `maxsmart_device`.

    It is a `structiot.model.Device`, with a switch and a power sensor a port, current
    where reported, and the total. Ports are numbered from 1; port 0 is all of them.
    Commands take turns and return when the strip shows what was asked. `info.id` never
    changes, unless it `is_provisional`: then the strip has kept silent about who it is
    and is known by its address until it has told.

    Methods raise `TransportError` (the strip could not be reached; it may be back
    soon), `PeerError` (it refused, what it says makes no sense, or it is another
    one) and, before anything is sent, `UsageError`. They can be cancelled at any
    moment; whether a command that was on its way has been obeyed, the next poll tells.
    """

    def __repr__(self) -> str:
        info = self.info
        return f"<MaxSmartStrip {info.name!r} at {info.host}, {info.port_count} ports>"

    # ------------------------------------------------------------ switching

    async def turn_on(self, port: int = ALL_PORTS) -> None:
        """Turn a port on, or all of them, and see that it is.

        Raises:
            UsageError: No such port; nothing was sent.
            MaxSmartRefused: The strip said no.
            SwitchStuck: It said yes, but the port did not follow.
        """
        await self._switch(port, is_on=True)

    async def turn_off(self, port: int = ALL_PORTS) -> None:
        """Turn a port off, or all of them, and see that it is; raises as `turn_on`."""
        await self._switch(port, is_on=False)

    async def _command(self, key: str, command: Command) -> None:
        await self._switch(port_of_key(key), is_on=bool(command))

    async def _switch(self, port: int, *, is_on: bool) -> None:
        check_port(self.info, port, may_be_all=True)
        self._check_open()
        async with self._poller.commanding():
            await self._ask(SetPort(port=port, is_on=is_on))
            try:
                await self._see_that(port, is_on=is_on)
            finally:
                self._poller.commanded()

    async def _see_that(self, port: int, *, is_on: bool) -> None:
        astray: tuple[int, ...] = ()
        for pause_s in VERIFY_AFTER_S:
            await anyio.sleep(pause_s)
            try:
                data = await self._refreshed()
            except StructiotError as exc:
                exc.add_note("the command was accepted; reading back failed")
                raise
            astray = mismatched_ports(data.is_on, port, is_on=is_on)
            if not astray:
                return
        state = "on" if is_on else "off"
        ports = ", ".join(map(str, astray))
        message = f"{self._label} accepted the command, but port {ports} is not {state}"
        raise SwitchStuck(message, host=self.info.host, ports=astray, is_on=is_on)

    # ------------------------------------------------------------ data

    @overload
    async def check_state(self, port: None = None) -> list[bool | None]: ...
    @overload
    async def check_state(self, port: int) -> bool | None: ...
    async def check_state(
        self, port: int | None = None
    ) -> bool | list[bool | None] | None:
        """Ask whether a port is on; without a port, for a list of all, in order.

        None stands for a state that the strip did not tell readably.
        """
        if port is not None:
            check_port(self.info, port)
        data = await self.get_data()
        return list(data.is_on) if port is None else data.is_on[port - 1]

    async def get_data(self) -> StripData:
        """Ask for states, power in watts and current in amperes of all ports, at once.

        What is read is given to all who watch, too.
        """
        return await self._refreshed()

    async def get_power_data(self, port: int) -> Reading:
        """Ask for state, power in watts and current in amperes of one port."""
        check_port(self.info, port)
        return (await self.get_data()).reading(port)

    # ------------------------------------------------------------ what it can

    @property
    def capabilities(self) -> Mapping[Capability, bool | None]:
        """What the strip can beyond switching and metering, see `supports`."""
        return {name: self.supports(name) for name in CAPABILITIES}

    async def get_statistics(
        self, port: int = ALL_PORTS, period: PeriodName | int = "hourly"
    ) -> StripStatistics:
        """Ask for the energy of the last 24 hours, 31 days or 12 months.

        Args:
            port: A port, or 0 for the sum of all.
            period: `"hourly"`, `"daily"` or `"monthly"`; 0, 1 or 2 are the same.

        Raises:
            UsageError: No such port or period; nothing was sent.
            UnsupportedDevice: The firmware has no statistics.
            ProtocolViolation: What came back is none.
        """
        check_port(self.info, port, may_be_all=True)
        wanted = period_of(period)
        for is_last in (False, True):
            asked_at = anyio.current_time()
            reply = await self._ask(
                ReadStatistics(period=wanted), capability="statistics"
            )
            wire = read_statistics(reply, asked=wanted)
            self._say_impossible("statistics", wire.impossible)
            rows, count = len(wire.energy_raw), self.info.port_count
            if rows != count:
                message = f"{rows} rows of statistics for {count} ports"
                raise ProtocolViolation(
                    f"{self.info.host}: {message}", data=reply.excerpt
                )
            dated_by: DatedBy = "reply"
            newest = newest_start(wanted, wire.date)
            if newest is None:
                newest, dated_by = await self._newest_by_clock(
                    wanted, asked_at, may_have_turned=not is_last
                )
            if newest is not None:
                return statistics_from(
                    wire,
                    device=self.info.id,
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
            shown = await self.get_device_time()
        except DeviceReplaced:
            raise
        except (TransportError, PeerError) as exc:
            _log.debug("%s does not tell its time: %s", self.info.host, exc)
            shown = None
        if shown is None or not was_set(shown):
            shown, dated_by = self._environment.clock(), "client_clock"
        start = bucket_start(period, shown)
        elapsed = timedelta(seconds=anyio.current_time() - asked_at)
        has_turned = bucket_start(period, shown - elapsed) != start
        return (None if has_turned and may_have_turned else start), dated_by

    # ------------------------------------------------------------ names

    async def retrieve_port_names(self) -> tuple[str, ...]:
        """Ask for the names of the ports, in their order; `info` is renewed by it.

        A port that has no name is called `Port 1` and so on, and so are all where the
        firmware does not tell names. The strip's own name is `info.name`. The
        question sets the strip's clock, see `set_device_time`.

        Raises:
            ReplyTimeout: It does not say who it is.
        """
        await self._identify()
        return self.info.port_names

    async def change_port_name(self, port: int, new_name: str) -> str:
        """Name a port, or the strip itself with port 0, and see what it is called.

        A plug has only one name, whichever port is given.

        Args:
            port: A port, or 0.
            new_name: At most 21 characters; firmware from 3.x on takes 15 bytes
                of UTF-8.

        Returns:
            The name as the strip tells it from now on: it may cut it short. Where
            the firmware does not tell names of ports, the name as it was sent; it is
            part of `info` for the length of the block.

        Raises:
            UsageError: No such port, or a name that is blank or too long, or has
                control characters; nothing was sent.
            UnsupportedDevice: The firmware cannot be told names.
            MaxSmartRefused: The strip said no, or said yes and kept the old name.
        """
        check_port(self.info, port, may_be_all=True)
        self._require("rename")
        name = check_name(self.info, new_name)
        async with self._poller.commanding():
            await self._identify()
            before = self._told_name(port)
            await self._ask(
                SetName(port=port, name=name),
                capability="rename",
                transport=renames_by(self.info.firmware),
            )
            if before is None:
                self._identity.remember_port_name(port, name)
                self._describe_anew()
                return name
            return await self._name_read_back(port, name, before)

    def _told_name(self, port: int) -> str | None:
        """Give a name as the device tells it; None if it does not."""
        who = self._identity.who
        if port == ALL_PORTS or self.info.port_count == 1:
            # A plug has one name, whichever port is given.
            return who.name
        names = (who.port_names or ()) if self._identity.has_port_names else ()
        return names[port - 1] if port <= len(names) else None

    async def _name_read_back(self, port: int, name: str, before: str) -> str:
        shown: str | None = before
        for pause_s in VERIFY_AFTER_S:
            await anyio.sleep(pause_s)
            try:
                await self._identify()
            except StructiotError as exc:
                exc.add_note("the new name was accepted; reading it back failed")
                raise
            shown = self._told_name(port)
            if shown == name:
                return name
        if shown == before or shown is None:
            message = f"{self._label} accepted the name {name!r}, "
            message += f"but is still called {before!r}"
            raise MaxSmartRefused(message, host=self.info.host, command="SetName")
        # Cut short, or in letters that the device can show.
        return shown

    # ------------------------------------------------------------ clock

    async def get_device_time(self) -> datetime:
        """Ask for the time on the strip's clock; its zone is not known.

        Raises:
            UnsupportedDevice: The firmware does not tell its time.
        """
        reply = await self._ask(ReadClock(), capability="clock")
        return read_clock(reply).local_time

    async def set_device_time(self) -> datetime | None:
        """Set the strip's clock to the local time, by asking who it is.

        That question is the only way to set it, and always does: the clock is set
        when the strip is opened, and every `identify_s` while it is polled.

        Returns:
            What its clock shows then; None where the firmware does not tell.

        Raises:
            ReplyTimeout: It does not say who it is.
        """
        await self._identify()
        try:
            return await self.get_device_time()
        except UnsupportedDevice:
            return None

    # ------------------------------------------------------------ identity and health

    async def get_device_identifiers(self) -> DeviceIdentifiers:
        """Ask for the CPU id and the like, and rank all that identifies the strip.

        Firmware without them gives what is known from elsewhere.
        """
        hardware = None
        try:
            reply = await self._ask(ReadIdentifiers(), capability="identifiers")
            hardware = read_identifiers(reply)
            with self._noticing():
                self._identity.confirm(hardware.cpu_id)
        except UnsupportedDevice as exc:
            _log.debug("%s: no identifiers of the hardware: %s", self.info.host, exc)
        return await identifiers_of(
            self.info.host,
            self._environment,
            discovery=self._identity.who,
            hardware=hardware,
        )

    async def health_check(self) -> StripHealth:
        """Ask for data once and tell how that went; raises nothing while it is open.

        It is a poll like any other: who watches is given what was read, and one that
        fails counts as a failed poll.
        """
        error = None
        try:
            await self._refreshed(attempts=1)
        except (TransportError, PeerError) as exc:
            error = exc
        return StripHealth(
            is_reachable=error is None,
            latency_s=None if error else self._link.latency_s,
            transport=self._link.transport,
            is_polled=self._poller.is_watched,
            name=self.info.name,
            host=self.info.host,
            firmware=self.info.firmware,
            error=None if error is None else str(error),
        )
