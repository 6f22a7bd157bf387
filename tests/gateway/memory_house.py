"""A gateway and somebody else on one broker, all in memory and virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio

from structiot import Environment
from structiot.gateway import Gateway, GatewayEvent, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.mqtt import MqttClient, open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.gateway.scripted_driver import ScriptedDriver

URI = "mqtt://127.0.0.1/"


class House:
    """The network, and what is in it."""

    def __init__(self) -> None:
        self.environment = Environment(network=MemoryNetwork("127.0.0.1"))

    @asynccontextmanager
    async def broker(self, port: int = 1883, **options: Any) -> AsyncIterator[Any]:
        uri = f"mqtt://127.0.0.1:{port}"
        async with open_broker(uri, environment=self.environment, **options) as broker:
            yield broker

    @asynccontextmanager
    async def client(self, uri: str = URI, **options: Any) -> AsyncIterator[MqttClient]:
        async with open_mqttclient(
            uri, environment=self.environment, **options
        ) as client:
            yield client

    @asynccontextmanager
    async def gateway(
        self,
        *drivers: type[ScriptedDriver],
        **sections: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    ) -> AsyncIterator[Gateway]:
        async with AsyncExitStack() as stack:
            for driver in drivers:
                stack.enter_context(with_driver(driver.system, driver))
            tables: dict[str, Any] = {driver.system: {} for driver in drivers}
            config = load_config({"mqtt": {"uri": URI}, **tables, **sections})
            yield await stack.enter_async_context(
                open_gateway(config, environment=self.environment)
            )


@asynccontextmanager
async def followed(gateway: Gateway) -> AsyncIterator[list[GatewayEvent]]:
    """Collect the events of a gateway for the length of the block."""
    seen: list[GatewayEvent] = []

    async def follow() -> None:
        async with gateway.events() as events:
            while True:
                seen.append(await anext(aiter(events)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        yield seen
        tasks.cancel_scope.cancel()


async def retained(client: MqttClient, *filters: str) -> dict[str, str]:
    """Give what stands on the broker now."""
    found: dict[str, str] = {}
    for topic_filter in filters:
        async with client.subscription(topic_filter, qos=1) as messages:
            with anyio.move_on_after(1):
                async for message in messages:
                    if message.retain:
                        found[message.topic] = message.payload.decode()
    return found


def of_kind(events: Sequence[object], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]
