"""A simulated SENERGY platform in memory, and connectors that know it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio

from structiot import Environment
from structiot.connector import Connector, Device, DevicePool, open_connector
from structiot.sim import SenergySim, sim_senergy
from structiot.testing import MemoryNetwork
from tests.link.connector.gateways import until

HOST = "10.0.0.9"
SYNC_S = 300


@asynccontextmanager
async def senergy(**arguments: Any) -> AsyncIterator[SenergySim]:
    environment = Environment(network=MemoryNetwork(), random=Random(0))
    async with sim_senergy(host=HOST, environment=environment, **arguments) as platform:
        yield platform


def lamp(device_id: str = "dev1", name: str = "Lamp", **tags: str) -> Device:
    device = Device(device_id, "lamp", name)
    for tag_id, tag in (tags or {"room": "kitchen"}).items():
        device.add_tag(tag_id, tag)
    return device


def pool(*devices: Device) -> DevicePool:
    manager = DevicePool()
    for one in devices or (lamp(), lamp("dev2", "Fan")):
        manager.add(one)
    return manager


@asynccontextmanager
async def connector_of(
    platform: SenergySim,
    devices: DevicePool | None = None,
    *,
    config: Mapping[str, Any] | Path | None = None,
    is_ready: bool = True,
    **changes: Any,
) -> AsyncIterator[Connector]:
    """Open a connector, by default one that is ready."""
    async with open_connector(
        {**platform.config, **changes} if config is None else config,
        devices=pool() if devices is None else devices,
        environment=platform.environment,
    ) as connector:
        if is_ready:
            with anyio.fail_after(SYNC_S):
                await connector.wait_ready()
        yield connector


def config_file(folder: Path, platform: SenergySim) -> Path:
    """Write a `connector.conf` for a platform."""
    path = folder / "connector.conf"
    told = {**platform.config, "encryption": "no"}
    lines = [f"{name} = {value}" for name, value in told.items()]
    path.write_text("\n".join(["[CONNECTOR]", *lines, ""]), "utf-8")
    return path


def changes_of(platform: SenergySim) -> list[str]:
    """Give the calls that have changed something, and forget all."""
    found = [
        f"{one.method} {one.path}"
        for one in platform.calls
        if one.method not in {"GET", "HEAD"} and "token" not in one.path
    ]
    platform.calls.clear()
    return found


async def until_ready_again(connector: Connector) -> None:
    await until(lambda: not connector.is_ready)
    with anyio.fail_after(SYNC_S):
        await connector.wait_ready()
