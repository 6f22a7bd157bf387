"""An open strip, as its user holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import overload

from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import UsageError
from structiot.maxsmart.changes import StripChange
from structiot.maxsmart.commands import StripCommands, StripHealth
from structiot.maxsmart.identifiers import DeviceIdentifiers
from structiot.maxsmart.session import StripSession
from structiot.maxsmart.statistics import PeriodName, StripStatistics
from structiot.maxsmart.values import StripData, StripInfo, check_port, port_of_key
from structiot.maxsmart.wire.capabilities import (
    CAPABILITIES,
    Capability,
)
from structiot.maxsmart.wire.messages import ALL_PORTS
from structiot.model import (
    Availability,
    Command,
    DeviceEvent,
    Entity,
    Reading,
    State,
)

__all__ = ["MaxSmartStrip"]


class MaxSmartStrip:
    """An open power strip or plug; safe to use from several tasks.

    It is a `structiot.model.Device`. Ports are numbered from 1; port 0 is all of
    them. Commands take turns and return when the strip shows what was asked.

    Methods raise `TransportError` (the strip could not be reached; it may be back
    soon), `PeerError` (it refused, what it says makes no sense, or it is another
    one) and, before anything is sent, `UsageError`. They can be cancelled at any
    moment; whether a command that was on its way has been obeyed, the next poll tells.
    """

    def __init__(self, session: StripSession, commands: StripCommands) -> None:
        self._session = session
        self._commands = commands

    def __repr__(self) -> str:
        info = self.info
        return f"<MaxSmartStrip {info.name!r} at {info.host}, {info.port_count} ports>"

    @property
    def info(self) -> StripInfo:
        """Who the strip is; changes when it is renamed.

        Its `id` never changes, unless it `is_provisional`: then the strip has kept
        silent about who it is and is known by its address until it has told.
        """
        return self._session.info

    @property
    def entities(self) -> tuple[Entity, ...]:
        """A switch and a power sensor a port, current where reported, and the total."""
        return self._session.subscribers.entities

    @property
    def states(self) -> Mapping[str, State | None]:
        """The latest state of each entity, by key."""
        return self._session.subscribers.states

    @property
    def availability(self) -> Availability:
        """Whether the strip was there when that last changed, and why not."""
        return self._session.subscribers.availability

    @property
    def is_available(self) -> bool:
        """Whether the last polls reached the strip."""
        return self._session.reach.is_available

    async def turn_on(self, port: int = ALL_PORTS) -> None:
        """Turn a port on, or all of them, and see that it is.

        Raises:
            UsageError: No such port; nothing was sent.
            MaxSmartRefused: The strip said no.
            SwitchStuck: It said yes, but the port did not follow.
        """
        await self._commands.switch(port, is_on=True)

    async def turn_off(self, port: int = ALL_PORTS) -> None:
        """Turn a port off, or all of them, and see that it is; raises as `turn_on`."""
        await self._commands.switch(port, is_on=False)

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
        return await self._session.refresh()

    async def get_power_data(self, port: int) -> Reading:
        """Ask for state, power in watts and current in amperes of one port."""
        check_port(self.info, port)
        return (await self.get_data()).reading(port)

    # ------------------------------------------------------------ what it can

    @property
    def capabilities(self) -> Mapping[Capability, bool | None]:
        """What the strip can beyond switching and metering, see `supports`."""
        return {name: self.supports(name) for name in CAPABILITIES}

    def supports(self, capability: Capability) -> bool | None:
        """Whether the strip can do this, by its firmware and what it has shown so far.

        * `"statistics"`: `get_statistics`.
        * `"rename"`: `change_port_name`.
        * `"port_names"`: tells the names of its ports.
        * `"clock"`: `get_device_time`. Setting it works on every device.
        * `"identifiers"`: tells its CPU id and server.

        Returns:
            True or False; None where nobody knows of this firmware. What is unknown
            is tried when it is called for, and the outcome remembered. What is known
            not to work raises `UnsupportedDevice`, and nothing is sent; see
            `assume_supported` of `maxsmart_device`.

        Raises:
            UsageError: No such capability.
        """
        return self._session.capabilities.of(capability, self.info.firmware)

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
        return await self._commands.statistics(port, period)

    async def retrieve_port_names(self) -> tuple[str, ...]:
        """Ask for the names of the ports, in their order; `info` is renewed by it.

        A port that has no name is called `Port 1` and so on, and so are all where the
        firmware does not tell names. The strip's own name is `info.name`. The
        question sets the strip's clock, see `set_device_time`.

        Raises:
            ReplyTimeout: It does not say who it is.
        """
        return await self._commands.names()

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
        return await self._commands.rename(port, new_name)

    async def get_device_time(self) -> datetime:
        """Ask for the time on the strip's clock; its zone is not known.

        Raises:
            UnsupportedDevice: The firmware does not tell its time.
        """
        return await self._commands.time()

    async def set_device_time(self) -> datetime | None:
        """Set the strip's clock to the local time, by asking who it is.

        That question is the only way to set it, and always does: the clock is set
        when the strip is opened, and every `identify_s` while it is polled.

        Returns:
            What its clock shows then; None where the firmware does not tell.

        Raises:
            ReplyTimeout: It does not say who it is.
        """
        return await self._commands.set_time()

    async def get_device_identifiers(self) -> DeviceIdentifiers:
        """Ask for the CPU id and the like, and rank all that identifies the strip.

        Firmware without them gives what is known from elsewhere.
        """
        return await self._commands.identifiers()

    async def health_check(self) -> StripHealth:
        """Ask for data once and tell how that went; raises nothing while it is open.

        It is a poll like any other: who watches is given what was read, and one that
        fails counts as a failed poll.
        """
        return await self._commands.health()

    # ------------------------------------------------------------ watching

    def readings(
        self, *, max_items: int = 256
    ) -> AbstractAsyncContextManager[Mailbox[Reading]]:
        """Iterate over the readings of each poll, one a port.

        The first poll is made at once, then every `poll_s`, and quicker for a while
        after a command. All consumers share the polls; one that joins later is given
        the latest readings at once. While the strip is away the iterator waits.

        Args:
            max_items: Readings that wait for a slow consumer; the oldest are dropped
                and counted (`.dropped`).
        """
        session = self._session
        return session.watching(session.subscribers.readings(max_items))

    def changes(
        self, *, min_power_w: float = 1.0, max_items: int = 256
    ) -> AbstractAsyncContextManager[Mailbox[StripChange]]:
        """Iterate over what changes: states of ports, and their power.

        Where they start from is never told: the latest data, if the strip is being
        polled already or was asked within the last `poll_s`, else those of the first
        poll that follows. After that, what differs from what was told last is told:
        all changes of power, by port, then all of state. It shares the polls with
        `readings`.

        A poll that fails, a figure that is missing and another device at the address
        change nothing. When the strip is back after an outage, what differs from
        before is told then, once.

        Args:
            min_power_w: Power has to differ by more than this, up or down.
            max_items: Changes that wait for a slow consumer; the oldest are dropped
                and counted (`.dropped`).

        Raises:
            UsageError: `min_power_w` is no number, or less than 0.
        """
        session = self._session
        watch = session.subscribers.changes(min_power_w, max_items, session.is_recent)
        return session.watching(watch)

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[DeviceEvent]]:
        """Iterate over availability and states, the present ones first.

        It shares the polls with `readings`. Only the latest of each entity waits for
        a slow consumer. While the strip is away, or another device answers at its
        address, the iterator waits; availability says why.
        """
        return self._session.watching(self._session.subscribers.events())

    async def command(self, key: str, command: Command) -> None:
        """Switch the entity `key`, such as `port_1`, on (True) or off (False)."""
        port = port_of_key(key)
        if port is None or not 1 <= port <= self.info.port_count:
            keys = ", ".join(f"port_{n}" for n in range(1, self.info.port_count + 1))
            is_sensor = any(entity.key == key for entity in self.entities)
            problem = "is only read" if is_sensor else "does not exist"
            message = f"{key} of {self.info.name} {problem}; its switches are {keys}"
            raise UsageError(message)
        if not isinstance(command, bool):
            message = f"{key} of {self.info.name} takes true or false, not {command!r}"
            raise UsageError(message)
        await self._commands.switch(port, is_on=command)
