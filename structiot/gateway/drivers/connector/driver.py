"""The driver of `[connector]`: it brings no devices, and offers those of the others."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, ClassVar

import anyio.to_thread

from structiot._kit.environment import Environment
from structiot._kit.text import error_text
from structiot.connector import Connector, Ended, Ready, Waiting, open_connector
from structiot.gateway.config.fields import SystemSection
from structiot.gateway.drivers.connector.bridge import Bridge
from structiot.gateway.drivers.connector.kept import KeptDevices
from structiot.gateway.drivers.connector.section import ConnectorSection
from structiot.gateway.drivers.driver import DeviceRegistry
from structiot.gateway.status import DriverStatus, LinkStatus

__all__ = ["ConnectorDriver"]


class ConnectorDriver:
    """Offers the gateway's devices to the platform of `[connector]`."""

    system: ClassVar[str] = "connector"
    section: ClassVar[type[SystemSection]] = ConnectorSection
    finds_more = False

    def __init__(self, section: ConnectorSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment
        self._link = LinkStatus(name="platform", is_up=False, reason="not opened yet")
        self._connector: Connector | None = None

    def status(self) -> DriverStatus:
        """Tell of the connection to the platform."""
        connector = self._connector
        if connector is None:
            return DriverStatus(links=(self._link,))
        reason = ""
        match connector.state:
            case Waiting(reason=error) | Ended(reason=error):
                reason = error_text(error)
            case Ready():
                pass
            case state:
                reason = type(state).__name__.lower()
        link = replace(self._link, is_up=not reason, reason=reason)
        return DriverStatus(links=(link,))

    async def run(self, registry: DeviceRegistry) -> None:
        """Offer them for as long as the gateway runs; the platform may be away.

        Raises:
            AuthRefused: The platform refuses the user.
            ConfigError: The file with its settings cannot be used.
        """
        registry.started()
        section = self._section
        kept = KeptDevices(registry.gateway.state)
        gid = kept.gid(section.place)
        config = await anyio.to_thread.run_sync(
            section.config, gid, abandon_on_cancel=True
        )
        bridge = Bridge(registry, section, kept)
        await bridge.begin()
        name = f"platform {config.platform} at {config.host}"
        self._link = replace(self._link, name=name)
        opened = open_connector(config, devices=kept, environment=self._environment)
        async with opened as connector:
            self._connector = connector
            await bridge.run(connector)

    @classmethod
    def simulated(
        cls,
        environment: Environment,
        *,
        count: int | None = None,  # noqa: ARG003 - there is one platform
        day_s: float = 86_400.0,  # noqa: ARG003 - it has no days
    ) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Simulate a platform, to which all devices of the house are offered."""
        # Who has a real platform needs no simulator.
        from structiot.gateway.drivers.connector import simulated  # noqa: PLC0415

        return simulated.simulated_platform(environment)
