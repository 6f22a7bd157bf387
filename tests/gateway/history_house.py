"""A gateway with a history, in memory and virtual time, and a clock that can be set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from structiot import Environment
from structiot.gateway import Gateway, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.gateway.history import History
from structiot.model import (
    Availability,
    DeviceInfo,
    Entity,
    Event,
    Sensor,
    Switch,
    Text,
)
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_clock
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of
from tests.gateway.support import ScriptedDevice

ENTITIES: tuple[Entity, ...] = (
    Switch(key="relay", name="Relay"),
    Sensor(key="power", name="Power", unit="W", decimals=1),
    Sensor(
        key="energy", unit="Wh", device_class="energy", state_class="total_increasing"
    ),
    Sensor(key="mode", name="Mode"),
    Event(key="bell", event_types=("ring",)),
    Text(key="secret", is_secret=True),
)


class SetClock:
    """The clock of the virtual time, which may be set."""

    def __init__(self) -> None:
        self.by = timedelta()

    def __call__(self) -> datetime:
        return virtual_clock() + self.by


class House:
    """A plug, a clock, and gateways one after the other on one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = SetClock()
        self.network = MemoryNetwork("127.0.0.1")
        self.plug = plug()
        self.name = "plug"

    def driver(self) -> type[ScriptedDriver]:
        async def does(driver: ScriptedDriver) -> None:
            driver.registry.add(source_of(self.plug, name=self.name))
            driver.registry.started()
            await anyio.sleep_forever()

        return scripted(does)

    @property
    def now(self) -> datetime:
        return self.clock()

    def section(self, **history: Any) -> dict[str, Any]:
        return {"path": str(self.path), "timezone": "UTC", **history}

    @asynccontextmanager
    async def gateway(self, **history: Any) -> AsyncIterator[Gateway]:
        environment = Environment(network=self.network, clock=self.clock)
        driver = self.driver()
        async with AsyncExitStack() as stack:
            stack.enter_context(with_driver(driver.system, driver))
            config = {driver.system: {}, "history": self.section(**history)}
            gateway = await stack.enter_async_context(
                open_gateway(config, environment=environment)
            )
            await anyio.sleep(1)
            yield gateway

    async def tell(self, seconds: float = 0.0, **states: Any) -> None:
        """Tell states, again and again as a device does that is polled."""
        for key, state in states.items():
            self.plug.tell_state(key, state)
        last = dict(self.plug.states)
        until = anyio.current_time() + seconds
        while (left := until - anyio.current_time()) > 0:
            await anyio.sleep(min(left, 25))
            for key in last:
                self.plug.told_at[key] = anyio.current_time()

    def away(self, *, is_available: bool = False) -> None:
        self.plug.tell(Availability(is_available=is_available, at_utc=self.now))


def plug(id_: str = "P1") -> ScriptedDevice:
    info = DeviceInfo(id=id_, system="toy", name="Plug", serial=id_)
    return ScriptedDevice(info, ENTITIES)


def of(gateway: Gateway) -> History:
    assert gateway.history is not None
    return gateway.history
