"""What the user holds: devices, commands and events of one gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import anyio.lowlevel

from structiot._kit.arguments import check_argument, check_handler
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot.connector.command import Command
from structiot.connector.device import Device, device_id_of
from structiot.connector.errors import PlatformRefused
from structiot.connector.outbox import Outgoing
from structiot.connector.platform import PlatformResponse
from structiot.connector.platform_link import PlatformLink
from structiot.connector.serving import CommandHandler, Serving
from structiot.connector.states import ConnectorState
from structiot.connector.wire.parts import part_text
from structiot.errors import LinkLost, UsageError

__all__ = ["Connector"]


class Connector:
    """An open connector; made by `open_connector`, and safe to use from several tasks.

    While there is no connection devices may be changed, and events are kept. What is asked
    while the very first attempt to connect is under way waits for what becomes of it.
    """

    def __init__(self, link: PlatformLink) -> None:
        self._link = link

    def __repr__(self) -> str:
        return f"<Connector, {type(self.state).__name__}: {self._link!r}>"

    # -- what it is doing --------------------------------------------------------------

    @property
    def state(self) -> ConnectorState:
        """What it is doing at this moment."""
        return self._link.states.present

    @property
    def is_ready(self) -> bool:
        """Whether its devices are offered, and events taken."""
        return self._link.is_ready

    @asynccontextmanager
    async def states(self) -> AsyncGenerator[Mailbox[ConnectorState]]:
        """Iterate over what it is doing: the present state, and each that follows.

        Of 64 that wait for a slow reader the oldest are dropped, so that the last is
        always there. It ends when there will be no connection any more.
        """
        async with self._link.states.listen() as box:
            yield box

    async def wait_ready(self) -> None:
        """Wait until its devices are offered; a deadline is the caller's.

        Raises:
            StructiotError: There will be no connection any more.
        """
        await self._link.until(lambda: self._link.is_ready)

    @property
    def gid(self) -> str:
        """The gateway, or hub, that it is at the platform; empty until there is one."""
        return self._link.gid

    @property
    def devices(self) -> Mapping[str, Device]:
        """The devices by id, as the device manager had them when it was asked last.

        It is asked for all when a connection is made, and for one that is changed.
        """
        return self._link.offered.devices

    @property
    def refused(self) -> Mapping[str, PlatformRefused]:
        """Devices that the platform refuses, by id, and why; they are offered again."""
        unsettled = self._link.offered.unsettled.items()
        return {device_id: why for device_id, why in unsettled if why is not None}

    @property
    def commands_dropped(self) -> int:
        """How many commands had no place to wait, and were left unanswered."""
        return self._link.commands.dropped

    @property
    def commands_unanswered(self) -> int:
        """How many answers to commands have not reached the platform."""
        return self._link.unanswered

    @property
    def events_waiting(self) -> int:
        """How many events are to be sent."""
        return len(self._link.outbox)

    @property
    def events_dropped(self) -> int:
        """How many events were lost, as too many waited for a connection."""
        return self._link.outbox.dropped

    @property
    def events_repeated(self) -> int:
        """How many were sent again, as their answer was lost with a connection."""
        return self._link.outbox.repeated

    # -- devices -----------------------------------------------------------------------

    async def add(self, device: Device) -> bool:
        """Have the device manager keep a device, and offer it.

        The device manager has it, whatever the platform says; the platform is told at once
        or, if there is no connection or the call is cancelled, later.

        Args:
            device: The device.

        Returns:
            Whether the platform has taken it; why not is in the log and, where it was
            refused, in `refused`.

        Raises:
            UsageError: That is no device.
            Exception: What the device manager raises; the platform is told what that has
                of the device then.
        """
        return await self._link.offered.add(device)

    async def update(self, device: Device) -> bool:
        """Tell the device manager and the platform what has changed of a device.

        The guarantees are those of `add`. A SEPL platform changes name and tags alone,
        and keeps tags that it was told of once.

        Args:
            device: The device.

        Returns:
            Whether the platform has taken it.

        Raises:
            UsageError: That is no device.
            Exception: What the device manager raises; the platform is told what that has
                of the device then.
        """
        return await self._link.offered.update(device)

    async def disconnect(self, device: Device | str) -> bool:
        """Have the device manager forget a device, which stays on the platform, offline.

        The device manager has forgotten it, whatever the platform says.

        Args:
            device: The device, or its id.

        Returns:
            Whether the platform has taken it.

        Raises:
            UsageError: That is neither.
            Exception: What the device manager raises; the platform is told what that has
                of the device then.
        """
        return await self._link.offered.withdraw(device, delete=False)

    async def delete(self, device: Device | str) -> bool:
        """Have the device manager and the platform forget a device.

        The device manager has forgotten it, whatever the platform says. Where that cannot
        delete it, it stays there, offline, and it takes a hand at the platform to have it
        go.

        Args:
            device: The device, or its id.

        Returns:
            Whether the platform has deleted it.

        Raises:
            UsageError: That is neither.
            Exception: What the device manager raises; the platform is told what that has
                of the device then.
        """
        return await self._link.offered.withdraw(device, delete=True)

    # -- events ------------------------------------------------------------------------

    async def event(
        self,
        device: Device | str,
        service: str,
        data: object,
        metadata: object = None,
    ) -> PlatformResponse | None:
        """Hand a reading to the platform; those of one device arrive in order.

        Without a connection it is kept (`outbox_items` of `open_connector`) and sent
        with the next one, and so is one whose connection is lost before the platform has
        answered: that one may arrive twice. Cancelled, it is sent all the same.

        Args:
            device: Of which device, or its id.
            service: Of which of its services.
            data: A text as it is; any other value as JSON.
            metadata: Likewise; None for none.

        Returns:
            The platform's response; None if the event is kept.

        Raises:
            PlatformRefused: The platform does not take it, or is sure not to, as of a
                device that it does not have. What becomes of one that was kept is in the
                log.
            LinkLost: There is no connection, and no outbox.
            Exception: What the device manager raises, if it is asked for the device.
            UsageError: That is no device, no service or no JSON.
            StructiotError: There will be no connection any more.
        """
        device_id = device_id_of(device)
        check_argument("service", service, str)
        if not device_id or not service:
            raise UsageError("an event has a device and a service: one is empty")
        link = self._link
        event = Outgoing(
            device_id,
            service,
            part_text(data),
            part_text(metadata, "metadata"),
            is_awaited=False,
        )
        await anyio.lowlevel.checkpoint_if_cancelled()
        link.check()
        await link.check_event(device_id, service)
        event.is_awaited = link.is_ready or link.is_starting
        link.outbox.add(event)
        if event.is_awaited:
            try:
                await event.settled.wait()
            finally:
                link.outbox.abandon(event)
        if event.refusal is not None:
            raise event.refusal
        if event.response is None and not link.outbox.max_items:
            raise LinkLost("the event has not reached the platform: no connection")
        return event.response

    # -- commands ----------------------------------------------------------------------

    @asynccontextmanager
    async def commands(self) -> AsyncGenerator[Mailbox[Command]]:
        """Iterate over the commands of the platform, until the connector ends.

        They are kept from the first moment on, also while nobody iterates. Of 256 that
        wait, or 16 MB, those beyond are left unanswered, counted (`commands_dropped`) and
        logged: the platform's tasks run into their time limits. Several tasks may iterate;
        each command goes to one of them.
        """
        yield self._link.commands

    async def serve(self, handler: CommandHandler, *, limit: int = 8) -> None:
        """Call a handler for each command, until cancelled or the connector ends.

        Commands of one device are handled one after the other, as they came. One that the
        handler leaves unanswered is answered by an error, as by `async with command`; what
        the handler raises goes to the log, and ends nothing else.

        Args:
            handler: Is called with the command.
            limit: How many commands are handled at once.

        Raises:
            UsageError: No async function, or no such limit.
        """
        check_argument("limit", limit, int)
        check_handler("handler", handler)
        if limit < 1:
            raise UsageError(f"limit is 1 or more, not {limit}")
        async with service_group(is_awaited=True) as tasks:
            serving = Serving(handler, limit, tasks)
            async for command in self._link.commands:
                await serving.take(command)
