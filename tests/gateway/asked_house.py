"""A gateway with some scripted plugs, and somebody who asks and hears the answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from structiot.gateway import Gateway
from structiot.model import DeviceInfo, Entity, Event, Sensor, Switch
from structiot.mqtt import MqttClient
from tests.gateway.memory_house import House
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of, stay
from tests.gateway.support import ScriptedDevice

RELAYS: tuple[Entity, ...] = (
    Switch(key="relay"),
    Switch(key="other"),
    Sensor(key="power", unit="W"),
    Event(key="button", event_types=("press",)),
)


def plug_of(name: str, entities: Sequence[Entity] = RELAYS) -> ScriptedDevice:
    info = DeviceInfo(id=name, system="toy", name=name, serial=name)
    return ScriptedDevice(info, entities)


class Asker:
    """Publishes, and keeps what the gateway says on its own topics."""

    def __init__(self, client: MqttClient) -> None:
        self.client = client
        self.heard: list[tuple[str, Any]] = []

    def told(self, topic: str) -> list[Any]:
        """Give what was said on a topic below the base, in order."""
        return self.heard_on(f"structiot/{topic}")

    def heard_on(self, topic: str) -> list[Any]:
        """Give what was said on any topic, in order."""
        return [one for where, one in self.heard if where == topic]

    async def say(self, topic: str, told: object, **options: Any) -> None:
        """Publish what is no text as JSON, and wait for what follows at once."""
        payload = told if isinstance(told, bytes | str) else json.dumps(told)
        await self.client.publish(f"structiot/{topic}", payload, qos=1, **options)
        await anyio.sleep(1)

    async def listen(self, *filters: str) -> None:
        async with self.client.subscription(dict.fromkeys(filters, 1)) as messages:
            async for message in messages:
                text = message.payload.decode(errors="replace")
                told: Any = text
                with suppress(ValueError, RecursionError):
                    told = json.loads(text)
                self.heard.append((message.topic, told))


@asynccontextmanager
async def asked(
    *devices: ScriptedDevice,
    house: House | None = None,
    before: Callable[[Asker], Awaitable[None]] | None = None,
    **sections: Any,
) -> AsyncIterator[tuple[Gateway, Asker]]:
    """Serve plugs, each by its name, for the length of the block.

    `before` is what somebody publishes before there is a gateway.
    """
    house = house or House()

    async def serve(driver: ScriptedDriver) -> None:
        for device in devices:
            driver.registry.add(source_of(device, name=device.info.name))
        await stay(driver)

    async with (
        house.broker(),
        house.client() as client,
        anyio.create_task_group() as tasks,
    ):
        asker = Asker(client)
        if before is not None:
            await before(asker)
        tasks.start_soon(asker.listen, "structiot/#", "answers/#")
        await anyio.sleep(0.1)
        async with house.gateway(scripted(serve), **sections) as gateway:
            await anyio.sleep(1)
            yield gateway, asker
        tasks.cancel_scope.cancel()
