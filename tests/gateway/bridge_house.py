"""A gateway whose devices are offered to a simulated platform, all in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.gateway.drivers.connector import ConnectorDriver
from structiot.model import (
    Availability,
    Button,
    DeviceInfo,
    Entity,
    Event,
    Light,
    Occurrence,
    Sensor,
    StateChange,
    Switch,
    Text,
)
from structiot.sim import SeplPlatformSim, sim_sepl_platform
from tests.gateway.memory_house import URI, House
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of
from tests.gateway.support import ScriptedDevice

AT = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
TYPE = "iot#plug"
ENTITIES: tuple[Entity, ...] = (
    Switch(key="relay", name="Relay"),
    Sensor(key="power", name="Power", unit="W", decimals=1),
    Button(key="reset", name="Reset"),
    Event(key="knob", name="Knob", event_types=("single", "double")),
    Text(key="word", name="Word"),
    Text(key="secret", name="Secret", is_secret=True),
    Light(key="lamp", name="Lamp", color_modes=frozenset({"brightness"})),
)


def toy(
    id_: str = "P1", entities: Sequence[Entity] = ENTITIES, **more: Any
) -> ScriptedDevice:
    info = DeviceInfo(id=id_, system="toy", name=f"Plug {id_}", model="T1", **more)
    device = ScriptedDevice(info, entities)
    device.first.append(StateChange(key="relay", state=False, at_utc=AT))
    return device


def away(reason: str = "it is unplugged") -> Availability:
    return Availability(is_available=False, at_utc=AT, reason=reason)


def there() -> Availability:
    return Availability(is_available=True, at_utc=AT)


def pressed(event_type: str = "single", **data: object) -> Occurrence:
    return Occurrence(key="knob", event_type=event_type, at_utc=AT, data=data)


class Bridged:
    """What a gateway and a platform say of the devices between them."""

    def __init__(
        self, gateway: Gateway, platform: SeplPlatformSim, section: dict[str, Any]
    ) -> None:
        self.gateway = gateway
        self.platform = platform
        self.section = section

    @property
    def online(self) -> list[str]:
        return sorted(one.uri for one in self.platform.devices if one.is_online)

    def events(self, service: str, uri: str = "toy:P1") -> list[str | None]:
        return [
            one.data
            for one in self.platform.events
            if (one.device_uri, one.service_uri) == (uri, service)
        ]

    def handlers(self) -> list[str]:
        return [one.handler for one in self.platform.messages]

    async def command(
        self, service: str, data: str | None = None, uri: str = "toy:P1"
    ) -> tuple[str | None, str | None]:
        """Give data and metadata of the answer."""
        parts = None if data is None else {"metadata": "", "data": data}
        with anyio.fail_after(60):
            answer = await self.platform.send_command(uri, service, parts)
        return answer.data, answer.metadata

    @property
    def status(self) -> tuple[str, str]:
        told = self.gateway.drivers["connector"]
        return told.state, told.reason


def bringing(*devices: ScriptedDevice, **more: Any) -> type[ScriptedDriver]:
    """A driver that has these devices, by whatever names there are for them."""

    async def run(driver: ScriptedDriver) -> None:
        for device in devices:
            driver.registry.add(source_of(device, settings=1, **more))
        driver.registry.started()
        await anyio.sleep_forever()

    return scripted(run)


OFFERED: dict[str, Any] = {"from": "*", "to": "platform", "type": TYPE}


def offered(*links: dict[str, Any]) -> list[dict[str, Any]]:
    """Write links to the platform."""
    return [{**OFFERED, **link} for link in links] or [OFFERED]


def section_of(platform: SeplPlatformSim, **more: Any) -> dict[str, Any]:
    return {**platform.config, "encryption": False, **more}


@asynccontextmanager
async def serving(
    house: House,
    platform: SeplPlatformSim,
    driver: type[ScriptedDriver],
    *,
    state_file: Path | None = None,
    settled_s: float = 8.0,
    links: list[dict[str, Any]] | None = None,
    **more: Any,
) -> AsyncIterator[Bridged]:
    """Serve what a driver brings, and offer it; a broker is there already."""
    section = section_of(platform, **more)
    config: dict[str, Any] = {"mqtt": {"uri": URI}, "toy": {}, "connector": section}
    config["links"] = links or offered()
    with with_driver("toy", driver), with_driver("connector", ConnectorDriver):
        async with open_gateway(
            load_config(config), state_file=state_file, environment=house.environment
        ) as gateway:
            await anyio.sleep(settled_s)
            yield Bridged(gateway, platform, section)


@asynccontextmanager
async def bridged(*devices: ScriptedDevice, **more: Any) -> AsyncIterator[Bridged]:
    """A house with a broker, a platform and these devices."""
    house = House()
    sim = more.pop("sim", {})
    async with (
        house.broker(),
        sim_sepl_platform(environment=house.environment, **sim) as platform,
        serving(house, platform, bringing(*devices), **more) as found,
    ):
        yield found


async def until(holds: Callable[[], object], within_s: float = 600) -> None:
    with anyio.fail_after(within_s):
        while not holds():  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.05)
