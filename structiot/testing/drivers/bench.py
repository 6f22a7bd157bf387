"""A gateway with one driver, its broker, and somebody who watches: in one block."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import (
    Driver,
    installed_drivers,
    load_driver,
    with_driver,
)
from structiot.mqtt import MqttClient, open_broker, open_mqttclient
from structiot.testing.drivers.changes import Changes

__all__ = ["DriverBench", "open_driver_bench"]


class DriverBench:
    """What stands on the broker of a gateway; made by `open_driver_bench`.

    Attributes:
        gateway: The gateway.
        client: A client of its broker.
        latest: The latest payload of every topic, as text; empty ones are gone.
        seen: Every message, in order: topic and payload.
    """

    def __init__(self, gateway: Gateway, client: MqttClient) -> None:
        self.gateway = gateway
        self.client = client
        self.latest: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []
        self._changes = Changes()

    async def until(
        self, topic: str, payload: str | None = None, *, within_s: float = 60.0
    ) -> str:
        """Wait until a topic has this payload, or any; give it.

        Raises:
            AssertionError: It has not after so many seconds; it says what it has.
        """
        wanted = "anything" if payload is None else repr(payload)
        await self._changes.until(
            lambda: topic in self.latest and payload in {None, self.latest[topic]},
            within_s=within_s,
            failure=lambda: f"{topic} is {self.latest.get(topic)!r}, not {wanted}",
        )
        return self.latest[topic]

    async def follow(self) -> None:
        """Watch the broker until cancelled; called once, by `open_driver_bench`."""
        async with self.client.subscription("#", qos=1) as messages:
            async for message in messages:
                payload = message.payload.decode(errors="replace")
                self.seen.append((message.topic, payload))
                self.latest.pop(message.topic, None)
                if payload:
                    self.latest[message.topic] = payload
                self._changes.tell()


@asynccontextmanager
async def open_driver_bench(
    driver: type[Driver],
    section: Mapping[str, Any],
    *,
    environment: Environment = SYSTEM_ENVIRONMENT,
    settings: Mapping[str, Any] | None = None,
) -> AsyncGenerator[DriverBench]:
    """Serve one system on a broker of its own for the length of the block.

    Args:
        driver: The driver's class; it needs not be installed.
        section: Its section, as it would stand in the file.
        environment: Where all of it is; pass on the fixture of that name.
        settings: Further sections, such as `{"gateway": {"retry_max_s": 5}}`.

    Yields:
        The bench. Topics begin with `structiot/`, announcements with `homeassistant/`.

    Raises:
        InvalidConfig: The section is wrong.
    """
    with ExitStack() as stack:
        is_installed = driver.system in installed_drivers()
        if not is_installed or load_driver(driver.system) is not driver:
            stack.enter_context(with_driver(driver.system, driver))
        async with (
            open_broker("mqtt://127.0.0.1:0", environment=environment) as broker,
            open_mqttclient(broker.uri, environment=environment) as client,
        ):
            more = dict(settings or {})
            more["mqtt"] = {"uri": broker.uri, **more.get("mqtt", {})}
            config = load_config({**more, driver.system: dict(section)})
            async with (
                open_gateway(config, environment=environment) as gateway,
                service_group() as tasks,
            ):
                bench = DriverBench(gateway, client)
                tasks.start_soon(bench.follow, name="structiot.testing.bench")
                yield bench
