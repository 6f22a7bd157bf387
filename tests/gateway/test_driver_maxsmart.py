"""Strips that are listed, and strips that answer a search."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot.errors import ConnectFailed
from structiot.gateway import load_config
from structiot.gateway.drivers import Source
from structiot.gateway.drivers.maxsmart import MaxSmartDriver
from structiot.model import DeviceInfo
from structiot.sim import MaxSmartSim, sim_maxsmart
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time


@dataclass
class Managed:
    source: Source
    info: DeviceInfo | None = None
    serial: str | None = None
    is_available: bool = True
    reopened: int = 0
    is_released: bool = False

    @property
    def remembered_serial(self) -> str | None:
        return self.info.serial if self.info is not None else self.serial

    def reopen(self) -> None:
        self.reopened += 1

    def release(self) -> None:
        self.is_released = True


class Registry:
    gateway: Any = None

    def __init__(self) -> None:
        self.managed: list[Managed] = []
        self.has_started = False

    def add(self, source: Source) -> Managed:
        self.managed.append(Managed(source))
        return self.managed[-1]

    def started(self, *, keeps_found: bool = False) -> None:
        self.has_started = True

    def failing(self, reason: str) -> None:
        raise AssertionError(f"strips are tried again one by one: {reason}")

    def share(self, label: str, open_it: Any) -> Any:
        raise AssertionError(f"strips hang on nothing, not even {label}: {open_it}")

    @property
    def labels(self) -> list[str]:
        return [one.source.label for one in self.managed]


def driver_for(network: Any, **section: Any) -> MaxSmartDriver:
    config = load_config({"maxsmart": section})
    return MaxSmartDriver(config.maxsmart, Environment(network=network))


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@asynccontextmanager
async def driving(network: Any, **section: Any) -> AsyncIterator[Registry]:
    driver = driver_for(network, **section)
    registry = Registry()
    async with service_group() as tg:
        tg.start_soon(driver.run, registry)
        await anyio.wait_all_tasks_blocked()
        assert registry.has_started
        yield registry


def strip(
    network: MemoryNetwork, host: str, **options: Any
) -> AbstractAsyncContextManager[MaxSmartSim]:
    return sim_maxsmart(host, environment=Environment(network=network), **options)


def test_no_section_means_no_driver():
    assert load_config({}).systems == {}


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
    driver = driver_for(network, **section)
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
        ) as registry,
    ):
        (one,) = registry.managed
        assert (one.source.label, one.source.name) == ("strip at 10.0.0.7", "Desk")
        assert not one.source.is_found
        async with one.source.open() as device:
            assert (device.info.name, device.info.system) == ("Desk", "maxsmart")
        await anyio.sleep(3600)
        assert len(registry.managed) == 1


async def test_strips_that_answer_are_found_once_and_new_ones_later(network, caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    async with (
        strip(network, "10.0.0.8"),
        driving(network, discover_every_s=60) as registry,
    ):
        await anyio.sleep(10)
        assert registry.labels == ["strip at 10.0.0.8"]
        assert registry.managed[0].source.is_found
        async with registry.managed[0].source.open() as device:
            assert device.info.name == "STRIP"
        async with strip(network, "10.0.0.9", name="New"):
            await anyio.sleep(60)
            assert registry.labels == ["strip at 10.0.0.8", "strip at 10.0.0.9"]
            await anyio.sleep(600)
            assert len(registry.managed) == 2
    assert caplog.messages == ["found STRIP at 10.0.0.8", "found New at 10.0.0.9"]


async def test_a_listed_strip_is_not_found_besides(network):
    listed = [{"host": "10.0.0.8"}, {"host": "desk.local"}]
    async with (
        strip(network, "10.0.0.8"),
        strip(network, "10.0.0.9", serial="SWP6000000000009"),
        driving(network, devices=listed) as registry,
    ):
        # What is listed by a name is known by its serial once it was opened.
        registry.managed[1].info = DeviceInfo(
            id="x", system="maxsmart", name="x", serial="SWP6000000000009"
        )
        await anyio.sleep(300)
        assert len(registry.managed) == 2


async def test_a_strip_whose_serial_is_garbled_at_times_is_found_once(network):
    async with (
        strip(network, "10.0.0.8") as sim,
        driving(network, discover_every_s=60) as registry,
    ):
        sim.faults.is_serial_corrupted = True
        await anyio.sleep(70)
        sim.faults.is_serial_corrupted = False
        await anyio.sleep(60)
        sim.faults.is_serial_corrupted = True
        await anyio.sleep(60)
        assert registry.labels == ["strip at 10.0.0.8"]


async def test_a_strip_that_has_moved_is_opened_at_its_new_address(network):
    async with (
        strip(network, "10.0.0.8") as sim,
        driving(network, discover_every_s=60) as registry,
    ):
        await anyio.sleep(10)
        (one,) = registry.managed
        await sim.unplug()
        await sim.plug_in("10.0.0.20")
        await anyio.sleep(60)
        assert one.reopened == 0, "it still worked at the old address"
        one.is_available = False
        await anyio.sleep(60)
        assert one.reopened == 1
        async with one.source.open() as device:
            assert device.info.serial == sim.serial
        assert len(registry.managed) == 1


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
    async with driving(broken, discover_every_s=60) as registry:
        await anyio.sleep(600)
        assert caplog.messages == [
            "cannot search for strips: cannot bind UDP *:0: no such device; trying on"
        ]
        broken.is_broken = False
        async with strip(broken, "10.0.0.8"):
            await anyio.sleep(70)
            assert registry.labels == ["strip at 10.0.0.8"]


@pytest.mark.thorough
async def test_no_more_strips_are_taken_in_than_a_house_can_have(
    network: MemoryNetwork, caplog: pytest.LogCaptureFixture
):
    """Anyone in the network can answer under as many serials as he likes."""

    async def pretend() -> None:
        async with network.open_udp("10.0.0.66", 8888) as udp:
            for first in count(0, 200):
                _, peer = await udp.receive()
                for number in range(first, first + 200):
                    data = {"sn": f"SWP6{number:012}", "name": "x"}
                    await udp.send(json.dumps({"data": data}).encode(), *peer)

    async with anyio.create_task_group() as tg:
        tg.start_soon(pretend)
        await anyio.wait_all_tasks_blocked()
        async with driving(network, discover_every_s=30) as registry:
            await anyio.sleep(600)
            assert len(registry.managed) == 1024
        tg.cancel_scope.cancel()
    lines = [text for text in caplog.messages if "strips have been found" in text]
    assert lines == [
        "1024 strips have been found, which is enough; list those that matter"
    ]
