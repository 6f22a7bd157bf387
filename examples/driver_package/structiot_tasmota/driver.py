"""`[tasmota]` in the configuration of a gateway: the plugs that are listed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from structiot.devices import Environment
from structiot.gateway.drivers import (
    DeviceName,
    DeviceRegistry,
    Host,
    Port,
    Section,
    Source,
    SystemSection,
    seconds,
)
from structiot_tasmota.plug import open_plug
from structiot_tasmota.simulator import TasmotaSim

__all__ = ["TasmotaDriver", "TasmotaSection"]


class PlugSection(Section):
    """`[[tasmota.devices]]`: one plug."""

    host: Host
    port: Port = 80
    name: DeviceName | None = None


class TasmotaSection(SystemSection):
    """`[tasmota]`: plugs with Tasmota's firmware."""

    poll_s: Annotated[float, seconds(0.5, 3600)] = 5.0
    devices: Annotated[tuple[PlugSection, ...], Field(strict=False)] = ()


class TasmotaDriver:
    """Names the plugs of `[tasmota]`; the gateway opens them and keeps them open."""

    system: ClassVar[str] = "tasmota"
    section: ClassVar[type[SystemSection]] = TasmotaSection
    finds_more = False

    def __init__(self, section: TasmotaSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment

    async def run(self, registry: DeviceRegistry) -> None:
        """Name the plugs; there is nothing more to do."""
        for plug in self._section.devices:
            open_it = partial(
                open_plug,
                plug.host,
                port=plug.port,
                name=plug.name,
                poll_s=self._section.poll_s,
                environment=self._environment,
            )
            place = f"{plug.host}:{plug.port}"
            source = Source(
                key=place,
                label=f"plug at {place}",
                open=open_it,
                name=plug.name,
                settings=(plug, self._section.poll_s),
            )
            registry.add(source)
        registry.started()

    @classmethod
    @asynccontextmanager
    async def simulated(
        cls, environment: Environment, *, count: int | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Simulate plugs, one by default, and give the section that leads to them."""
        async with AsyncExitStack() as stack:
            sims = [
                await stack.enter_async_context(
                    TasmotaSim("127.0.0.1", number=number, environment=environment)
                )
                for number in range(1, (count or 1) + 1)
            ]
            devices = [
                {"host": sim.host, "port": sim.http_port, "name": f"Plug {sim.number}"}
                for sim in sims
            ]
            yield {"poll_s": 1.0, "devices": devices}
