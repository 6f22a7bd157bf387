"""What driver authors test with: a registry that opens nothing, and a whole gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConnectFailed
from structiot.gateway import BrokerLost, InvalidConfig
from structiot.gateway.drivers import DeviceRegistry, Source
from structiot.testing import (
    FakeManagedDevice,
    FakeRegistry,
    open_driver_bench,
    running_driver,
)
from tests.testing.toy import PlugSection, ToyDriver, ToySection

pytestmark = pytest.mark.virtual_time

PLUG = PlugSection(host="127.0.0.1", port=80)
SECTION = ToySection(plugs=[PLUG])


async def test_a_driver_runs_and_a_test_opens_its_devices(environment):
    async with ToyDriver.simulated(environment) as section:
        driver = ToyDriver(ToySection.model_validate(section), environment)
        async with running_driver(driver) as registry:
            assert registry.has_started
            assert [source.name for source in registry.added] == ["Plug 0", "Plug 1"]
            managed = next(iter(registry.devices.values()))
            assert (managed.info, managed.is_available) == (None, False)
            async with managed.open() as device:
                await device.command("relay", True)
            assert not managed.is_available
            assert managed.info is not None
            assert managed.info.id == "P0"


async def test_what_a_driver_raises_comes_out(environment):
    class Failing(ToyDriver):
        async def run(self, registry: DeviceRegistry) -> None:
            raise ConnectFailed("address in use")

    with pytest.raises(ConnectFailed, match="address in use"):
        async with running_driver(Failing(SECTION, environment)):
            pytest.fail("it has not started")


async def test_a_driver_that_hangs_is_told_from_one_that_has_started(environment):
    class Hanging(ToyDriver):
        async def run(self, registry: DeviceRegistry) -> None:
            await anyio.sleep_forever()

    with pytest.raises(AssertionError, match="has not started, and has added nothing"):
        async with running_driver(Hanging(SECTION, environment)):
            pytest.fail("it has not started")
    assert anyio.current_time() == 60


async def test_the_registry_keeps_what_the_driver_calls(environment):
    seen: list[FakeManagedDevice] = []

    class Busy(ToyDriver):
        async def run(self, registry: DeviceRegistry) -> None:
            assert isinstance(registry, FakeRegistry)
            seen.append(registry.add(self.source(PLUG, 0)))
            seen.append(registry.add(self.source(PLUG, 1)))
            seen[0].reopen()
            await anyio.sleep(10)
            seen[0].release()
            await anyio.sleep(10)
            seen.append(registry.add(self.source(PLUG, 2)))

    async with running_driver(Busy(SECTION, environment)) as registry:
        first, again, anew = seen
        assert first is again is not anew
        assert (first.reopened, first.is_released) == (1, True)
        assert list(registry.devices.values()) == [anew]
        assert len(registry.added) == 3


class Hub(ToyDriver):
    """A driver whose plugs hang on a shared connection."""

    async def run(self, registry: DeviceRegistry) -> None:
        parent = registry.share("hub", self.open_hub)
        plug = self.settings.plugs[0]
        registry.add(
            Source(key="1", label="1", open=lambda: self.open(plug), parent=parent)
        )

    @asynccontextmanager
    async def open_hub(self) -> AsyncIterator[str]:
        yield "the hub"


async def test_a_device_is_opened_on_its_shared_connection(environment):
    async with ToyDriver.simulated(environment) as section:
        driver = Hub(ToySection.model_validate(section), environment)
        async with running_driver(driver) as registry:
            (managed,) = registry.devices.values()
            async with managed.open() as device:
                assert device.info.id == "P0"
            assert [one.label for one in registry.connections] == ["hub"]


async def test_a_whole_gateway_obeys_and_shows(environment: Environment):
    async with (
        ToyDriver.simulated(environment) as section,
        open_driver_bench(ToyDriver, section, environment=environment) as bench,
    ):
        assert await bench.until("structiot/plug_0/relay/state") == "OFF"
        await bench.client.publish("structiot/plug_0/relay/set", b"ON", qos=1)
        await bench.until("structiot/plug_0/relay/state", "ON")
        assert ("structiot/plug_0/relay/set", "ON") in bench.seen
        assert bench.gateway.devices["plug_0"].is_available
        with pytest.raises(AssertionError, match="relay/state is 'ON', not 'OFF'"):
            await bench.until("structiot/plug_0/relay/state", "OFF", within_s=5)


async def test_a_wrong_section_of_a_bench_is_refused(environment):
    with pytest.raises(InvalidConfig, match="plugs"):
        async with open_driver_bench(ToyDriver, {}, environment=environment):
            pytest.fail("it has no plugs")


async def test_settings_of_the_gateway_can_be_given(environment):
    settings = {"mqtt": {"base_topic": "home"}}
    async with (
        ToyDriver.simulated(environment) as section,
        open_driver_bench(
            ToyDriver, section, environment=environment, settings=settings
        ) as bench,
    ):
        assert await bench.until("home/plug_1/relay/state") == "OFF"


async def test_a_driver_that_offers_devices_sees_those_of_the_test(environment):
    class Offering(ToyDriver):
        async def run(self, registry: DeviceRegistry) -> None:
            async with registry.gateway.events() as events:
                registry.started()
                async for event in events:
                    assert isinstance(event, BrokerLost)
                    kept = registry.gateway.state.section("toy")
                    kept["devices"] = list(registry.gateway.devices)
                    registry.failing(event.reason)

    async with running_driver(Offering(SECTION, environment)) as registry:
        gateway = registry.gateway
        async with ToyDriver.simulated(environment) as section:
            bench_of = open_driver_bench(ToyDriver, section, environment=environment)
            async with bench_of as bench:
                await bench.until("structiot/plug_0/relay/state")
                gateway.devices.update(bench.gateway.devices)
        gateway.tell(BrokerLost(reason="nobody is there", retry_in_s=None))
        await registry.until(lambda: registry.trouble == "nobody is there")
        assert gateway.state.section("toy") == {"devices": ["plug_0", "plug_1"]}
