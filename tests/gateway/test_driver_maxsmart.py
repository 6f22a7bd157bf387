"""Strips that are listed, and strips that answer a search."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import ConnectFailed
from structiot.gateway.config import load_config
from structiot.gateway.drivers import Source, drivers_of
from structiot.model import DeviceInfo
from structiot.sim import MaxSmartSim, sim_maxsmart

pytestmark = pytest.mark.virtual_time


@dataclass
class Kept:
    source: Source
    info: DeviceInfo | None = None
    is_available: bool = True
    reopened: int = 0

    def reopen(self) -> None:
        self.reopened += 1


class Keeper:
    def __init__(self) -> None:
        self.kept: list[Kept] = []

    def keep(self, source: Source) -> Kept:
        self.kept.append(Kept(source))
        return self.kept[-1]

    @property
    def labels(self) -> list[str]:
        return [kept.source.label for kept in self.kept]


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@asynccontextmanager
async def driving(network: Any, **section: Any) -> AsyncIterator[Keeper]:
    (driver,) = drivers_of(
        load_config({"maxsmart": section}), Environment(network=network)
    )
    keeper = Keeper()
    async with service_group() as tg:
        tg.start_soon(driver.run, keeper)
        await anyio.wait_all_tasks_blocked()
        yield keeper


def strip(
    network: MemoryNetwork, host: str, **options: Any
) -> AbstractAsyncContextManager[MaxSmartSim]:
    return sim_maxsmart(host, environment=Environment(network=network), **options)


def test_no_section_means_no_driver(network):
    assert drivers_of(load_config({}), Environment(network=network)) == []


@pytest.mark.parametrize(
    ("section", "finds_more"),
    [
        ({}, True),
        ({"discover": False}, False),
        ({"discover": False, "devices": [{"host": "a", "name": "A"}]}, False),
        ({"discover": False, "devices": [{"host": "a"}]}, True),
    ],
)
def test_a_driver_says_whether_unnamed_devices_may_turn_up(
    network, section, finds_more
):
    (driver,) = drivers_of(
        load_config({"maxsmart": section}), Environment(network=network)
    )
    assert (driver.system, driver.finds_more) == ("maxsmart", finds_more)


async def test_listed_strips_are_opened_as_configured(network):
    async with (
        strip(network, "10.0.0.7", http_port=8080, udp_port=8889),
        driving(
            network,
            discover=False,
            http_port=8080,
            udp_port=8890,
            devices=[{"host": "10.0.0.7", "name": "Desk", "udp_port": 8889}],
        ) as keeper,
    ):
        (kept,) = keeper.kept
        assert (kept.source.label, kept.source.name) == ("strip at 10.0.0.7", "Desk")
        assert not kept.source.is_found
        async with kept.source.open() as device:
            assert (device.info.name, device.info.system) == ("Desk", "maxsmart")
        await anyio.sleep(3600)
        assert len(keeper.kept) == 1


async def test_strips_that_answer_are_found_once_and_new_ones_later(network, caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    async with (
        strip(network, "10.0.0.8"),
        driving(network, discover_every_s=60) as keeper,
    ):
        await anyio.sleep(10)
        assert keeper.labels == ["strip at 10.0.0.8"]
        assert keeper.kept[0].source.is_found
        async with keeper.kept[0].source.open() as device:
            assert device.info.name == "STRIP"
        async with strip(network, "10.0.0.9", name="New"):
            await anyio.sleep(60)
            assert keeper.labels == ["strip at 10.0.0.8", "strip at 10.0.0.9"]
            await anyio.sleep(600)
            assert len(keeper.kept) == 2
    assert caplog.messages == ["found STRIP at 10.0.0.8", "found New at 10.0.0.9"]


async def test_a_listed_strip_is_not_found_besides(network):
    listed = [{"host": "10.0.0.8"}, {"host": "desk.local"}]
    async with (
        strip(network, "10.0.0.8"),
        strip(network, "10.0.0.9", serial="SWP6000000000009"),
        driving(network, devices=listed) as keeper,
    ):
        # What is listed by a name is known by its serial once it was opened.
        keeper.kept[1].info = DeviceInfo(
            id="x", system="maxsmart", name="x", serial="SWP6000000000009"
        )
        await anyio.sleep(300)
        assert len(keeper.kept) == 2


async def test_a_strip_whose_serial_is_garbled_at_times_is_found_once(network):
    async with (
        strip(network, "10.0.0.8") as sim,
        driving(network, discover_every_s=60) as keeper,
    ):
        sim.faults.is_serial_corrupted = True
        await anyio.sleep(70)
        sim.faults.is_serial_corrupted = False
        await anyio.sleep(60)
        sim.faults.is_serial_corrupted = True
        await anyio.sleep(60)
        assert keeper.labels == ["strip at 10.0.0.8"]


async def test_a_strip_that_has_moved_is_opened_at_its_new_address(network):
    async with (
        strip(network, "10.0.0.8") as sim,
        driving(network, discover_every_s=60) as keeper,
    ):
        await anyio.sleep(10)
        (kept,) = keeper.kept
        await sim.unplug()
        await sim.plug_in("10.0.0.20")
        await anyio.sleep(60)
        assert kept.reopened == 0, "it still worked at the old address"
        kept.is_available = False
        await anyio.sleep(60)
        assert kept.reopened == 1
        async with kept.source.open() as device:
            assert device.info.serial == sim.serial
        assert len(keeper.kept) == 1


async def test_a_network_that_cannot_be_searched_is_said_once_and_tried_on(
    network, caplog
):
    class Broken(MemoryNetwork):
        is_broken = True

        def open_udp(self, *args: Any, **options: Any) -> Any:
            if self.is_broken:
                raise ConnectFailed("cannot bind UDP *:0: no such device")
            return super().open_udp(*args, **options)

    broken = Broken()
    async with driving(broken, discover_every_s=60) as keeper:
        await anyio.sleep(600)
        assert caplog.messages == [
            "cannot search for strips: cannot bind UDP *:0: no such device; trying on"
        ]
        broken.is_broken = False
        async with strip(broken, "10.0.0.8"):
            await anyio.sleep(70)
            assert keeper.labels == ["strip at 10.0.0.8"]
