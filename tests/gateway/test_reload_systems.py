"""A changed option of each system is taken up; devices that it is not about go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from structiot.gateway import BrokerConnected, DeviceUpdate, Gateway, GatewayEvent
from structiot.model import Availability
from structiot.sim import sim_maxsmart, sim_meross_device, sim_sepl_platform
from tests.gateway.bridge_house import offered, section_of
from tests.gateway.manager_house import UUID
from tests.gateway.memory_house import URI, House, of_kind
from tests.gateway.shelf import Shelf, open_house, reload, toy

pytestmark = pytest.mark.virtual_time

KEY = "k" * 32


class Watched:
    """A house with a desk of another system, which is to be left alone."""

    def __init__(
        self, gateway: Gateway, events: list[GatewayEvent], shelf: Shelf
    ) -> None:
        self.gateway = gateway
        self._events = events
        self._shelf = shelf

    async def reload(self, **sections: Mapping[str, Any]) -> None:
        """Read other sections, and give them time."""
        self._events.clear()
        given = {"mqtt": {"uri": URI}, **sections}
        assert await reload(self.gateway, toy=toy("Desk"), **given) == ()
        await anyio.sleep(60)

    def left(self) -> set[str]:
        """Give the devices that were away since then."""
        assert self._shelf.starts == self._shelf.plugs["Desk"].opened == 1
        return {
            one.device
            for one in of_kind(self._events, DeviceUpdate)
            if isinstance(one.event, Availability) and not one.event.is_available
        }

    def available(self) -> set[str]:
        devices = self.gateway.devices.items()
        return {slug for slug, device in devices if device.is_available}

    def stale_after_s(self, slug: str, key: str) -> float | None:
        return self.gateway.devices[slug].stale_after_s(key)

    def connections(self) -> int:
        return len(of_kind(self._events, BrokerConnected))


@asynccontextmanager
async def watched(house: House, **sections: Any) -> AsyncIterator[Watched]:
    shelf = Shelf()
    async with open_house(house, shelf, toy=toy("Desk"), **sections) as (
        gateway,
        events,
    ):
        await anyio.sleep(60)
        yield Watched(gateway, events, shelf)


async def test_mqtt():
    house = House()
    async with house.broker() as broker, watched(house) as one:
        await one.reload(mqtt={"uri": URI, "client_id": "another"})
        assert broker.clients == ["another"]
        assert (one.connections(), one.left()) == (1, set())


async def test_maxsmart():
    def section(**last: Any) -> dict[str, Any]:
        devices = [{"host": f"10.0.0.{n}", "name": f"Strip {n}"} for n in (7, 8)]
        return {"discover": False, "devices": [devices[0], {**devices[1], **last}]}

    house = House()
    environment = house.environment
    async with (
        house.broker(),
        sim_maxsmart("10.0.0.7", environment=environment, seed=1),
        sim_maxsmart("10.0.0.8", environment=environment, seed=2),
        watched(house, maxsmart=section(poll_s=600.0)) as one,
    ):
        assert (one.stale_after_s("strip_8", "power_1") or 0) >= 600
        await one.reload(maxsmart=section(poll_s=1.0))
        assert one.left() == {"strip_8"}
        assert (one.stale_after_s("strip_8", "power_1") or 600) < 600
        assert all(device.is_available for device in one.gateway.devices.values())


async def test_meross():
    def section(key: str) -> dict[str, Any]:
        return {
            "devices": [
                {"host": "10.0.0.7", "name": "Plug 7", "key": KEY},
                {"host": "10.0.0.8", "name": "Plug 8", "key": key},
            ]
        }

    house = House()
    environment = house.environment
    async with (
        house.broker(),
        sim_meross_device("10.0.0.7", key=KEY, environment=environment),
        sim_meross_device("10.0.0.8", key="o" * 32, environment=environment),
        watched(house, meross=section(KEY)) as one,
    ):
        assert one.available() == {"desk", "plug_7"}
        await one.reload(meross=section("o" * 32))
        assert one.available() == {"desk", "plug_7", "plug_8"}
        assert one.left() <= {"plug_8"}


async def test_manager():
    house = House()
    slug = f"manager_{UUID.replace('-', '_')}"
    lamp = {"types": {"lamp": {"sensors": [{"member": "a"}]}}}
    more = {"types": {"lamp": {"sensors": [{"member": "a"}, {"member": "b"}]}}}
    async with (
        house.broker(),
        watched(house, manager=lamp) as one,
        await house.environment.network.connect_tcp("127.0.0.1", 8595) as stream,
    ):
        assert await stream.receive() == b"\x01"
        await stream.send(f'{UUID}##lamp##{{"a": 1, "b": 2}}'.encode())
        await anyio.sleep(5)
        assert set(one.gateway.devices[slug].entities) == {"a"}
        await one.reload(manager=more)
        assert one.left() <= {slug}
        assert one.gateway.drivers["manager"].state == "running"
        # What it dialled in to is another listener now, and it dials in again.
        async with await house.environment.network.connect_tcp(
            "127.0.0.1", 8595
        ) as again:
            assert await again.receive() == b"\x01"
            await again.send(f'{UUID}##lamp##{{"a": 1, "b": 2}}'.encode())
            await anyio.sleep(5)
            assert set(one.gateway.devices[slug].entities) == {"a", "b"}
            assert one.gateway.devices[slug].is_available


async def test_connector():
    house = House()
    async with (
        house.broker(),
        sim_sepl_platform(environment=house.environment) as platform,
        watched(house, connector=section_of(platform)) as one,
    ):
        assert list(platform.devices) == []
        await one.reload(connector=section_of(platform), links=offered())
        assert [device.uri for device in platform.devices] == ["toy:Desk"]
        assert one.left() == set()
