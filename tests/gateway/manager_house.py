"""Devices that dial in to a gateway, all in memory: what tests of the driver begin with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ByteStream

from structiot import Environment
from structiot.gateway import load_config
from structiot.gateway.drivers.manager import ManagerDriver
from structiot.testing.drivers.bench import DriverBench, open_driver_bench

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
OTHER = "00000000-0000-4000-8000-000000000002"
PORT = 8595


class ByHand:
    """A device in the oldest dialect, which says just what a test has it say."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def say(self, data: bytes | str) -> None:
        await self._stream.send(data.encode() if isinstance(data, str) else data)
        await anyio.sleep(1)

    async def hear(self) -> bytes:
        with anyio.fail_after(30):
            return await self._stream.receive()


class Served:
    """What a gateway shows of the devices that dial in to it."""

    def __init__(self, bench: DriverBench, environment: Environment) -> None:
        self.bench = bench
        self.environment = environment

    @property
    def driver(self) -> str:
        return self.bench.gateway.drivers["manager"].state

    @asynccontextmanager
    async def device(
        self,
        data: Mapping[str, object] | str | None = None,
        *,
        uuid: str = UUID,
        kind: str = "lamp",
        port: int = PORT,
    ) -> AsyncIterator[ByHand]:
        """Dial in and say who it is."""
        said = data if isinstance(data, str) else json.dumps(data or {})
        stream = await self.environment.network.connect_tcp("127.0.0.1", port)
        async with stream:
            device = ByHand(stream)
            assert await device.hear() == b"\x01"
            await device.say(f"{uuid}##{kind}##{said}")
            yield device
        await anyio.sleep(1)

    def root(self, uuid: str = UUID) -> str:
        return f"structiot/manager_{uuid.replace('-', '_')}"

    def available(self, uuid: str = UUID) -> str:
        return self.bench.latest.get(f"{self.root(uuid)}/availability", "")

    def state(self, key: str, uuid: str = UUID) -> str | None:
        return self.bench.latest.get(f"{self.root(uuid)}/{key}/state")

    def happened(self, key: str, uuid: str = UUID) -> list[dict[str, Any]]:
        """Give what was told of an event, in order, without its time."""
        topic = f"{self.root(uuid)}/{key}/event"
        told = [json.loads(text) for name, text in self.bench.seen if name == topic]
        assert all(one.pop("at") for one in told)
        return told

    def seen(self, key: str, uuid: str = UUID) -> list[str]:
        topic = f"{self.root(uuid)}/{key}"
        return [text for name, text in self.bench.seen if name == topic]

    def announced(self, uuid: str = UUID) -> dict[str, Any]:
        """Give the announcement of a device; empty if there is none."""
        for topic, payload in self.bench.latest.items():
            if topic.startswith("homeassistant/") and uuid in topic:
                found: dict[str, Any] = json.loads(payload)
                return found
        return {}

    def components(self, uuid: str = UUID) -> dict[str, Any]:
        found: dict[str, Any] = self.announced(uuid).get("components", {})
        return found

    async def command(self, key: str, payload: str, uuid: str = UUID) -> None:
        topic = f"{self.root(uuid)}/{key}/set"
        await self.bench.client.publish(topic, payload.encode(), qos=1)
        await anyio.sleep(1)

    async def reload(self, section: Mapping[str, Any]) -> None:
        """Have another `[manager]` read."""
        mqtt = self.bench.gateway.config.mqtt.model_dump(
            include={"uri", "keep_alive_s"}
        )
        config = load_config({"mqtt": mqtt, "manager": section})
        await self.bench.gateway.reload(config)

    def errors(self, uuid: str = UUID) -> list[str]:
        """Give why commands were refused."""
        return [json.loads(text)["error"] for text in self.seen("error", uuid)]


@asynccontextmanager
async def manager_house(
    environment: Environment,
    section: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    """Serve `[manager]` for the length of the block."""
    # Nobody is to be found dead here.
    settings.setdefault("mqtt", {"keep_alive_s": 65_535})
    async with open_driver_bench(
        ManagerDriver, section or {}, environment=environment, settings=settings
    ) as bench:
        await anyio.sleep(1)
        yield Served(bench, environment)
