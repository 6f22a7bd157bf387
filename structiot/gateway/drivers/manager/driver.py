"""Devices that dial in to the gateway: each one that does is a device, known by its UUID."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, ClassVar, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from structiot._kit.environment import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.counted_warnings import CountedWarnings
from structiot._kit.net.network import place
from structiot.gateway.config.fields import SystemSection
from structiot.gateway.drivers.driver import DeviceRegistry, ManagedDevice, Source
from structiot.gateway.drivers.manager.dialled_device import DialledDevice
from structiot.gateway.drivers.manager.mapping import TypeMapping
from structiot.gateway.drivers.manager.section import ManagerSection
from structiot.manager import (
    BaseClient,
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    Manager,
    ManagerEvent,
    MessageReceived,
    open_manager,
)

__all__ = ["ManagerDriver"]

# Others run after so much was read; an event without a message counts, too.
_BYTES_A_TURN: Final = 65_536
_BYTES_AN_EVENT: Final = 1024
_LOOKS_A_TURN: Final = 64

_log = logging.getLogger(__name__)


class ManagerDriver:
    """Serves the listeners of `[manager]`, and names each device that dials in."""

    system: ClassVar[str] = "manager"
    section: ClassVar[type[SystemSection]] = ManagerSection
    finds_more = True

    _registry: DeviceRegistry
    _manager: Manager
    _warnings: CountedWarnings

    def __init__(self, section: ManagerSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment
        self._usual = TypeMapping(None)
        self._mappings = {
            name: TypeMapping(one) for name, one in (section.types or {}).items()
        }
        self._devices: dict[str, DialledDevice] = {}
        self._managed: dict[str, ManagedDevice] = {}

    async def run(self, registry: DeviceRegistry) -> None:
        """Name the devices as they dial in, for as long as the gateway runs."""
        self._registry = registry
        section = self._section
        # It reads files.
        first, *others = await anyio.to_thread.run_sync(
            section.all_listeners, abandon_on_cancel=True
        )
        try:
            async with (
                open_manager(
                    section.taken,
                    first.host,
                    first.port,
                    ssl_context=first.ssl_context,
                    dialect=first.dialect,
                    listeners=others,
                    secrets=section.secrets,
                    heartbeat_s=section.heartbeat_s,
                    reply_s=section.reply_s,
                    environment=self._environment,
                ) as self._manager,
                self._manager.events() as events,
                service_group() as tasks,
            ):
                self._warnings = CountedWarnings(_log, tasks)
                # Those of an earlier start stay: they dial in when they like.
                registry.started(keeps_found=True)
                await self._follow(events)
        finally:
            for device in self._devices.values():
                device.left("the manager has ended")

    @classmethod
    def simulated(
        cls,
        environment: Environment,
        *,
        count: int | None = None,
        day_s: float = 86_400.0,
    ) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Simulate devices of three types that dial in."""
        # Who serves real devices needs no simulator.
        from structiot.gateway.drivers.manager import simulated  # noqa: PLC0415

        return simulated.simulated_fleet(environment, count=count, day_s=day_s)

    async def _follow(self, events: Mailbox[ManagerEvent]) -> None:
        lost = waiting_bytes = 0
        async for event in events:
            waiting_bytes += _BYTES_AN_EVENT
            match event:
                case MessageReceived(client=client, data=data, at_utc=at_utc):
                    waiting_bytes += len(data)
                    if (device := self._devices.get(client.uuid)) is not None:
                        device.took(data, at_utc)
                case ClientConnected(client=client):
                    self._came(client)
                case ClientDisconnected(client=client, reason=reason):
                    self._went(client, reason)
                case ClientRefused(address=address, reason=reason):
                    text = f"{place(*address)} was refused: {reason}"
                    self._warnings.say(text, "devices were refused")
            if events.dropped > lost and not events:
                lost = events.dropped
                await self._look_at_all()
            if waiting_bytes > _BYTES_A_TURN:
                waiting_bytes = 0
                await anyio.lowlevel.checkpoint()

    def _came(self, client: BaseClient) -> None:
        device = self._devices.get(client.uuid)
        mapping = self._mappings.get(client.type, self._usual)
        if device is not None:
            device.came(client, mapping)
            if not device.is_followed:
                self._managed[client.uuid].reopen()
        elif len(self._devices) >= self._section.max_devices:
            text = f"{client.uuid} is not shown: there are max_devices already"
            self._warnings.say(text, "devices are not shown")
        else:
            device = DialledDevice(client, mapping, self._environment)
            self._devices[client.uuid] = device
            source = Source(
                key=client.uuid,
                label=f"{client.type} {client.uuid}",
                open=lambda: nullcontext(device),
                is_found=True,
                comes_by_itself=True,
            )
            self._managed[client.uuid] = self._registry.add(source)

    def _went(self, client: BaseClient, reason: str) -> None:
        device = self._devices.get(client.uuid)
        # The event of a newer connection, which has replaced it, is on its way.
        if device is not None and client.uuid not in self._manager.fleet:
            device.left(reason)

    async def _look_at_all(self) -> None:
        """See who is there, after events were lost."""
        fleet = self._manager.fleet
        for number, uuid in enumerate({*self._devices, *fleet}, start=1):
            client, device = fleet.get(uuid), self._devices.get(uuid)
            if client is not None and (device is None or device.client is not client):
                self._came(client)
            elif client is None and device is not None:
                device.left(device.client.end_reason)
            if number % _LOOKS_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
