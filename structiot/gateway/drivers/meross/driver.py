"""Meross devices: those of an account, as they come and go, and those that are listed.

An account is one connection, which holds its devices open; a listed one is opened here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from typing import Any, ClassVar

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import place
from structiot.errors import LinkLost
from structiot.gateway.config.fields import SystemSection
from structiot.gateway.drivers.driver import DeviceRegistry, ManagedDevice, Source
from structiot.gateway.drivers.meross.account_device import account_source
from structiot.gateway.drivers.meross.section import MerossDeviceSection, MerossSection
from structiot.gateway.drivers.shared_connection import SharedConnection
from structiot.gateway.status import BudgetStatus, DriverStatus, LinkStatus
from structiot.meross import (
    DeviceAdded,
    DeviceRemoved,
    Meross,
    MerossDevice,
    MerossSubdevice,
    MfaRequired,
    NotSignedIn,
    open_meross,
    open_meross_lan,
)
from structiot.model import Device

__all__ = ["MerossDriver"]

_FIRST_S = 30.0  # then the gateway is told that all has begun


class MerossDriver:
    """Names the devices of `[meross]`; what hangs on a hub comes and goes with it."""

    system: ClassVar[str] = "meross"
    section: ClassVar[type[SystemSection]] = MerossSection
    finds_more = True

    _registry: DeviceRegistry

    def __init__(self, section: MerossSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment
        self._managed: dict[str, ManagedDevice] = {}
        self._account: SharedConnection[Meross] | None = None

    async def run(self, registry: DeviceRegistry) -> None:
        """Name the listed devices, and those of the account as long as it has them."""
        self._registry = registry
        for device in self._section.devices:
            self._list(device)
        if not self._section.has_account:
            registry.started(keeps_found=True)
            return
        account = registry.share("Meross account", self._open_account)
        self._account = account
        with anyio.move_on_after(_FIRST_S):
            await account.changed()
        while True:
            with suppress(LinkLost):
                async with account.in_use(partial(self._show_account, account)):
                    await self._follow_account(account)

    @classmethod
    def simulated(
        cls,
        environment: Environment,
        *,
        count: int | None = None,
        day_s: float = 86_400.0,
    ) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Simulate a cloud with an account of ten devices, each of another kind."""
        # Who serves real devices needs no simulator.
        from structiot.gateway.drivers.meross import simulated  # noqa: PLC0415

        return simulated.simulated_account(environment, count=count, day_s=day_s)

    def status(self) -> DriverStatus:
        """Tell of the account's brokers, and what devices may be sent by them."""
        if self._account is None or self._account.reason:
            return DriverStatus()
        meross = self._account.connection
        limiter = meross.rate_limiter
        most = None if limiter is None else limiter.per_hour
        links = (
            LinkStatus(
                name=f"Meross broker {place(*broker)}",
                is_up=is_up,
                reason="" if is_up else "no connection",
            )
            for broker, is_up in meross.brokers.connected.items()
        )
        budgets = (
            BudgetStatus(
                name=f"Meross messages to {meross.devices[uuid].info.name}",
                left=one.left or 0,
                most=most or 0,
                unit="messages an hour",
            )
            for uuid, one in meross.budget.devices.items()
            if most is not None and uuid in meross.devices
        )
        return DriverStatus(links=tuple(links), budgets=tuple(budgets))

    @asynccontextmanager
    async def _open_account(self) -> AsyncGenerator[Meross]:
        section, opening = self._section, open_meross
        if section.store is not None:
            opening = partial(open_meross, store=section.store)
        try:
            async with opening(
                email=section.email,
                password=section.password,
                rate_limiter=section.limiter(),
                policy=section.policy,
                url=section.url,
                country=section.country,
                lan_ports=section.lan_ports,
                poll_s=section.poll_s,
                environment=self._environment,
            ) as meross:
                yield meross
        except MfaRequired as exc:
            exc.add_note("`structiot meross login` asks for it, and keeps the token")
            raise
        except NotSignedIn as exc:
            exc.add_note("`structiot meross login` keeps one where it is looked for")
            raise

    def _show_account(
        self, account: SharedConnection[Meross], _trouble: str = ""
    ) -> None:
        """Have the account itself be a device, whatever becomes of it."""
        if "account" not in self._managed:
            source = account_source(self._section, account, self._environment)
            self._managed["account"] = self._registry.add(source)
        self._registry.started(keeps_found=True)

    async def _follow_account(self, account: SharedConnection[Meross]) -> None:
        meross = account.connection
        for uuid in self._managed.keys() - meross.devices.keys() - {"account"}:
            if "/" not in uuid:
                self._release(uuid)
        async with meross.events() as events:
            for device in [*meross.devices.values()]:
                self._add(device, account)
            self._show_account(account)
            async for event in events:
                match event:
                    case DeviceAdded(device):
                        self._add(device, account)
                    case DeviceRemoved(device):
                        self._release(device.info.id)
        await anyio.sleep_forever()

    def _add(self, device: MerossDevice, account: SharedConnection[Meross]) -> None:
        uuid = device.info.id
        if uuid not in self._managed:
            source = Source(
                key=uuid,
                label=f"{device.about.model} {device.info.name}",
                open=lambda: self._with_subdevices(_of_account(account, uuid)),
                is_found=True,
                parent=account,
                settings=uuid,
            )
            self._managed[uuid] = self._registry.add(source)

    def _release(self, key: str) -> None:
        """Give up a device, with what hangs on it."""
        for one in [*self._managed]:
            if one == key or one.startswith(f"{key}/"):
                self._managed.pop(one).release()

    def _list(self, device: MerossDeviceSection) -> None:
        host, port, name = device.host, device.port, device.name
        key = device.key or self._section.key or ""
        env, poll_s = self._environment, device.poll_s or self._section.poll_s
        source = Source(
            key=f"{host}:{port}",
            label=f"Meross device at {host}:{port}",
            open=lambda: self._with_subdevices(
                open_meross_lan(
                    host, port, key=key, name=name, poll_s=poll_s, environment=env
                )
            ),
            name=name,
            settings=(device, key, poll_s),
        )
        self._registry.add(source)

    @asynccontextmanager
    async def _with_subdevices(
        self, opening: AbstractAsyncContextManager[MerossDevice]
    ) -> AsyncGenerator[Device]:
        """Open a device; if it is a hub, what hangs on it is in care that long."""
        async with opening as device, service_group() as tasks:
            name = f"structiot.meross subdevices of {device.info.id}"
            tasks.start_soon(self._follow_subdevices, device, name=name)
            yield device

    async def _follow_subdevices(self, hub: MerossDevice) -> None:
        known: dict[str, MerossSubdevice] = {}
        async with hub.events() as events:
            async for _ in events:
                for sub_id in known.keys() - hub.subdevices.keys():
                    self._release(f"{hub.info.id}/{sub_id}")
                for sub_id, device in hub.subdevices.items():
                    if known.get(sub_id) is not device:
                        self._add_subdevice(f"{hub.info.id}/{sub_id}", device)
                known = dict(hub.subdevices)

    def _add_subdevice(self, key: str, device: MerossSubdevice) -> None:
        source = Source(
            key=key,
            label=f"{device.info.name} of {device.hub.info.name}",
            open=lambda: nullcontext(device),
            is_found=True,
            comes_by_itself=True,
        )
        self._managed[key] = self._registry.add(source)


@asynccontextmanager
async def _of_account(
    account: SharedConnection[Meross], uuid: str
) -> AsyncGenerator[MerossDevice]:
    device = account.connection.device(uuid)
    await device.known()
    yield device
