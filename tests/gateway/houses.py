"""A broker that outlives gateways, strips on its network, and somebody who counts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot.gateway import Gateway, open_gateway
from structiot.mqtt import (
    BrokerServer,
    Message,
    MqttClient,
    MqttConfig,
    open_broker,
    open_mqttclient,
)
from structiot.mqtt.broker import BrokerLimits
from structiot.sim import sim_maxsmart
from structiot.testing.drivers.outage import OutageNetwork

URI = "mqtt://127.0.0.1/"
# Brokers of others let anything into topics.
LAX = BrokerLimits(allows_control_characters=True)
LAX_CLIENT = MqttConfig(allows_control_characters=True)
HOST = "10.0.0.7"
OTHER_HOST = "10.0.0.8"
SERIAL = "SWP6000000000001"
OTHER = "SWP6000000000002"


def config_topic(serial: str = SERIAL, prefix: str = "homeassistant") -> str:
    return f"{prefix}/device/structiot_maxsmart_{serial}/config"


class House:
    """What is retained on a broker, and every announcement that ever was.

    It fails as soon as two announcements with one unique id stand there at a time.
    """

    def __init__(self, environment: Environment, state_file: Path | None) -> None:
        self.environment = environment
        self.state_file = state_file
        self.retained: dict[str, str] = {}
        self.history: list[tuple[str, str]] = []
        self.doubled: list[str] = []
        self.client: MqttClient
        self.broker: BrokerServer

    def take(self, message: Message) -> None:
        topic, payload = message.topic, message.payload.decode()
        self.history.append((topic, payload))
        self.retained[topic] = payload
        if not payload:
            del self.retained[topic]
        components = [
            component
            for announcement in self.announcements.values()
            for component in announcement["components"].values()
        ]
        seen: set[str] = set()
        for component in [*components, *self.parts.values()]:
            unique_id = component.get("unique_id")
            if unique_id in seen:
                self.doubled.append(unique_id)
            seen.add(unique_id) if unique_id else None

    @property
    def announcements(self) -> dict[str, Any]:
        return self._configs("components")

    @property
    def parts(self) -> dict[str, Any]:
        """The announcements of entities that announce themselves."""
        return self._configs("unique_id")

    def _configs(self, key: str) -> dict[str, Any]:
        found = {
            topic: json.loads(payload)
            for topic, payload in self.retained.items()
            if topic.endswith("/config")
        }
        return {topic: one for topic, one in found.items() if key in one}

    @property
    def announced(self) -> dict[str, str]:
        """The level in topics that each announcement points to, by topic."""
        return {
            topic: one["availability"][1]["topic"].rpartition("/")[0]
            for topic, one in self.announcements.items()
        }

    @property
    def roots(self) -> set[str]:
        """What devices' topics begin with."""
        roots = set()
        for topic, payload in self.retained.items():
            root, _, tail = topic.rpartition("/")
            if "/gateway/" in topic or tail not in {"availability", "state"}:
                continue
            # Of a device it is JSON, of its entities it is not.
            is_of_device = tail == "availability" or payload.startswith("{")
            roots.add(root if is_of_device else root.rpartition("/")[0])
        return roots

    def of(self, topic: str) -> list[str]:
        return [payload for seen, payload in self.history if seen == topic]

    def order(self, *topics: str) -> list[str]:
        return [topic for topic, _ in self.history if topic in topics]

    def config(self, *devices: dict[str, Any], **more: Any) -> dict[str, Any]:
        mqtt = {"uri": URI} | more.pop("mqtt", {})
        gateway = {"retry_max_s": 1} | more.pop("gateway", {})
        section = {"discover": False, "devices": list(devices), **more}
        return {"mqtt": mqtt, "gateway": gateway, "maxsmart": section}

    async def reload(
        self,
        opened: Gateway,
        /,
        *devices: dict[str, Any],
        seconds: float = 30,
        **more: Any,
    ) -> tuple[str, ...]:
        """Give a running gateway other settings, and a while."""
        said = await opened.reload(self.config(*devices, **more))
        await anyio.sleep(seconds)
        return said

    @asynccontextmanager
    async def gateway(
        self, *devices: dict[str, Any], seconds: float = 30, **more: Any
    ) -> AsyncIterator[Gateway]:
        """Run a gateway for a while, then give it."""
        config = self.config(*devices, **more)
        async with open_gateway(
            config, state_file=self.state_file, environment=self.environment
        ) as opened:
            await anyio.sleep(seconds)
            yield opened
        await anyio.sleep(5)
        assert self.doubled == []

    async def break_down(self) -> None:
        """Lose every connection for a moment."""
        network = self.environment.network
        assert isinstance(network, OutageNetwork)
        network.go_down()
        await anyio.sleep(1)
        network.come_back()

    def strip(self, host: str = HOST, serial: str = SERIAL, **more: Any) -> Any:
        return sim_maxsmart(host, serial=serial, environment=self.environment, **more)


@asynccontextmanager
async def house(state_file: Path | None = None) -> AsyncIterator[House]:
    """Open a broker and watch all of it."""
    environment = Environment(network=OutageNetwork())
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(
            open_broker("mqtt://127.0.0.1:1883", limits=LAX, environment=environment)
        )
        client = await stack.enter_async_context(
            open_mqttclient(URI, config=LAX_CLIENT, environment=environment)
        )
        tasks = await stack.enter_async_context(service_group())
        one = House(environment, state_file)
        one.client, one.broker = client, broker

        async def watch(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with client.subscription("#", qos=1) as messages:
                task_status.started()
                async for message in messages:
                    one.take(message)

        await tasks.start(watch)
        yield one
