"""A Meross account in a gateway, all in memory: what tests of the driver begin with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio

from structiot import Environment
from structiot._kit.environment import Clock
from structiot.gateway.drivers.meross import MerossDriver
from structiot.sim import MerossCloudSim, MerossSim, sim_meross_cloud, sim_meross_device
from structiot.testing.drivers.bench import DriverBench, open_driver_bench
from structiot.testing.drivers.outage import OutageNetwork

ACCOUNT = "structiot/meross_account_b4c9a289323b"


class MerossHouse:
    """A cloud, devices that are bound to it, and a gateway that serves them."""

    def __init__(
        self,
        cloud: MerossCloudSim,
        folder: Path,
        environment: Environment,
    ) -> None:
        self.cloud = cloud
        self.environment = environment
        self._folder = folder

    @property
    def section(self) -> dict[str, Any]:
        """The section that leads to the account; the token is kept for this test alone."""
        return {
            "email": self.cloud.email,
            "password": self.cloud.password,
            "url": self.cloud.url,
            "store": str(self._folder / "meross.json"),
        }

    def device(
        self, model: str = "mss310", host: str = "10.0.0.1", **more: Any
    ) -> AbstractAsyncContextManager[MerossSim]:
        """Bind a device."""
        options = {"cloud": self.cloud, **more}
        return sim_meross_device(
            host, model=model, environment=self.environment, **options
        )

    @asynccontextmanager
    async def gateway(
        self,
        section: Mapping[str, Any] | None = None,
        *,
        seconds: float = 60,
        **settings: Any,
    ) -> AsyncIterator[Served]:
        """Serve the account for a while, then give what is on the broker."""
        given = self.section if section is None else section
        # Nobody is to be found dead here.
        settings.setdefault("mqtt", {"keep_alive_s": 65_535})
        async with open_driver_bench(
            MerossDriver, given, environment=self.environment, settings=settings
        ) as bench:
            await anyio.sleep(seconds)
            yield Served(bench)


class Served:
    """What a gateway shows of Meross."""

    def __init__(self, bench: DriverBench) -> None:
        self.bench = bench
        self.gateway = bench.gateway

    @property
    def driver(self) -> tuple[str, str]:
        status = self.gateway.drivers["meross"]
        return status.state, status.reason

    def announced(self, serial: str) -> dict[str, Any]:
        """Give the device of an announcement; empty if there is none."""
        for topic, payload in self.bench.latest.items():
            if topic.startswith("homeassistant/"):
                device: dict[str, Any] = json.loads(payload)["device"]
                if device.get("serial_number") == serial:
                    return device
        return {}

    def available(self, uuid: str) -> str:
        topic = f"structiot/meross_{uuid.lower()}/availability"
        return self.bench.latest.get(topic, "")

    def state(self, uuid: str, key: str) -> str | None:
        return self.bench.latest.get(f"structiot/meross_{uuid.lower()}/{key}/state")

    def figure(self, uuid: str, key: str) -> float:
        return float(self.state(uuid, key) or "nan")

    def account(self, key: str) -> str | None:
        return self.bench.latest.get(f"{ACCOUNT}/{key}/state")

    async def command(self, uuid: str, key: str, payload: str) -> None:
        topic = f"structiot/meross_{uuid.lower()}/{key}/set"
        await self.bench.client.publish(topic, payload.encode(), qos=1)
        await anyio.sleep(5)


@asynccontextmanager
async def meross_house(
    clock: Clock, folder: Path, **cloud: Any
) -> AsyncIterator[MerossHouse]:
    environment = Environment(network=OutageNetwork(), clock=clock, random=Random(0))
    async with sim_meross_cloud(
        host="10.0.9.9", environment=environment, **cloud
    ) as opened:
        yield MerossHouse(opened, folder, environment)
