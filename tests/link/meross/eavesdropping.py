"""An app, a device and somebody who listens, in one simulated cloud."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from structiot import Environment
from structiot.meross.account import Meross
from structiot.meross.capture import Sniffer, open_sniffer
from structiot.meross.device import MerossDevice
from structiot.meross.opening import open_meross
from structiot.meross.wire.envelope import Method
from structiot.sim.meross import (
    MerossCloudSim,
    MerossSim,
    sim_meross_cloud,
    sim_meross_device,
)
from structiot.testing import MemoryNetwork
from tests.sim.meross.cloud_clients import App, app_of

EMAIL, PASSWORD = "anna.somebody@example.com", "correct horse battery"
UUID = "2401010000000000000048e1e9aabbcc"
TOGGLE = "Appliance.Control.ToggleX"
LIGHT = "Appliance.Control.Light"


@dataclass
class Room:
    """Everybody in it; the account is the listener's."""

    cloud: MerossCloudSim
    sim: MerossSim
    app: App
    account: Meross
    environment: Environment
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> MerossDevice:
        return self.account.device(UUID)

    @asynccontextmanager
    async def sniffing(self, path: Path, **options: Any) -> AsyncGenerator[Sniffer]:
        async with open_sniffer(
            self.account, self.device, path, environment=self.environment, **options
        ) as sniffer:
            await anyio.sleep(2)
            yield sniffer

    async def switch(self, *, is_on: bool, channel: int = 0) -> None:
        await self.order(TOGGLE, {"togglex": {"channel": channel, "onoff": int(is_on)}})

    async def order(self, namespace: str, payload: dict[str, Any]) -> None:
        """Have the app order something, and wait until it was answered."""
        await self.app.ask(namespace, Method.SET, UUID, payload=payload)
        await self.app.hear(1)
        await anyio.sleep(1)


@asynccontextmanager
async def room(model: str = "mss310", **cloud_options: Any) -> AsyncGenerator[Room]:
    environment = Environment(network=MemoryNetwork())
    async with sim_meross_cloud(
        EMAIL, PASSWORD, host="cloud", environment=environment, **cloud_options
    ) as cloud:
        cloud.register(uuid=UUID, name="Anna's lamp", device_type=model)
        async with (
            sim_meross_device(
                "192.168.1.60",
                model=model,
                uuid=UUID,
                key=cloud.key,
                user_id=cloud.user_id,
                broker=(cloud.broker.host, cloud.broker.port, None),
                environment=environment,
            ) as sim,
            open_meross(
                url=cloud.url,
                email=EMAIL,
                password=PASSWORD,
                environment=environment,
            ) as account,
            app_of(cloud, retry_refused=True) as app,
        ):
            await anyio.sleep(10)
            yield Room(cloud, sim, app, account, environment)


def texts_of(path: Path) -> dict[str, str]:
    """Give what the members of a capture say."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def log_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in texts_of(path)["log.ndjson"].splitlines()]


def commands_of(path: Path) -> list[dict[str, Any]]:
    found = json.loads(texts_of(path)["commands.json"])
    assert isinstance(found, list)
    return found


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def make_folder(path: Path) -> None:
    path.mkdir()


def names_beside(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())
