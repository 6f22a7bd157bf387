"""Plugs that a section names, and a gateway that serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from pydantic import Field

from structiot import Environment
from structiot.gateway import Gateway, GatewayEvent, load_config, open_gateway
from structiot.gateway.drivers import DeviceRegistry, SystemSection, with_driver
from tests.gateway.memory_house import URI, House, followed
from tests.gateway.scripted_driver import plug, source_of
from tests.gateway.support import ScriptedDevice


class Plugs(SystemSection):
    """Names of plugs, what they are opened with, and how long it takes to name them."""

    names: Annotated[dict[str, str], Field(default_factory=dict)]
    account: str = ""
    is_told: bool = True
    takes_s: float = 0.0


class Shelf:
    """The plugs of one test, by name, and the driver that names them."""

    def __init__(self, system: str = "toy") -> None:
        self.plugs: dict[str, ScriptedDevice] = {}
        self.system = name_of_system = system
        self.starts = 0
        self.error: Exception | None = None
        shelf = self

        class PlugDriver:
            system = name_of_system
            section = Plugs
            finds_more = False

            def __init__(self, section: Plugs, environment: Environment) -> None:
                self._section = section

            async def run(self, registry: DeviceRegistry) -> None:
                shelf.starts += 1
                if shelf.error is not None:
                    raise shelf.error
                for name, setting in self._section.names.items():
                    source = source_of(
                        shelf.plug(name),
                        key=name,
                        name=name,
                        settings=setting if self._section.is_told else None,
                    )
                    registry.add(source)
                await anyio.sleep(self._section.takes_s)

        self.driver: Any = PlugDriver

    def plug(self, name: str) -> ScriptedDevice:
        return self.plugs.setdefault(name, plug(name, self.system))


def toy(*names: str, **more: Any) -> dict[str, Any]:
    return {"names": dict.fromkeys(names, ""), **more}


@asynccontextmanager
async def open_house(
    house: House, shelf: Shelf, **sections: Any
) -> AsyncIterator[tuple[Gateway, list[GatewayEvent]]]:
    with with_driver("toy", shelf.driver):
        config = load_config({"mqtt": {"uri": URI}, **sections})
        async with (
            open_gateway(config, environment=house.environment) as gateway,
            followed(gateway) as events,
        ):
            await anyio.sleep(5)
            yield gateway, events


async def reload(gateway: Gateway, /, **sections: Any) -> tuple[str, ...]:
    config = load_config({"mqtt": {"uri": URI}, **sections})
    said = await gateway.reload(config)
    await anyio.sleep(5)
    return said
