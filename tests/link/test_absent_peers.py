"""A peer that is away is one warning in every system, and its return a line at INFO."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeAlias

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus

from structiot import ConnectFailed, Environment, open_mqttclient
from structiot.connector import Device, DevicePool, open_connector
from structiot.manager import open_manager, open_manager_client
from structiot.maxsmart import maxsmart_device
from structiot.meross import open_meross_lan
from structiot.mqtt import open_broker
from structiot.sim import (
    sim_maxsmart,
    sim_meross_device,
    sim_senergy,
    sim_sepl_platform,
)

pytestmark = pytest.mark.virtual_time

BROKER = "mqtt://127.0.0.1/"
HOST = "127.0.0.1"
KEY = "a key"
UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
CONFIG = {"host": HOST, "port": 9, "user": "ann", "password": "her word"}
SENERGY = {
    "platform": "senergy",
    "api_url": "http://127.0.0.1:9",
    "token_url": "http://127.0.0.1:9/token",
    "client_id": "app",
}
# Whose logger is another system's.
NAMES = {"sepl": "connector", "senergy": "connector"}


class Both:
    """Two hosts of one peer."""

    def __init__(self, *hosts: Any) -> None:
        self._hosts = hosts

    async def plug_in(self) -> None:
        for one in self._hosts:
            await one.plug_in()

    async def unplug(self) -> None:
        for one in self._hosts:
            await one.unplug()


System: TypeAlias = Callable[[Environment, AsyncExitStack], Awaitable[Any]]


class Served:
    """A peer of ours, plugged in and unplugged like a simulator."""

    def __init__(self, tasks: TaskGroup, opening: Callable[[], Any]) -> None:
        self._tasks = tasks
        self._opening = opening
        self._scope = anyio.CancelScope()

    async def plug_in(self) -> None:
        await self._tasks.start(self._serve)

    async def _serve(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.CancelScope() as self._scope:
            async with self._opening():
                task_status.started()
                await anyio.sleep_forever()

    async def unplug(self) -> None:
        self._scope.cancel()


async def served(stack: AsyncExitStack, opening: Callable[[], Any]) -> Served:
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    peer = Served(tasks, opening)
    await peer.plug_in()
    return peer


def client(environment: Environment, **settings: Any) -> Any:
    return open_mqttclient(BROKER, environment=environment, **settings)


async def mqtt(environment: Environment, stack: AsyncExitStack) -> Served:
    broker = await served(stack, lambda: open_broker(BROKER, environment=environment))
    await stack.enter_async_context(client(environment))
    return broker


def device(environment: Environment) -> Any:
    return open_manager_client(HOST, uuid=UUID, type="light", environment=environment)


async def manager(environment: Environment, stack: AsyncExitStack) -> Served:
    opening = partial(open_manager, types=["light"], environment=environment)
    server = await served(stack, opening)
    await stack.enter_async_context(device(environment))
    return server


def connector(simulated: Callable[..., Any]) -> System:
    async def system(environment: Environment, stack: AsyncExitStack) -> Any:
        platform = await stack.enter_async_context(simulated(environment=environment))
        devices = DevicePool()
        devices.add(Device("lamp-1", "lamp", "Lamp"))
        await stack.enter_async_context(
            open_connector(
                platform.config, devices, wait_ready=True, environment=environment
            )
        )
        return Both(platform, platform.broker) if simulated is sim_senergy else platform

    return system


async def maxsmart(environment: Environment, stack: AsyncExitStack) -> Any:
    sim = await stack.enter_async_context(sim_maxsmart(environment=environment))
    strip = maxsmart_device(HOST, environment=environment)
    await stack.enter_async_context((await stack.enter_async_context(strip)).readings())
    return sim


async def meross(environment: Environment, stack: AsyncExitStack) -> Any:
    simulated = sim_meross_device(HOST, key=KEY, environment=environment)
    sim = await stack.enter_async_context(simulated)
    plug = open_meross_lan(HOST, key=KEY, environment=environment)
    await stack.enter_async_context((await stack.enter_async_context(plug)).readings())
    return sim


SYSTEMS: dict[str, System] = {
    "mqtt": mqtt,
    "manager": manager,
    "sepl": connector(sim_sepl_platform),
    "senergy": connector(sim_senergy),
    "maxsmart": maxsmart,
    "meross": meross,
}


# What looks for a peer where there is none.
ALONE: dict[str, Callable[..., Any]] = {
    "mqtt": partial(client, config={"reconnect_retries": -1}, wait_connected=False),
    "manager": device,
    "sepl": partial(open_connector, CONFIG, DevicePool()),
    "senergy": partial(open_connector, {**CONFIG, **SENERGY}, DevicePool()),
}


def lines(caplog: pytest.LogCaptureFixture, system: str, level: int) -> list[str]:
    name = f"structiot.{NAMES.get(system, system)}"
    return [
        one.getMessage()
        for one in caplog.records
        if one.levelno >= level and one.name.startswith(name)
    ]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_each_absence_is_one_warning_and_each_return_a_line(
    system: str, environment: Environment, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    async with AsyncExitStack() as stack:
        peer = await SYSTEMS[system](environment, stack)
        await anyio.sleep(10)
        assert lines(caplog, system, logging.WARNING) == []
        for _ in range(2):
            await peer.unplug()
            await anyio.sleep(60)
            assert len(lines(caplog, system, logging.WARNING)) == 1
            caplog.clear()
            await peer.plug_in()
            await anyio.sleep(100)
            assert lines(caplog, system, logging.WARNING) == []
            assert lines(caplog, system, logging.INFO)
            caplog.clear()


@pytest.mark.parametrize("system", ALONE)
async def test_a_peer_that_was_never_there_is_one_warning(
    system: str, environment: Environment, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    async with ALONE[system](environment=environment):
        await anyio.sleep(60)
        (told,) = lines(caplog, system, logging.WARNING)
        assert HOST in told
        assert len(lines(caplog, system, logging.INFO)) > 3


async def test_who_waits_for_the_first_connection_has_its_error_and_no_warning(
    environment: Environment, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(ConnectFailed, match="cannot connect"):
        async with client(environment):
            pytest.fail("it is open")
    assert lines(caplog, "mqtt", logging.WARNING) == []
