"""The driver of `[connector]`: it brings no devices, and offers those of the others."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import anyio.to_thread

from structiot._kit.environment import Environment
from structiot.connector import open_connector
from structiot.gateway.config.fields import SystemSection
from structiot.gateway.drivers.connector.bridge import Bridge
from structiot.gateway.drivers.connector.kept import KeptDevices
from structiot.gateway.drivers.connector.section import ConnectorSection
from structiot.gateway.drivers.driver import DeviceRegistry

__all__ = ["ConnectorDriver"]


class ConnectorDriver:
    """Offers the gateway's devices to the platform of `[connector]`."""

    system: ClassVar[str] = "connector"
    section: ClassVar[type[SystemSection]] = ConnectorSection
    finds_more = False

    def __init__(self, section: ConnectorSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment

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
        opened = open_connector(config, devices=kept, environment=self._environment)
        async with opened as connector:
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
