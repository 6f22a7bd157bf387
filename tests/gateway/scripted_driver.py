"""A driver that does what a test has it do, and a gateway that runs it."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

import anyio
import pytest

from structiot import Environment
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import DeviceRegistry, Source, SystemSection, with_driver
from structiot.model import DeviceInfo, Switch
from structiot.testing import MemoryNetwork
from tests.gateway.support import ScriptedDevice

Run = Callable[["ScriptedDriver"], Awaitable[None]]


class Section(SystemSection):
    """A section without settings."""


class ScriptedDriver:
    """Does what a test has it do; the test sees every start."""

    system: ClassVar[str] = "toy"
    section: ClassVar[type[SystemSection]] = Section
    does: ClassVar[Run]
    starts: ClassVar[list[float]]
    finds_more = True

    def __init__(self, section: Section, environment: Environment) -> None:
        self.environment = environment

    async def run(self, registry: DeviceRegistry) -> None:
        self.registry = registry
        type(self).starts.append(anyio.current_time())
        await type(self).does(self)


def scripted(does: Run, *, system: str = "toy") -> type[ScriptedDriver]:
    members = {"does": staticmethod(does), "starts": [], "system": system}
    return type("Scripted", (ScriptedDriver,), members)


async def stay(driver: ScriptedDriver) -> None:
    driver.registry.started()
    await anyio.sleep_forever()


def plug(id_: str = "P1", system: str = "toy", **more: Any) -> ScriptedDevice:
    info = DeviceInfo(id=id_, system=system, name="Plug", serial=id_)
    return ScriptedDevice(info, (Switch(key="relay", name="Relay"),), **more)


def source_of(device: ScriptedDevice, **more: Any) -> Source:
    given = {"key": device.info.id, "label": f"plug {device.info.id}"}
    options: dict[str, Any] = {**given, "open": device.open, **more}
    return Source(**options)


@asynccontextmanager
async def serving(*drivers: type[ScriptedDriver]) -> AsyncIterator[Gateway]:
    """Serve scripted systems on an embedded broker, in memory."""
    async with AsyncExitStack() as stack:
        for driver in drivers:
            stack.enter_context(with_driver(driver.system, driver))
        config = load_config({driver.system: {} for driver in drivers})
        environment = Environment(network=MemoryNetwork())
        yield await stack.enter_async_context(
            open_gateway(config, environment=environment)
        )


def shown(gateway: Gateway, system: str = "toy") -> dict[str, Any]:
    payload = gateway.publisher.wanted[f"structiot/gateway/drivers/{system}"]
    found: dict[str, Any] = json.loads(payload)
    return found


def state_of(gateway: Gateway, system: str = "toy") -> tuple[str, str]:
    found = shown(gateway, system)
    return found["state"], found["reason"]


def of_gateway(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("structiot.gateway")
        and record.levelno >= logging.WARNING
    ]
