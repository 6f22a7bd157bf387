"""A gateway with links between scripted devices, and somebody else on its broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio

from structiot.gateway import Gateway, load_config
from structiot.model import (
    Availability,
    DeviceInfo,
    Entity,
    Event,
    Number,
    Occurrence,
    Sensor,
    StateChange,
    Switch,
)
from structiot.mqtt import MqttClient
from tests.gateway.memory_house import URI, House
from tests.gateway.scripted_driver import scripted, source_of
from tests.gateway.support import ScriptedDevice

AT = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
BUTTON: tuple[Entity, ...] = (Event(key="button", event_types=("single", "double")),)
PLUG: tuple[Entity, ...] = (
    Switch(key="switch"),
    Sensor(key="power", unit="W"),
    Number(key="level", minimum=0, maximum=100),
)


def named(name: str, entities: Sequence[Entity] = PLUG) -> ScriptedDevice:
    """A device that obeys at once, as soon as it tells so."""
    return ScriptedDevice(DeviceInfo(id=name, system="toy", name=name), entities)


class Obedient(ScriptedDevice):
    """A device that does what it is told, and says so."""

    async def command(self, key: str, command: Any) -> None:
        await super().command(key, command)
        self.tell_state(key, command)


def plug(name: str, **states: Any) -> Obedient:
    device = Obedient(DeviceInfo(id=name, system="toy", name=name), PLUG)
    for key, state in states.items():
        device.states[key] = state
        device.first.append(StateChange(key=key, state=state, at_utc=AT))
    return device


def pressed(event_type: str = "single") -> Occurrence:
    return Occurrence(key="button", event_type=event_type, at_utc=AT)


def away(reason: str = "it is unplugged") -> Availability:
    return Availability(is_available=False, at_utc=AT, reason=reason)


def there() -> Availability:
    return Availability(is_available=True, at_utc=AT)


class Linked:
    """A gateway with links, and a client of its broker."""

    def __init__(self, house: House, gateway: Gateway, client: MqttClient) -> None:
        self.house = house
        self.gateway = gateway
        self.client = client
        self.heard: list[tuple[str, str]] = []

    @property
    def reasons(self) -> list[str]:
        return [one.reason for one in self.gateway.link_status]

    def on(self, topic: str) -> list[str]:
        return [payload for name, payload in self.heard if name == topic]

    async def say(self, topic: str, payload: str, *, retain: bool = False) -> None:
        await self.client.publish(topic, payload, 1, retain)
        await anyio.sleep(0.2)

    def state(self, device: str, key: str) -> Any:
        return self.gateway.devices[device].states.get(key)

    async def reload(self, links: Sequence[Mapping[str, Any]], **more: Any) -> None:
        config = {"mqtt": {"uri": URI}, "toy": {}, "links": list(links), **more}
        await self.gateway.reload(load_config(config))
        await anyio.sleep(1)

    async def follow(self) -> None:
        async with self.client.subscription("#", qos=1) as messages:
            async for message in messages:
                self.heard.append((message.topic, message.payload.decode()))


@asynccontextmanager
async def linked(
    *devices: ScriptedDevice,
    links: Sequence[Mapping[str, Any]] = (),
    house: House | None = None,
    before: Sequence[tuple[str, str]] = (),
    **sections: Any,
) -> AsyncIterator[Linked]:
    """Serve devices under their names, with links; `before` is retained already."""

    async def run(driver: Any) -> None:
        for device in devices:
            name = device.info.name
            driver.registry.add(source_of(device, name=name, settings=1))
        driver.registry.started()
        await anyio.sleep_forever()

    house = house or House()
    async with house.broker(), house.client() as client:
        for topic, payload in before:
            await client.publish(topic, payload, 1, True)
        async with (
            house.gateway(scripted(run), links=list(links), **sections) as gateway,
            anyio.create_task_group() as tasks,
        ):
            found = Linked(house, gateway, client)
            tasks.start_soon(found.follow)
            await anyio.sleep(2)
            yield found
            tasks.cancel_scope.cancel()


async def until(holds: Callable[[], object], within_s: float = 120) -> None:
    with anyio.fail_after(within_s):
        while not holds():  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.05)
