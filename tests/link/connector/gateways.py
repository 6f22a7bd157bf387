"""Gateways on a simulated platform, in a network of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio

from structiot import Environment
from structiot.connector import (
    Command,
    Connector,
    ConnectorState,
    Device,
    DevicePool,
    open_connector,
)
from structiot.sim import SeplPlatformSim, sim_sepl_platform
from structiot.testing import MemoryNetwork

TYPE = "iot#type-1"


def new_environment() -> Environment:
    return Environment(network=MemoryNetwork(), random=Random(1))


def lamp(number: int = 1) -> Device:
    return Device(f"lamp-{number}", TYPE, f"Lamp {number}")


def lamps(count: int) -> DevicePool:
    return pool(lamp(number) for number in range(1, count + 1))


def pool(devices: Iterable[Device] = ()) -> DevicePool:
    found = DevicePool()
    for device in devices:
        found.add(device)
    return found


@asynccontextmanager
async def gateway(
    count: int = 1, *, devices: Any = None, sim: Any = None, **options: Any
) -> AsyncGenerator[tuple[SeplPlatformSim, Connector]]:
    """A platform and a connector that is ready, with so many lamps."""
    environment = new_environment()
    options.setdefault("wait_ready", True)
    async with (
        sim_sepl_platform(environment=environment, **(sim or {})) as platform,
        open_connector(
            platform.config,
            lamps(count) if devices is None else devices,
            environment=environment,
            **options,
        ) as connector,
    ):
        yield platform, connector


async def until(holds: Callable[[], object], within_s: float = 600) -> None:
    """Wait until something holds, by looking."""
    with anyio.fail_after(within_s):
        while not holds():  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.01)


async def until_state(connector: Connector, kind: type[ConnectorState]) -> Any:
    """Wait for a state."""
    async with connector.states() as states:
        with anyio.fail_after(4000):
            async for state in states:
                if isinstance(state, kind):
                    return state
    raise AssertionError("the connector has ended")


def handlers(platform: SeplPlatformSim, connection: int | None = None) -> list[str]:
    """What was asked, in its order."""
    return [
        one.handler for one in platform.messages if connection in {None, one.connection}
    ]


class Asking:
    """Sends commands, and holds what was answered."""

    def __init__(self, platform: SeplPlatformSim, tasks: Any) -> None:
        self.answers: list[tuple[str, str | None, str | None]] = []
        self._platform = platform
        self._tasks = tasks

    def ask(self, device: str = "lamp-1", service: str = "on", **parts: Any) -> None:
        self._tasks.start_soon(self._ask, device, service, parts)

    async def _ask(self, device: str, service: str, parts: dict[str, Any]) -> None:
        told = await self._platform.send_command(device, service, parts or None)
        self.answers.append((service, told.data, told.metadata))


async def taken(connector: Connector) -> Command:
    async with connector.commands() as commands:
        return await anext(commands)
