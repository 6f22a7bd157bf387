"""A gateway with devices that do as they are told, and its page, all in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from structiot import Environment
from structiot.dashboard import Dashboard, open_dashboard
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import ManagedDevice, with_driver
from structiot.model import (
    BinarySensor,
    Button,
    DeviceInfo,
    Entity,
    Event,
    Light,
    Lock,
    Number,
    Sensor,
    Switch,
    Text,
)
from tests.dashboard.browser import Browser
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of
from tests.gateway.support import ScriptedDevice

PLUG: tuple[Entity, ...] = (
    Switch(key="relay", name="Relay"),
    Sensor(
        key="power",
        name="Power",
        unit="W",
        device_class="power",
        state_class="measurement",
        decimals=1,
    ),
)
EVERYTHING: tuple[Entity, ...] = (
    Switch(key="main"),
    Light(key="lamp", name="Lamp", color_modes=frozenset({"brightness"})),
    Number(key="limit", name="Limit", minimum=0, maximum=10),
    Text(key="note", name="Note"),
    Text(key="pin", name="Pin", is_secret=True),
    Lock(key="door", name="Door"),
    Button(key="restart", name="Restart"),
    BinarySensor(key="window", name="Window", device_class="window"),
    Event(key="bell", name="Bell", event_types=("ring",)),
    Sensor(key="signal", name="Signal", unit="dBm", category="diagnostic"),
)


def device(
    name: str, entities: Sequence[Entity] = PLUG, system: str = "toy"
) -> ScriptedDevice:
    info = DeviceInfo(id=name, system=system, name=name, serial=name, model="T1")
    return ScriptedDevice(info, entities)


class House:
    """What a test holds: the gateway, its page and a browser at it."""

    def __init__(
        self,
        gateway: Gateway,
        dashboard: Dashboard,
        driver: ScriptedDriver,
        environment: Environment,
    ) -> None:
        self.gateway = gateway
        self.dashboard = dashboard
        self.driver = driver
        self.environment = environment
        self.port = urlsplit(dashboard.urls[0]).port or 80
        self.browser = self.new_browser()
        self.registered: dict[str, ManagedDevice] = {}

    def new_browser(self, **headers: str | None) -> Browser:
        return Browser(self.environment.network, self.port, **headers)

    def add(self, one: ScriptedDevice) -> None:
        """Add a device as `<name>`, its topics likewise."""
        source = source_of(one, name=one.info.name)
        self.registered[one.info.name] = self.driver.registry.add(source)

    async def until(self, slug: str) -> None:
        """Wait until a device is available."""
        while True:
            found = self.gateway.devices.get(slug)
            if found is not None and found.is_available:
                return
            await anyio.sleep(0.01)


@asynccontextmanager
async def house(
    environment: Environment,
    *devices: ScriptedDevice,
    sections: Mapping[str, Any] | None = None,
    state_file: Any = None,
    history_file: Any = None,
    **page: Any,
) -> AsyncIterator[House]:
    """Open a gateway and its page; `page` is what stands in `[dashboard]`."""
    holder: list[ScriptedDriver] = []
    is_running = anyio.Event()

    async def run(driver: ScriptedDriver) -> None:
        holder.append(driver)
        is_running.set()
        driver.registry.started()
        await anyio.sleep_forever()

    made = scripted(run)
    page.setdefault("listen", ["http://127.0.0.1:0"])
    async with AsyncExitStack() as stack:
        stack.enter_context(with_driver(made.system, made))
        tables: dict[str, Any] = {"toy": {}, "dashboard": page, **(sections or {})}
        if "mqtt" not in tables:
            tables["broker"] = {"listen": ["mqtt://127.0.0.1:0"]}
        config = await anyio.to_thread.run_sync(load_config, tables)
        gateway = await stack.enter_async_context(
            open_gateway(
                config,
                environment=environment,
                state_file=state_file,
                history_file=history_file,
            )
        )
        dashboard = await stack.enter_async_context(
            open_dashboard(gateway, environment=environment)
        )
        await is_running.wait()
        found = House(gateway, dashboard, holder[0], environment)
        for one in devices:
            found.add(one)
            await found.until(one.info.name)
        # What the hub had to tell of them has been told.
        await anyio.sleep(1)
        yield found
